package passwordless

// What the tests of Policy look at beneath the surface.
var Shortest = shortest

func WithDefaults(p Policy) Policy { return p.withDefaults() }

// Resolve returns the groups of a policy without defaults as a client has them.
func Resolve(p Policy, c Client) (CodePolicy, SessionPolicy, TokenPolicy) {
	return p.withDefaults().resolve(c)
}

func Authenticates(c Client, secret Secret) bool { return c.authenticates(secret) }
