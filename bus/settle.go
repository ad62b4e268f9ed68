package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// settleEvery is how long what a catch-up has saved may stay unsettled. So much
	// is saved twice when its saver is killed, or is not alone any more.
	settleEvery = time.Second
	// settleTimeout bounds what the server is asked at a time.
	settleTimeout = 2 * time.Second
	// A consumer that has not settled the events before the catch-up is asked again:
	// their acks may be under way, after the last event by retryEvery, or they are
	// being saved.
	settleTries = 30
	retryEvery  = 20 * time.Millisecond
)

// Why a catch-up ends early. What it has not settled comes again.
var (
	errNotSettled = errors.New("the consumer waits for events of before")
	errOtherTimes = errors.New("the consumer was moved or made again, or the connection was")
	errNotAlone   = errors.New("other savers have come")
	errPaused     = errors.New("the consumer is paused")
	errGivenBack  = errors.New("events were given back")
)

// keepSettling settles what is saved, until everything that was handed out is, or
// it makes no sense any more.
func (c *catchUp) keepSettling() {
	c.early = c.settleAll()
	close(c.done)
	c.b.log.Info("caught up", "consumer", c.of.CachedInfo().Name, "from", c.begun+1, "settled", c.settled, "early", c.early)
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	reader := c.reader.CachedInfo()
	_ = c.b.js.DeleteConsumer(ctx, reader.Stream, reader.Name) // without this it goes after readerLife
}

func (c *catchUp) settleAll() error {
	timer := time.NewTimer(c.b.settleEvery)
	defer timer.Stop()
	for tries := 0; ; {
		last := false
		select {
		case <-timer.C:
		case <-c.changed:
			if !c.over() {
				continue
			}
		case <-c.b.closing:
			last = true // whoever fetched has settled what there was
		}
		// Once all is over, it stays so.
		over := c.over()
		saved, err := c.progress()
		err = errors.Join(c.settle(saved), err)
		wait := c.b.settleEvery
		switch {
		case errors.Is(err, errNotSettled) && tries < settleTries && !last:
			tries++
			if over {
				wait = retryEvery
			}
		case err != nil || over || last:
			return err
		default:
			tries = 0
		}
		timer.Reset(wait)
	}
}

// progress returns up to which sequence all is saved. The error means that it will
// not become more.
func (c *catchUp) progress() (saved uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.parts) > 0 && c.parts[0].left.Load() == 0 {
		if c.parts[0].back.Load() {
			return c.saved, errGivenBack
		}
		c.saved = c.parts[0].last
		c.parts = c.parts[1:]
	}
	return c.saved, nil
}

// over reports whether nothing is in hand, and nothing more will be handed out.
func (c *catchUp) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended && !slices.ContainsFunc(c.parts, func(p *part) bool { return p.left.Load() > 0 })
}

// settle moves the consumer beyond what is saved.
func (c *catchUp) settle(saved uint64) error {
	if saved == c.settled {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	info, err := c.of.Info(ctx)
	if err != nil {
		return err
	}
	moved := c.settled > c.begun // by this catch-up
	switch {
	case !info.Created.Equal(c.created) || c.b.nc.Stats().Reconnects != c.connects:
		// A stream that was lost, or has lost its end, has other events at these
		// sequences.
		return errOtherTimes
	case info.AckFloor.Stream < c.settled && moved:
		return errOtherTimes
	case info.AckFloor.Stream < c.settled:
		return errNotSettled
	}
	if info.AckFloor.Stream < saved {
		if _, err := c.b.js.ResetConsumerToSequence(ctx, info.Stream, info.Name, saved+1); err != nil {
			return fmt.Errorf("move the consumer: %w", err)
		}
	}
	before := c.settled
	c.settled = saved
	switch {
	case moved && info.Delivered.Stream > before:
		return errNotAlone
	case info.Paused:
		return errPaused
	}
	return nil
}
