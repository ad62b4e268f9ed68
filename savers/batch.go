package savers

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A batch is what one transaction saves: events, each with the message that
// brought it.
type batch struct {
	events []events.StateChanged
	msgs   []jetstream.Msg
	weight int // bytes of JSON; an event whose message is kept counts twice
}

func newBatch(room int) *batch {
	return &batch{events: make([]events.StateChanged, 0, room), msgs: make([]jetstream.Msg, 0, room)}
}

// ofOne reports whether all events of b are of one character.
func (b *batch) ofOne() bool {
	return !slices.ContainsFunc(b.events, func(e events.StateChanged) bool { return e.CharID != b.events[0].CharID })
}

// split cuts b in half: between two characters as long as there are two, else between two
// events. b stays as it is: the heartbeat may be using it.
func (b *batch) split() (left, right *batch) {
	half := len(b.events) / 2
	if !b.ofOne() {
		b = b.sorted()
		half = b.nearestChange(half)
	}
	return &batch{events: b.events[:half], msgs: b.msgs[:half]}, &batch{events: b.events[half:], msgs: b.msgs[half:]}
}

// nearestChange returns the place nearest to another where one character's events end and
// the next one's begin. The events of b are sorted by character, and of two at least.
func (b *batch) nearestChange(to int) int {
	for d := 0; ; d++ {
		for _, at := range [...]int{to - d, to + d} {
			if at > 0 && at < len(b.events) && b.events[at-1].CharID != b.events[at].CharID {
				return at
			}
		}
	}
}

// sorted is a copy of b, by character.
func (b *batch) sorted() *batch {
	b = &batch{events: slices.Clone(b.events), msgs: slices.Clone(b.msgs)}
	sort.Sort(charOrder{b})
	return b
}

// charOrder sorts a batch by character. The order of its events does not matter.
type charOrder struct{ *batch }

func (b charOrder) Len() int           { return len(b.events) }
func (b charOrder) Less(i, j int) bool { return b.events[i].CharID < b.events[j].CharID }
func (b charOrder) Swap(i, j int) {
	b.events[i], b.events[j] = b.events[j], b.events[i]
	b.msgs[i], b.msgs[j] = b.msgs[j], b.msgs[i]
}

// batchBytes bounds what a lane lets gather, in bytes of JSON, so that a saver's memory
// does not depend on what games put into their events. In memory an event whose message
// has let go of its bytes takes one and a half times as much; one whose message is kept
// takes three times as much, and counts twice.
const (
	batchBytes = 2 << 20
	keptWeight = 2
)

// weigh lets go of the bytes of a message whose event is decoded, unless they are needed
// to settle it. It returns the weight of the event, and whether the bytes are kept.
func weigh(msg jetstream.Msg) (weight int, kept bool) {
	n := len(msg.Data())
	if m, ok := msg.(releaser); ok && m.Release() {
		return n, false
	}
	return keptWeight * n, true
}

// detached returns msg in a form that may be held for long.
func detached(msg jetstream.Msg) jetstream.Msg {
	if m, ok := msg.(detacher); ok {
		return m.Detached()
	}
	return msg
}

// hasRoom reports whether b may take another event of this weight: it holds most events
// at most, and not more bytes than may be in memory. One event always has room.
func (b *batch) hasRoom(weight, most int) bool {
	return len(b.msgs) == 0 || len(b.msgs) < most && b.weight+weight <= batchBytes
}

func (b *batch) add(e *events.StateChanged, msg jetstream.Msg, weight int) {
	b.events, b.msgs = append(b.events, *e), append(b.msgs, msg)
	b.weight += weight
}

// clear empties b and keeps its capacity.
func (b *batch) clear() {
	clear(b.events)
	clear(b.msgs)
	b.events, b.msgs, b.weight = b.events[:0], b.msgs[:0], 0
}

// following returns how many events waited in the stream when it handed out the last one
// of b.
func (b *batch) following() int {
	if len(b.msgs) == 0 {
		return 0
	}
	last, err := b.msgs[len(b.msgs)-1].Metadata()
	if err != nil {
		return 0 // cannot be: read refuses messages without
	}
	return int(min(last.NumPending, math.MaxInt32))
}

func (b *batch) ack(log *slog.Logger) {
	var errs error
	for _, msg := range b.msgs {
		if err := msg.Ack(); err != nil {
			errs = errors.Join(errs, err)
		}
	}
	if errs != nil {
		log.Warn("not acknowledged; the events will come again", "events", len(b.msgs), "err", errs)
	}
}

// giveBack lets another saver have the messages at once. Those that are settled
// already take no notice.
func (b *batch) giveBack() {
	for _, msg := range b.msgs {
		_ = msg.Nak() // if it is lost, the ack wait does the same
	}
}

// retryLater is how long an event waits that cannot be settled now: it did not get
// through alone, is of a newer build, or could not be buried.
const retryLater = 5 * time.Second

// giveBackLater gives the messages back, to be handed out again after retryLater.
func (b *batch) giveBackLater() {
	for _, msg := range b.msgs {
		_ = msg.NakWithDelay(retryLater) // if it is lost, the ack wait does the same
	}
}

// inProgress tells the server that the messages are being worked on.
func (b *batch) inProgress() {
	for _, msg := range b.msgs {
		_ = msg.InProgress() // if it is lost, the event comes a second time
	}
}
