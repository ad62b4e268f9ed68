package hot

import "github.com/savepoint-games/savepoint/events"

// IndexKey is the key of an index that lists the character.
func (s *Store) IndexKey(index string, c events.CharID) string { return s.indexes.key(index, c) }

// FewMarks is up to how many characters marks are cleared without asking first.
const FewMarks = fewMarks
