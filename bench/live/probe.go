package live

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
)

// A Probe measures from outside: it publishes an event and reads its row until
// it is there. Its times include the disk's and the way of the question, and are
// too long by up to a poll.
type Probe struct {
	NATS, Postgres string // urls
	// Events are vitals of Strangers.
	Events iter.Seq[events.StateChanged]
	Every  time.Duration // from the beginning of one event to that of the next
}

// probePoll is the pause between two questions. It is short against what is
// measured, and long enough that the questions are not what is measured.
const probePoll = 200 * time.Microsecond

// probeTimeout bounds one event.
const probeTimeout = 30 * time.Second

const probeSource = "SELECT EXISTS (SELECT FROM character_vitals WHERE char_id = $1 AND version >= $2)"

// Run probes until ctx is done and returns the times in ascending order. The
// event that is under way then is waited for.
func (p Probe) Run(ctx context.Context) (took []time.Duration, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("probe: %w", err)
		}
	}()
	nc, err := nats.Connect(p.NATS, nats.Name("bench probe"))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	conn, err := pgx.Connect(context.WithoutCancel(ctx), p.Postgres)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ticker := time.NewTicker(p.Every)
	defer ticker.Stop()
	for e := range p.Events {
		select {
		case <-ctx.Done():
			slices.Sort(took)
			return took, nil
		case <-ticker.C:
		}
		d, err := probe(context.WithoutCancel(ctx), nc, conn, &e)
		if err != nil {
			return took, err
		}
		took = append(took, d)
	}
	return took, nil
}

func probe(ctx context.Context, nc *nats.Conn, conn *pgx.Conn, e *events.StateChanged) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	began := time.Now()
	body, version, err := stamp(e, 0)
	if err != nil {
		return 0, err
	}
	if err := nc.Publish(events.Subject(e.Scope, e.CharID), body); err != nil {
		return 0, err
	}
	for {
		var saved bool
		if err := conn.QueryRow(ctx, probeSource, int64(e.CharID), int64(version)).Scan(&saved); err != nil {
			return 0, fmt.Errorf("character %d: %w", e.CharID, err)
		}
		if saved {
			return time.Since(began), nil
		}
		time.Sleep(probePoll)
	}
}
