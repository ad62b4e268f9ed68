package cold

// Waiting is how many characters wait to be read.
func (s *Store) Waiting() int { return s.characters.gather.Waiting() }

// MostAsked is how many reads of a kind may be under way before others gather.
const MostAsked = mostAsked
