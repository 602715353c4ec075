package passwordless

import "github.com/seed62b93bad/passwordless/internal/limit"

// What the tests of Policy look at beneath the surface.
func Shortest(risk float64) (digits int, ok bool) {
	first, ok := limit.First(risk)
	if !ok {
		return 0, false
	}
	return int(first) + limit.MinDigits, ok
}

func WithDefaults(p Policy) Policy { return p.withDefaults() }

// Resolve returns the groups of a policy without defaults as a client has them.
func Resolve(p Policy, c Client) (CodePolicy, SessionPolicy, TokenPolicy) {
	return p.withDefaults().resolve(c)
}

func Authenticates(c Client, secret Secret) bool { return c.authenticates(secret) }
