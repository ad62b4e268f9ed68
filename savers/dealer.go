package savers

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A dealer decodes what was fetched and deals it out to the lanes, each of which
// asks for its next batch when it has saved one. What comes meanwhile waits as
// one batch: however few events a fetch brings while a transaction is under way,
// the next one saves them all.
type dealer struct {
	w    *Worker
	beat *heartbeat

	asking chan int      // lanes that ask
	lanes  []chan *batch // what a lane has asked for
	asked  []bool
	// waiting is what each lane saves next, one batch after the other, of which the
	// last grows. Nothing more is fetched while one has more than one.
	waiting [][]*batch
	decoded batch // the room to decode into
	// patience ends when what waits has waited long enough to become full; nil unless
	// it should.
	patience <-chan time.Time
}

func newDealer(w *Worker, beat *heartbeat) *dealer {
	lanes := w.Lanes + 1
	d := &dealer{
		w: w, beat: beat,
		asking: make(chan int, lanes), lanes: make([]chan *batch, lanes),
		asked: make([]bool, lanes), waiting: make([][]*batch, lanes),
	}
	for i := range d.lanes {
		d.lanes[i] = make(chan *batch, 1) // a lane that has asked has room
	}
	return d
}

// fillWait is how long a batch that should become full waits at most. Where several
// savers and scopes take turns at the stream, the next fetch comes only every some tens
// of milliseconds, and a pace may let few events through; an event that has waited in a
// backlog can wait this much longer.
const fillWait = 500 * time.Millisecond

// run deals until ctx is done or fetched is closed. Then batches that no lane has begun
// go back for another saver, and so does all that still comes from fetched until it is
// closed.
func (d *dealer) run(ctx context.Context, fetched <-chan *batch) {
	defer d.end(fetched)
	for {
		var next <-chan *batch
		if !d.isFull() {
			next = fetched
		}
		select {
		case b, ok := <-next:
			if !ok {
				return
			}
			d.take(ctx, b)
		case lane := <-d.asking:
			d.asked[lane] = true
		case <-d.patience:
			d.patience = nil
		case <-ctx.Done():
			return
		}
		d.handOut()
	}
}

// wantsFull reports whether the next fetch will be full, so that a batch should become
// full before a transaction begins.
func (d *dealer) wantsFull() bool { return d.patience != nil }

// batches is what a lane saves, one after the other: each is asked for when the
// one before is done.
func (d *dealer) batches(lane int) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		for {
			d.asking <- lane
			b, ok := <-d.lanes[lane]
			if !ok || !yield(b) {
				return
			}
		}
	}
}

func (d *dealer) isFull() bool {
	return slices.ContainsFunc(d.waiting, func(batches []*batch) bool { return len(batches) > 1 })
}

// take decodes what was fetched and deals it.
func (d *dealer) take(ctx context.Context, fetched *batch) {
	following := fetched.following()
	d.w.decode(ctx, fetched.msgs, &d.decoded)
	d.deal(&d.decoded, following)
	d.decoded.clear()
	d.beat.drop(fetched)
}

// deal adds the events of b to what waits for the lanes. following is how many wait in
// the stream behind them.
func (d *dealer) deal(b *batch, following int) {
	switch {
	case following < d.w.fetchSize():
		d.patience = nil
	case d.patience == nil:
		d.patience = time.After(fillWait)
	}
	lanes := d.w.share(len(b.events), following)
	for _, waiting := range d.all() {
		d.beat.drop(waiting) // nobody looks at a batch that grows
	}
	for i := range b.events {
		d.put(d.laneOf(b.events[i].CharID, lanes), &b.events[i], b.msgs[i], (len(b.events)-i)/lanes)
	}
	for _, waiting := range d.all() {
		d.beat.add(waiting)
	}
}

// all yields each batch that waits, with the lane that it waits for.
func (d *dealer) all() iter.Seq2[int, *batch] {
	return func(yield func(int, *batch) bool) {
		for lane, batches := range d.waiting {
			for _, b := range batches {
				if !yield(lane, b) {
					return
				}
			}
		}
	}
}

// laneOf returns the lane of a character when characters are spread over so many lanes.
func (d *dealer) laneOf(char events.CharID, lanes int) int {
	if d.w.aside.has(char) {
		return d.w.asideLane()
	}
	return laneOf(char, lanes)
}

// put lets an event wait for a lane, for which about as many more are coming. Of the
// events of characters set aside no more than one batch waits: what is behind them must
// not wait for them.
func (d *dealer) put(lane int, e *events.StateChanged, msg jetstream.Msg, coming int) {
	weight, kept := weigh(msg)
	if lane == d.w.asideLane() && !kept {
		// It would hold up the settling of all that is behind it.
		_ = msg.NakWithDelay(retryLater)
		return
	}
	if lane == d.w.asideLane() {
		msg = detached(msg)
	}
	batches := d.waiting[lane]
	if n := len(batches); n == 0 || !batches[n-1].hasRoom(weight, d.w.BatchSize) {
		if n > 0 && lane == d.w.asideLane() {
			_ = msg.NakWithDelay(retryLater)
			return
		}
		d.waiting[lane] = append(batches, newBatch(d.room(weight, coming)))
		batches = d.waiting[lane]
	}
	batches[len(batches)-1].add(e, msg, weight)
}

// room returns the capacity of a new batch, if all its events are as heavy as its first
// and so many are coming.
func (d *dealer) room(weight, coming int) int {
	if d.wantsFull() {
		return min(d.w.BatchSize, batchBytes/max(weight, 1)+1)
	}
	return coming + coming/8 + 1 // lanes are not quite even
}

// handOut gives the lanes that ask what is ready for them: what should become
// full waits only while more can come, and not for longer than fillWait.
func (d *dealer) handOut() {
	for lane, batches := range d.waiting {
		waits := d.wantsFull() && !d.isFull() && lane != d.w.asideLane()
		if !d.asked[lane] || len(batches) == 0 || waits {
			continue
		}
		d.lanes[lane] <- batches[0]
		d.asked[lane] = false
		d.waiting[lane] = slices.Delete(batches, 0, 1)
		if d.wantsFull() { // the next one has as long
			d.patience = time.After(fillWait)
		}
	}
}

// end gives back what waits and what is still fetched.
func (d *dealer) end(fetched <-chan *batch) {
	for _, lane := range d.lanes {
		close(lane)
	}
	for _, b := range d.all() {
		d.giveBack(b)
	}
	for b := range fetched {
		d.giveBack(b)
	}
}

func (d *dealer) giveBack(b *batch) {
	d.beat.drop(b)
	b.giveBack()
}

// A batch smaller than 1/fewOf is not split: the second transaction costs more than it
// gains. If it has a row in common with a transaction of another lane, one waits for the
// other, as with two savers.
const fewOf = 32

// share returns over how many lanes count events are spread. A fetch alone does not tell
// a few events from a piece of a backlog, so following, which wait behind them, count
// too.
func (w *Worker) share(count, following int) int {
	if count+following < w.BatchSize/fewOf {
		return 1
	}
	return w.Lanes
}

// laneOf spreads characters over lanes, neighbours among them: a multiplication
// by 2^64 divided by the golden ratio, of which the high bits count. What names no
// character, as ticks do, stays together.
func laneOf(char events.CharID, lanes int) int {
	return int(uint64(char) * 0x9e3779b97f4a7c15 >> 32 % uint64(lanes))
}
