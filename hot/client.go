package hot

import "github.com/redis/go-redis/v9"

// Client is the connection itself, for those who ask the servers about
// themselves. It stays the store's.
func (s *Store) Client() redis.UniversalClient { return s.rdb }
