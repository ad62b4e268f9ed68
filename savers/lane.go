package savers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A lane saves batches, one after the other.
type lane struct {
	*Worker
	number   int
	stopping <-chan struct{}
	saved    chan<- *batch // what is stored
	// least is how long a part of a stuck batch may take that is not halved any more: if
	// it is stuck, its characters are saved one by one.
	least  time.Duration
	random *rand.Rand
}

// leastTimeout is the least of every lane but that of the characters set aside, in which
// nobody else waits.
const leastTimeout = time.Second

func (w *Worker) newLane(number int, stopping <-chan struct{}, saved chan<- *batch) *lane {
	l := &lane{
		Worker: w, number: number, stopping: stopping, saved: saved,
		least: leastTimeout, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	if number == w.asideLane() {
		l.least = w.SaveTimeout
	}
	return l
}

// saveInHand saves a batch to the end: each event is stored and acknowledged, or
// buried, or given back because the worker stops or it does not get through.
func (l *lane) saveInHand(ctx context.Context, b *batch) {
	select {
	case <-l.stopping:
		b.giveBack()
		return
	default:
	}
	if l.number != l.asideLane() {
		if b = l.withoutAside(b); len(b.events) == 0 {
			return
		}
	}
	if err := l.save(ctx, b, l.SaveTimeout); err != nil {
		b.giveBack()
		l.Log.Warn("batch given back", "events", len(b.events), "err", err)
	}
}

// maxTries is how many tries of one event alone may fail with an unknown error before the
// event is taken for a bad one, and how many tries of a batch may end in a lost
// connection before the batch is taken for stuck. Of a part of a stuck batch one
// suffices: each may bring down the whole server.
const maxTries = 5

// save stores b, or the parts of it that can be stored now: a batch with an event
// that cannot is cut in half until that event is alone, and one that is stuck until a
// part of it may take no more than least. The error means that the worker stops.
func (l *lane) save(ctx context.Context, b *batch, timeout time.Duration) error {
	for try, unknown, cutOff := 1, 0, 0; ; try++ {
		err := l.transact(ctx, b.events, timeout)
		if err == nil {
			l.acknowledge(b)
			return nil
		}
		kind := KindOf(err)
		if isCutOff(err) {
			if cutOff++; cutOff == maxTries || timeout < l.SaveTimeout {
				kind = KindStuck
			}
		}
		l.Metrics.failed(l.Saver.Scope(), kind)
		if kind == KindBug {
			unknown++
		}
		switch {
		case kind == KindTransient:
			l.Log.Warn("batch not saved", "events", len(b.events), "attempt", try, "err", err)
		case kind == KindStuck && b.ofOne():
			l.setAside(b, err)
			return nil
		case kind == KindStuck && timeout <= l.least:
			return l.oneByOne(ctx, b)
		case len(b.events) > 1:
			if kind == KindStuck {
				timeout = max(timeout/2, l.least)
			}
			left, right := b.split()
			return errors.Join(l.save(ctx, left, timeout), l.save(ctx, right, timeout))
		case kind == KindBad || unknown >= maxTries:
			l.bury(ctx, b.msgs[0], b.events[0].CharID, err)
			return nil
		}
		if !l.wait(ctx, l.stopping, try) {
			return fmt.Errorf("stopped while retrying: %w", err)
		}
	}
}

// acknowledge settles what is committed, and passes it on to afterCommit. From here on
// nothing can be lost: an ack that is lost makes the event come again.
func (l *lane) acknowledge(b *batch) {
	b.ack(l.Log)
	l.aside.drop(b.events)
	l.saved <- b
}

// setAside lets the events of one character wait. Those that come meanwhile are saved
// where they hold up nobody.
func (l *lane) setAside(b *batch, cause error) {
	char := b.events[0].CharID
	l.Log.Warn("character set aside: its events do not get through, and are tried again", "char_id", char, "events", len(b.events), "err", cause)
	l.aside.add(char, min(2*l.aside.alone(char), l.SaveTimeout))
	b.giveBackLater()
}

// oneByOne saves each character of b alone, first those that have been stuck least often.
// When the stuck ones have taken l.least together, the rest are set aside untried:
// however many are stuck, the batch is done soon.
func (l *lane) oneByOne(ctx context.Context, b *batch) error {
	var taken time.Duration
	parts := l.byCharacter(b)
	for i, part := range parts {
		if taken >= l.least {
			l.Log.Warn("characters set aside: they came with many that do not get through", "characters", len(parts)-i)
			for _, rest := range parts[i:] {
				l.aside.add(rest.events[0].CharID, l.aside.alone(rest.events[0].CharID))
				rest.giveBackLater()
			}
			return nil
		}
		char := part.events[0].CharID
		timeout := l.aside.alone(char)
		if err := l.save(ctx, part, timeout); err != nil {
			return err
		}
		if l.aside.has(char) {
			taken += timeout
		}
	}
	return nil
}

// byCharacter returns a batch for each character of b: first those that have been stuck
// least often, and those that are equal in random order, so that each has its turn.
func (l *lane) byCharacter(b *batch) (parts []*batch) {
	b = b.sorted()
	for from, i := 0, 1; i <= len(b.events); i++ {
		if i == len(b.events) || b.events[i].CharID != b.events[from].CharID {
			parts = append(parts, &batch{events: b.events[from:i], msgs: b.msgs[from:i]})
			from = i
		}
	}
	l.random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	slices.SortStableFunc(parts, func(x, y *batch) int {
		return cmp.Compare(l.aside.alone(x.events[0].CharID), l.aside.alone(y.events[0].CharID))
	})
	return parts
}

// withoutAside returns b without the characters that have been set aside since it began
// to wait; their events are given back.
func (l *lane) withoutAside(b *batch) *batch {
	if !l.aside.some.Load() {
		return b
	}
	others, back := new(batch), new(batch)
	for i := range b.events {
		part := others
		if l.aside.has(b.events[i].CharID) {
			part = back
		}
		part.add(&b.events[i], b.msgs[i], 0)
	}
	back.giveBackLater()
	return others
}
