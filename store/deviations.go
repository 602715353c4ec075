package store

// Deviations returns what the options of a Store accept that is weaker than what its driver asks of an engine: one
// sentence for each option, which begins with the option's name and tells what can be lost. It is empty for a Store
// without the method Deviations() []string. The sentences hold no secret and are the same for as long as the Store
// lives. They end up in the report of passwordless.Service.Policy.
//
// A Store that wraps another passes them on by a method of its own, which returns Deviations of the inner Store.
func Deviations(s Store) []string {
	if d, ok := s.(interface{ Deviations() []string }); ok {
		return d.Deviations()
	}
	return nil
}
