package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// settleEvery is how long what a catch-up has saved may stay unsettled. So much
	// is saved twice when its leader is killed.
	settleEvery = time.Second
	// settleTimeout bounds what the server is asked at a time.
	settleTimeout = 2 * time.Second
	// A consumer that has not settled the events before the catch-up is asked again:
	// their acks may be under way, after the last event by retryEvery, or they are
	// being saved; unless some were given back.
	settleTries = 30
	retryEvery  = 20 * time.Millisecond
)

// Why a catch-up ends early. What it has not settled comes again.
var (
	errNotSettled = errors.New("the consumer waits for events of before")
	errOtherTimes = errors.New("the consumer was moved, or the connection was made again")
	errNotAlone   = errors.New("savers that take no part have come")
	errNotMoved   = errors.New("the consumer could not be moved")
	errPaused     = errors.New("the consumer is paused")
	errGivenBack  = errors.New("events were given back")
)

// keepSettling settles what is saved, until everything that was handed out is, or
// it makes no sense any more.
func (c *catchUp) keepSettling() {
	err := c.settleAll()
	c.stopListening()
	c.finish(err)
	c.in.deleteReader(c.reader)
}

func (c *catchUp) settleAll() error {
	timer := time.NewTimer(c.in.settleEvery)
	defer timer.Stop()
	for tries := 0; ; {
		last := false
		select {
		case <-timer.C:
		case <-c.changed:
			if !c.isIdle() && !c.isGivenBack() {
				continue
			}
		case <-c.in.closing:
			last = true // whoever fetched has settled what there was
		}
		c.call(time.Now())
		saved, over, err := c.progress(time.Now())
		err = errors.Join(c.settle(saved), err)
		wait := c.in.settleEvery
		switch {
		case errors.Is(err, errNotSettled) && tries < settleTries && !last && !c.lead.before.back.Load():
			tries++
			if over {
				wait = retryEvery
			}
		case err != nil || over || last:
			return err
		default:
			tries = 0
			if c.isIdle() { // it waits for others, not for ever
				wait = min(wait, callAfter)
			}
		}
		timer.Reset(wait)
	}
}

// isIdle reports whether this saver has nothing in hand, and gets nothing more.
func (c *catchUp) isIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended && !slices.ContainsFunc(c.batches, func(b *batch) bool { return b.left.Load() > 0 })
}

// isGivenBack reports whether something was given back.
func (c *catchUp) isGivenBack() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.batches, func(b *batch) bool { return b.back.Load() })
}

// settle moves the consumer beyond what is saved.
func (c *catchUp) settle(saved uint64) error {
	l := c.lead
	if saved == l.settled {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	info, err := c.of.Info(ctx)
	if err != nil {
		return err
	}
	moved := l.settled > c.begun // by this catch-up
	switch {
	case !c.isConnected():
		return errOtherTimes
	case info.AckFloor.Stream < l.settled && moved:
		return errOtherTimes
	case info.AckFloor.Stream < l.settled:
		return errNotSettled
	}
	if _, err := c.reader.Info(ctx); err != nil {
		// It goes with the stream, and with the memory of its server: a stream that
		// was lost, or has lost its end, has other events at these sequences.
		return fmt.Errorf("reader: %w", err)
	}
	if info.AckFloor.Stream < saved {
		if _, err := c.in.js.ResetConsumerToSequence(ctx, info.Stream, info.Name, saved+1); err != nil {
			return fmt.Errorf("%w: %w", errNotMoved, err)
		}
	}
	if moved && info.Delivered.Stream > l.settled {
		l.strangers++
	} else {
		l.strangers = 0
	}
	l.settled = saved
	switch {
	case l.strangers >= mostStrangers:
		return errNotAlone
	case info.Paused:
		return errPaused
	}
	return nil
}
