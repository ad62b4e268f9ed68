package events

// Undefine takes back what Define did, so that a test leaves the scopes as they were.
func Undefine(s Scope) { delete(readers, s) }
