package cold

// Waiting is how many characters wait to be read.
func (s *Store) Waiting() int { return s.loads.Waiting() }

// MostLoading is how many reads may be under way before others gather.
const MostLoading = mostLoading
