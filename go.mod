module github.com/seed62b93bad/passwordless

go 1.25.0

require (
	golang.org/x/net v0.58.0
	golang.org/x/text v0.41.0
)

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
)
