package hot

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Complete reports whether a character that Redis does not have has nothing left
// to save and no open session: then PostgreSQL alone knows all of it. On a
// cluster, whose servers come and go one by one, the answer is no.
func (s *Store) Complete(ctx context.Context) (bool, error) {
	if s.indexes.cluster {
		return false, nil
	}
	n, err := s.call(ctx, fnComplete, []string{keyComplete}, "ask").Int()
	return n == 1, unavailable(err)
}

// BeginNote returns the name of the note about this run of Redis, which it makes
// where there is none, and whether the run is complete. The name is "" on a
// cluster.
func (s *Store) BeginNote(ctx context.Context) (name string, complete bool, err error) {
	if s.indexes.cluster {
		return "", false, nil
	}
	reply, err := s.call(ctx, fnComplete, []string{keyComplete}, "begin", uuid.NewString()).StringSlice()
	if err != nil {
		return "", false, fmt.Errorf("begin the note about this run: %w", unavailable(err))
	}
	return reply[0], reply[1] == "1", nil
}

// NoteSettled notes what the stream said after BeginNote: its newest sequence is last,
// and everything up to settled is saved. It reports whether all is settled that the
// stream had stored at some moment since BeginNote: what came later is about characters
// that Redis has.
func (s *Store) NoteSettled(ctx context.Context, name string, last, settled uint64) (bool, error) {
	n, err := s.call(ctx, fnComplete, []string{keyComplete}, "settled", name, utoa(last), utoa(settled)).Int()
	if err != nil {
		return false, fmt.Errorf("note what is settled: %w", unavailable(err))
	}
	return n == 1, nil
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// NoteComplete notes that the run is complete, unless the note is another one.
func (s *Store) NoteComplete(ctx context.Context, name string) error {
	err := s.call(ctx, fnComplete, []string{keyComplete}, "complete", name).Err()
	return unavailable(err)
}

// Unverified returns those characters that Redis does not have, or whose copy
// was not verified in this run.
func (s *Store) Unverified(ctx context.Context, chars []events.CharID) (out []events.CharID, err error) {
	if len(chars) == 0 {
		return nil, nil
	}
	runs := make([]*redis.StringCmd, len(chars))
	now := make([]*redis.Cmd, len(chars))
	err = s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, char := range chars {
			runs[i] = p.HGet(ctx, keyContexts(char), "run")
			if i == 0 || s.indexes.cluster {
				now[i] = queue(ctx, p, fnRun, []string{keyContexts(char)})
			} else {
				now[i] = now[0]
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("which of %d characters are verified: %w", len(chars), unavailable(err))
	}
	for i, char := range chars {
		if run, _ := now[i].Val().(string); runs[i].Val() != run {
			out = append(out, char)
		}
	}
	return out, nil
}
