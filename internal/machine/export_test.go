package machine

// Uniform is uniform, for a stream of numbers that a test chooses.
func (f Format) Uniform(next func() uint64) uint64 { return f.uniform(next) }

// Spell is spell.
func (f Format) Spell(n uint64) string { return f.spell(n) }

// Sound is sound.
func (f Format) Sound() bool { return f.sound() }

// Read is read.
func (f Format) Read(typed string) (string, bool) { return f.read(typed) }

// What the tests hold against the tables.
const (
	MaxMethods  = maxMethods
	Retention   = retention
	ClaimStands = claimStands
	MaxNetworks = maxNetworks
)
