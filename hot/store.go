// Package hot keeps the state of characters in Redis: it loads what a decision
// needs, commits what was decided in one script, and remembers what is not saved
// yet. It knows nothing of NATS or PostgreSQL.
package hot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/gather"
	"github.com/savepoint-games/savepoint/internal/secret"
)

// Store is the hot state. It is safe for concurrent use.
type Store struct {
	rdb     redis.UniversalClient
	gather  *gather.Gatherer[*redis.Cmd] // nil on a cluster
	indexes indexer
}

// Open connects to Redis. A comma list of URLs, or the scheme redis+cluster or
// rediss+cluster, means Redis Cluster. Open does not wait for the server: Ping
// says whether it answers.
func Open(url string) (*Store, error) {
	rdb, cluster, err := newClient(url)
	if err != nil {
		return nil, fmt.Errorf("redis url: %w", secret.Err(err))
	}
	s := &Store{rdb: rdb, indexes: indexer{cluster: cluster}}
	if one, ok := rdb.(*redis.Client); ok {
		s.gather = newGatherer(one)
	}
	return s, nil
}

// Close closes the connections. What is on its way gets an error.
func (s *Store) Close() error {
	err := s.rdb.Close()
	if s.gather != nil {
		s.gather.Wait()
	}
	return err
}

// Client is the connection itself, for questions about the servers. The store still owns
// and closes it.
func (s *Store) Client() redis.UniversalClient { return s.rdb }

// Ping returns nil when Redis answers and takes writes: a replica, or a server that is
// full, refuses a function. On a cluster an answer of any server will do.
func (s *Store) Ping(ctx context.Context) error {
	if s.indexes.cluster {
		return unavailable(s.rdb.Ping(ctx).Err())
	}
	return unavailable(s.call(ctx, fnRun, []string{keyComplete}).Err())
}

const (
	dialTimeout  = 2 * time.Second
	replyTimeout = 2 * time.Second
	// slotsAge is how old what is known of a cluster's slots may become. Servers that answer
	// say where a slot went; one that is dead, and whose replica leads, does not. By itself
	// the client asks once a minute.
	slotsAge = time.Second
	// protocol is RESP2: nothing here needs more, and with RESP3 the client looks
	// for pushed messages before each command.
	protocol = 2
)

// newClient makes a client that never repeats a command by itself: a commit
// whose answer was lost may have happened, and only its caller knows how to
// find out (the idempotency key, or the version that has risen).
func newClient(url string) (rdb redis.UniversalClient, cluster bool, err error) {
	first, _, list := strings.Cut(url, ",")
	if !list && !strings.Contains(first, "+cluster://") {
		opts, err := redis.ParseURL(url)
		if err != nil {
			return nil, false, err
		}
		opts.MaxRetries, opts.DialerRetries = -1, 1
		opts.Protocol = protocol
		opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = dialTimeout, replyTimeout, replyTimeout
		opts.ContextTimeoutEnabled = true
		return redis.NewClient(opts), false, nil
	}
	opts, err := clusterOptions(url)
	if err != nil {
		return nil, false, err
	}
	return redis.NewClusterClient(opts), true, nil
}

func clusterOptions(list string) (*redis.ClusterOptions, error) {
	var all *redis.ClusterOptions
	for url := range strings.SplitSeq(list, ",") {
		url = strings.Replace(strings.TrimSpace(url), "+cluster://", "://", 1)
		if !strings.Contains(url, "://") {
			url = "redis://" + url
		}
		opts, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = opts
		} else {
			all.Addrs = append(all.Addrs, opts.Addrs...)
		}
	}
	all.MaxRetries, all.DialerRetries = -1, 1
	all.Protocol = protocol
	all.MaxRedirects = 3
	all.ClusterStateReloadInterval = slotsAge
	all.DialTimeout, all.ReadTimeout, all.WriteTimeout = dialTimeout, replyTimeout, replyTimeout
	all.ContextTimeoutEnabled = true
	return all, nil
}

func unavailable(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	return &events.UnavailableError{What: events.Redis, Answered: isForeign(err), Err: err}
}

// isForeign reports whether an error means that somebody else wrote a key of another
// type, or a value that a function cannot calculate with.
func isForeign(err error) bool {
	return strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "attempt to ")
}
