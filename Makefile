# Go is all that this needs; "make test" finds or installs the rest.

# Each module that git knows or would add, the root first.
MODULES   := go.mod $(wildcard $(shell git ls-files -co --exclude-standard '*/go.mod'))
FOLDERS   := $(patsubst %/,%,$(dir $(MODULES)))
# The newest golangci-lint that Go 1.25 builds.
LINT_VERSION := v2.12.2
LINT      := .cache/bin/golangci-lint-$(LINT_VERSION)
FUZZTIME  ?= 5s
BENCHTIME ?= 1s
SAMPLES   ?= 2000

.DEFAULT_GOAL := help
.PHONY: help test mutants bench timing simulate lint arch fuzz fmt fmt-check vet tidy clean

help: ## tell what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

test: ## test every module, build the examples, check the arrows; REQUIRE=1: nothing may be missing or skipped
	@go run ./internal/testrun $(if $(filter 1,$(REQUIRE)),-require) $(MODULES)

mutants: ## break the library on purpose, and see that a test notices each time; ONLY='a regular expression'
	@go run ./internal/mutants $(if $(ONLY),-only '$(ONLY)')

bench: ## run the benchmarks; BENCHTIME=1s
	@if [ -d internal/thirdparty/bench ]; then \
		cd internal/thirdparty && GOWORK=off go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./bench/...; \
	else echo "there are no benchmarks yet"; fi

timing: ## compare the answers for people with and without an account, by their time; SAMPLES=2000
	@cd internal/thirdparty && GOWORK=off go test -run '^$$' -bench '^BenchmarkTiming$$' -benchtime $(SAMPLES)x -timeout 1h ./server

simulate: ## play attackers and ordinary people against the limits, for minutes; ONLY='a regular expression'
	@go run ./simulate $(if $(ONLY),-only '$(ONLY)')

lint: $(LINT) ## look for likely mistakes in every module, with golangci-lint
	@for folder in $(FOLDERS); do echo "$$folder"; \
		(cd "$$folder" && GOWORK=off GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/lint $(CURDIR)/$(LINT) run --config $(CURDIR)/.golangci.yml ./...) || failed=1; \
	done; [ -z "$$failed" ]

arch: ## check which package imports which, and what each module requires
	@go run ./internal/arch $(MODULES)

fuzz: ## fuzz each parser for a moment; FUZZTIME=5s
	@sh internal/testrun/fuzz.sh $(FUZZTIME)

fmt: ## format the Go files
	@gofmt -l -w .

fmt-check: ## fail if a Go file is not formatted
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted:"; echo "$$unformatted"; exit 1; }

vet: ## run go vet in every module
	@for folder in $(FOLDERS); do (cd "$$folder" && GOWORK=off go vet ./...) || failed=1; done; [ -z "$$failed" ]

tidy: ## run go mod tidy in every module
	@for folder in $(FOLDERS); do (cd "$$folder" && GOWORK=off go mod tidy) || failed=1; done; [ -z "$$failed" ]

clean: ## remove what was built here
	@rm -rf .cache

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION), which takes a minute or two"
	@mkdir -p $(@D) && GOWORK=off GOBIN=$(CURDIR)/.cache/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .cache/build/golangci-lint $@
