package savers

import (
	"context"
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
	bytes  int // as how many all events that were added count; see held
}

func newBatch(room int) *batch {
	return &batch{events: make([]events.StateChanged, 0, room), msgs: make([]jetstream.Msg, 0, room)}
}

// ofOne reports whether all events of b are of one character.
func (b *batch) ofOne() bool {
	return !slices.ContainsFunc(b.events, func(e events.StateChanged) bool { return e.CharID != b.events[0].CharID })
}

// split cuts b in half: between two characters as long as there are two, else between
// two events. b stays as it is: somebody may be giving signs of life for it.
func (b *batch) split() (left, right *batch) {
	half := len(b.events) / 2
	if !b.ofOne() {
		b = &batch{events: slices.Clone(b.events), msgs: slices.Clone(b.msgs)}
		sort.Sort(byCharacter{b})
		half = b.nearestChange(half)
	}
	return &batch{events: b.events[:half], msgs: b.msgs[:half]}, &batch{events: b.events[half:], msgs: b.msgs[half:]}
}

// nearestChange is the place nearest to another where a character ends and the next one
// begins. The events of b are by character, of two at least.
func (b *batch) nearestChange(to int) int {
	for d := 0; ; d++ {
		for _, at := range [...]int{to - d, to + d} {
			if at > 0 && at < len(b.events) && b.events[at-1].CharID != b.events[at].CharID {
				return at
			}
		}
	}
}

// byCharacter sorts a batch. The order of its events does not matter.
type byCharacter struct{ *batch }

func (b byCharacter) Len() int           { return len(b.events) }
func (b byCharacter) Less(i, j int) bool { return b.events[i].CharID < b.events[j].CharID }
func (b byCharacter) Swap(i, j int) {
	b.events[i], b.events[j] = b.events[j], b.events[i]
	b.msgs[i], b.msgs[j] = b.msgs[j], b.msgs[i]
}

// batchBytes bounds what a lane lets gather, in bytes of JSON, so that a saver's memory
// does not depend on what games put into their events. In memory an event of which only
// the place of its message is left takes half as much again, one with its message three
// times as much: such ones count twice.
const (
	batchBytes = 2 << 20
	keptTimes  = 2
)

// held lets go of the bytes of a message whose event is decoded, where they are not
// needed to settle it, and returns as how many the event counts.
func held(msg jetstream.Msg) int {
	n := len(msg.Data())
	if m, ok := msg.(interface{ Release() bool }); ok && m.Release() {
		return n
	}
	return keptTimes * n
}

// hasRoom reports whether an event that counts as so many bytes makes b no more than most
// events, and not too large to be in memory. One event always has room.
func (b *batch) hasRoom(bytes, most int) bool {
	return len(b.msgs) == 0 || len(b.msgs) < most && b.bytes+bytes <= batchBytes
}

func (b *batch) add(e *events.StateChanged, msg jetstream.Msg, bytes int) {
	b.events, b.msgs = append(b.events, *e), append(b.msgs, msg)
	b.bytes += bytes
}

// clear lets go of all that is in b, and keeps the room.
func (b *batch) clear() {
	clear(b.events)
	clear(b.msgs)
	b.events, b.msgs, b.bytes = b.events[:0], b.msgs[:0], 0
}

// following is how many events waited at the stream when it handed out the last of b.
func (b *batch) following() int {
	if len(b.msgs) == 0 {
		return 0
	}
	last, err := b.msgs[len(b.msgs)-1].Metadata()
	if err != nil {
		return 0 // read has refused those without
	}
	return int(min(last.NumPending, math.MaxInt32))
}

// laneOf spreads characters over lanes, neighbours among them: a multiplication
// by 2^64 divided by the golden ratio, of which the high bits count. What names no
// character, as ticks do, stays together.
func laneOf(char events.CharID, lanes int) int {
	return int(uint64(char) * 0x9e3779b97f4a7c15 >> 32 % uint64(lanes))
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

// giveBackLater lets nobody have the messages for a while.
func (b *batch) giveBackLater(delay time.Duration) {
	for _, msg := range b.msgs {
		_ = msg.NakWithDelay(delay) // if it is lost, the ack wait does the same
	}
}

func (b *batch) alive() {
	for _, msg := range b.msgs {
		_ = msg.InProgress() // if it is lost, the event comes a second time
	}
}

// newerDelay and newerTries are for events of a newer build: another saver gets
// them, or this one after its upgrade; after some minutes they go to the dead
// letters, from where they can be retried. So they do where many come: what waits counts
// as handed out, and the server hands out no more than so much (maxAckPending of the bus).
const (
	newerDelay = 5 * time.Second
	newerTries = 60
	mostNewer  = 1000
)

// decode reads the messages into b. What is no event of this scope goes to the dead
// letters.
func (w *Worker) decode(ctx context.Context, msgs []jetstream.Msg, b *batch) {
	for _, msg := range msgs {
		n := len(b.events)
		b.events = append(b.events, events.StateChanged{})
		if err := w.read(msg, &b.events[n]); err != nil {
			w.refuse(ctx, msg, b.events[n].CharID, err)
			b.events = b.events[:n]
			continue
		}
		b.msgs = append(b.msgs, msg)
	}
}

func (w *Worker) read(msg jetstream.Msg, e *events.StateChanged) error {
	if !w.Saver.Scope().HasState() {
		e.Scope = w.Saver.Scope()
		return nil // a tick says nothing but its subject
	}
	scope, char, err := events.ParseSubject(msg.Subject())
	if err != nil {
		return err
	}
	if err = events.DecodeInto(msg.Data(), e); err == nil {
		err = checkDelivery(e, scope, char, msg)
	}
	if err != nil && char != 0 {
		e.CharID = char // the subject is what the dead letters are found by
	}
	return err
}

// checkDelivery checks e against where and when the stream got it: roughly where that
// is enough.
func checkDelivery(e *events.StateChanged, scope events.Scope, char events.CharID, msg jetstream.Msg) error {
	if m, ok := msg.(interface{ StoredSince() time.Time }); ok {
		if since := m.StoredSince(); !since.IsZero() && e.CheckDelivery(scope, char, since) == nil {
			return nil
		}
	}
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	return e.CheckDelivery(scope, char, meta.Timestamp)
}

// refuse buries a message that cannot be read, or lets it wait for a newer saver.
func (w *Worker) refuse(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) {
	meta, err := msg.Metadata()
	if errors.Is(cause, events.ErrSchemaNewer) && err == nil && !w.RefuseNewer && meta.NumDelivered < newerTries && w.newer.mayWait(time.Now()) {
		_ = msg.NakWithDelay(newerDelay)
		return
	}
	w.bury(ctx, msg, char, cause)
}

// newer counts the events of newer builds that wait, of the last newerDelay.
type newer struct {
	since time.Time
	count int
}

// mayWait reports whether one more may wait.
func (n *newer) mayWait(now time.Time) bool {
	if now.Sub(n.since) > newerDelay {
		n.since, n.count = now, 0
	}
	n.count++
	return n.count <= mostNewer
}

// bury puts an event among the dead letters. Where that does not work now, as when they
// are full, the event comes again, and holds up nobody meanwhile.
func (w *Worker) bury(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) {
	if err := w.tryToBury(ctx, msg, char, cause); err != nil {
		w.Log.Warn("dead letter not kept; the event will come again", "char_id", char, "reason", cause, "err", err)
		_ = msg.NakWithDelay(newerDelay)
	}
}

func (w *Worker) tryToBury(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, buryTimeout)
	defer cancel()
	err := w.Dead.Bury(ctx, msg, w.Saver.Scope(), char, cause.Error())
	if errors.Is(err, events.ErrGone) { // nothing is left to be kept
		w.Log.Warn("event cannot be saved, and is not in the stream any more", "char_id", char, "reason", cause, "err", err)
		return msg.Term()
	}
	if err != nil {
		return err
	}
	w.Metrics.buried(w.Saver.Scope())
	return msg.TermWithReason("dead letter")
}

const buryTimeout = 5 * time.Second
