package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// help is what a saver needs that takes part in a catch-up which another one leads.
type help struct {
	saver   string // what it calls itself
	subject string // where the leader hears
	untold  told   // what the leader has not answered yet
	heard   time.Time
}

const (
	// tellEvery is how often a helper tells what it has saved, and hears whether the
	// backlog is at its end.
	tellEvery   = 50 * time.Millisecond
	tellTimeout = 2 * time.Second
)

// errLeaderGone means that nobody listens to what helpers tell.
var errLeaderGone = errors.New("the saver that led the catch-up is gone")

// helpWith takes part in a catch-up.
func (b *Bus) helpWith(ctx context.Context, of, reader jetstream.Consumer, limit int) (*catchUp, error) {
	c := b.newCatchUp(of)
	c.reader, c.begun = reader, reader.CachedInfo().Config.OptStartSeq-1
	c.help = &help{saver: uuid.NewString(), subject: tellSubject(reader.CachedInfo().Name)}
	c.help.untold.ends = make(map[uint64]uint64)
	// Before it gets anything, so that what it gets is not taken for lost.
	_, err := c.tellLeader(ctx)
	if err == nil {
		c.reading, err = b.read(reader, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("help to catch up: %w", err)
	}
	b.catchUps.Go(c.keepTelling)
	return c, nil
}

// tellLeader tells what it has not answered yet, and returns its answer.
func (c *catchUp) tellLeader(ctx context.Context) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	t := c.help.untold
	t.saver = c.help.saver
	body, err := t.encode()
	if err != nil {
		return "", err
	}
	msg, err := c.b.nc.RequestWithContext(ctx, c.help.subject, body)
	if errors.Is(err, nats.ErrNoResponders) {
		return "", errLeaderGone
	}
	if err != nil {
		return "", err
	}
	c.help.untold = told{ends: make(map[uint64]uint64)}
	c.help.heard = time.Now()
	return string(msg.Data), nil
}

// keepTelling tells the leader what is saved, until everything that was handed out
// is, or there is no leader any more.
func (c *catchUp) keepTelling() {
	err := c.tellAll()
	c.finish(err)
	if errors.Is(err, errLeaderGone) {
		c.b.deleteReader(c.reader)
	}
}

func (c *catchUp) tellAll() error {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	var overSince time.Time
	for closing := false; ; {
		select {
		case <-ticker.C:
		case <-c.b.closing:
			closing = true
		}
		t, err := c.tell()
		if err == nil {
			err = c.help.add(t)
		}
		if err != nil {
			return err
		}
		c.help.untold.lost = c.help.untold.lost || !c.isConnected() || closing && !t.over
		lost := c.help.untold.lost
		answer, err := c.tellLeader(context.Background())
		switch {
		case errors.Is(err, errLeaderGone) && t.over && !lost:
			return nil // it was the last to be waited for
		case errors.Is(err, errLeaderGone):
			return err
		case lost && (err == nil || closing):
			return errGivenBack
		case closing:
			return nil
		case time.Since(c.help.heard) > c.b.silentAfter:
			return errLeaderGone
		case answer == heardEnough:
			c.ask()
		}
		if !t.over || err != nil {
			continue
		}
		if overSince.IsZero() {
			overSince = time.Now()
		}
		if time.Since(overSince) >= patience {
			return nil
		}
	}
}

// add takes in more to be told.
func (h *help) add(t *told) error {
	maps.Copy(h.untold.ends, t.ends)
	h.untold.ended, h.untold.over, h.untold.lost = t.ended, t.over, h.untold.lost || t.lost
	return h.untold.saved.take(&t.saved)
}
