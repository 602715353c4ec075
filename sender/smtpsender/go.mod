module github.com/seed62b93bad/passwordless/sender/smtpsender

go 1.25.0

require (
	github.com/seed62b93bad/passwordless v0.0.0-00010101000000-000000000000
	github.com/wneessen/go-mail v0.8.1
)

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace github.com/seed62b93bad/passwordless => ../..
