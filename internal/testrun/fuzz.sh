#!/bin/sh
# Fuzzes each Fuzz function of the tree for a short time, given as Go writes durations.
set -eu
time=$1
git ls-files -co --exclude-standard '*_test.go' | xargs grep -l '^func Fuzz' | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r name; do
		echo "$file $name"
		(cd "$(dirname "$file")" && GOWORK=off go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" .) </dev/null
	done
done
