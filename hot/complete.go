package hot

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// keyComplete is a hash: the run of Redis that is complete, and what has to be
// settled before the present one is. It goes with what Redis has: emptied or
// started again, Redis is not complete.
const keyComplete = "savepoint:complete"

// completeSource tells whether this run is complete.
const completeSource = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
return redis.call('HGET', KEYS[1], 'run') == run and 1 or 0`

var isCompleteScript = redis.NewScript(completeSource)

// Complete reports whether a character that Redis does not have has nothing left
// to save and no open session: then PostgreSQL alone knows all of it. On a
// cluster, whose servers come and go one by one, the answer is no.
func (s *Store) Complete(ctx context.Context) (bool, error) {
	if s.indexes.cluster {
		return false, nil
	}
	n, err := isCompleteScript.Run(ctx, s.rdb, []string{keyComplete}).Int()
	return n == 1, unavailable(err)
}

// Run is the identity of the server's run, "" on a cluster. It changes with
// every restart and failover.
func (s *Store) Run(ctx context.Context) (string, error) {
	if s.indexes.cluster {
		return "", nil
	}
	run, err := s.rdb.Eval(ctx, runSource, []string{keyComplete}).Text()
	return run, unavailable(err)
}

// NoteSettled notes that the stream's newest sequence was last, with everything
// up to settled saved, after the server's run was seen. It reports whether all
// is settled that the stream had stored at some moment of the run: what came
// later is of characters that Redis has.
func (s *Store) NoteSettled(ctx context.Context, run string, last, settled uint64) (bool, error) {
	n, err := completeScript.Run(ctx, s.rdb, []string{keyComplete}, run, last, settled).Int()
	if err != nil {
		return false, fmt.Errorf("note what is settled: %w", unavailable(err))
	}
	return n == 1, nil
}

// NoteComplete notes that the run is complete. The note is of that run alone,
// and goes with what Redis has.
func (s *Store) NoteComplete(ctx context.Context, run string) error {
	err := s.rdb.HSet(ctx, keyComplete, "run", run).Err()
	return unavailable(err)
}

// Unverified returns those characters that Redis does not have, or whose copy
// was not verified in this run.
func (s *Store) Unverified(ctx context.Context, run string, chars []events.CharID) (out []events.CharID, err error) {
	runs := make([]*redis.StringCmd, len(chars))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, char := range chars {
			runs[i] = p.HGet(ctx, keyContexts(char), "run")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("which of %d characters are verified: %w", len(chars), unavailable(err))
	}
	for i, char := range chars {
		if runs[i].Val() != run {
			out = append(out, char)
		}
	}
	return out, nil
}
