package intake

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
	unsent  report // what the leader has not answered yet
	heard   time.Time
}

const (
	// reportEvery is how often a helper reports, and hears whether the backlog is at its
	// end.
	reportEvery   = 50 * time.Millisecond
	reportTimeout = 2 * time.Second
)

// errLeaderGone means that nobody listens to the reports of helpers.
var errLeaderGone = errors.New("the saver that led the catch-up is gone")

// helpWith takes part in a catch-up.
func (in *Intake) helpWith(ctx context.Context, of, reader jetstream.Consumer, limit int) (*catchUp, error) {
	c := in.newCatchUp(of)
	c.reader, c.begun = reader, reader.CachedInfo().Config.OptStartSeq-1
	c.help = &help{saver: uuid.NewString(), subject: reportSubject(reader.CachedInfo().Name)}
	c.help.unsent.ends = make(map[uint64]uint64)
	// Before it gets anything, so that what it gets is not taken for lost.
	_, err := c.sendReport(ctx)
	if err == nil {
		c.reading, err = in.read(reader, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("help to catch up: %w", err)
	}
	in.catchUps.Go(c.keepReporting)
	return c, nil
}

// sendReport sends the leader what it has not answered yet, and returns its answer.
func (c *catchUp) sendReport(ctx context.Context) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	r := c.help.unsent
	r.saver = c.help.saver
	body, err := r.encode()
	if err != nil {
		return "", err
	}
	msg, err := c.in.nc.RequestWithContext(ctx, c.help.subject, body)
	if errors.Is(err, nats.ErrNoResponders) {
		return "", errLeaderGone
	}
	if err != nil {
		return "", err
	}
	c.help.unsent = report{ends: make(map[uint64]uint64)}
	c.help.heard = time.Now()
	return string(msg.Data), nil
}

// keepReporting reports to the leader until everything that was handed out is saved, or
// there is no leader any more.
func (c *catchUp) keepReporting() {
	err := c.reportAll()
	c.finish(err)
	if errors.Is(err, errLeaderGone) {
		c.in.deleteReader(c.reader)
	}
}

func (c *catchUp) reportAll() error {
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	var overSince time.Time
	for closing := false; ; {
		select {
		case <-ticker.C:
		case <-c.in.closing:
			closing = true
		}
		r, err := c.takeReport()
		if err == nil {
			err = c.help.add(r)
		}
		if err != nil {
			return err
		}
		c.help.unsent.lost = c.help.unsent.lost || !c.isConnected() || closing && !r.over
		lost := c.help.unsent.lost
		answer, err := c.sendReport(context.Background())
		switch {
		case errors.Is(err, errLeaderGone) && r.over && !lost:
			return nil // it was the last to be waited for
		case errors.Is(err, errLeaderGone):
			return err
		case lost && (err == nil || closing):
			return errGivenBack
		case closing:
			return nil
		case time.Since(c.help.heard) > c.in.silentAfter:
			return errLeaderGone
		case answer == heardEnough:
			c.stop()
		}
		if !r.over || err != nil {
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

// add takes in more to be sent.
func (h *help) add(r *report) error {
	maps.Copy(h.unsent.ends, r.ends)
	h.unsent.ended, h.unsent.over, h.unsent.lost = r.ended, r.over, h.unsent.lost || r.lost
	return h.unsent.saved.take(&r.saved)
}
