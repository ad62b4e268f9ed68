package savers

import (
	"context"
	"iter"
	"slices"
	"time"
)

// A dealer decodes what was fetched and deals it out to the lanes, each of which
// asks for its next batch when it has saved one. What comes meanwhile waits as
// one batch: however few events a fetch brings while a transaction is under way,
// the next one saves them all.
type dealer struct {
	w      *Worker
	keeper *keeper

	asking chan int      // lanes that ask
	lanes  []chan *batch // what a lane has asked for
	asked  []bool
	// waiting is the next batch of each lane, and grows; beyond is what did not fit
	// into it. Nothing more is fetched while there is such.
	waiting, beyond []*batch
	// filling: so much waits at the stream that a batch should be full before a
	// transaction begins.
	filling bool
}

func newDealer(w *Worker, k *keeper) *dealer {
	d := &dealer{
		w: w, keeper: k,
		asking: make(chan int, w.Lanes), lanes: make([]chan *batch, w.Lanes),
		asked: make([]bool, w.Lanes), waiting: make([]*batch, w.Lanes), beyond: make([]*batch, w.Lanes),
	}
	for i := range d.lanes {
		d.lanes[i] = make(chan *batch, 1) // a lane that has asked has room
	}
	return d
}

// fillWait is how long a batch that should become full waits for the next fetch.
// A backlog brings it at once, unless others have taken the rest of it, or the
// pace holds it back.
const fillWait = 10 * time.Millisecond

// run deals until ctx is done, or fetched is closed. What has not begun then goes
// back for another saver, and so does all that is still fetched, until that is closed.
func (d *dealer) run(ctx context.Context, fetched <-chan *batch) {
	defer d.end(fetched)
	for {
		var next <-chan *batch
		var patience <-chan time.Time
		if !d.isFull() {
			next = fetched
			if d.filling {
				patience = time.After(fillWait)
			}
		}
		select {
		case b, ok := <-next:
			if !ok {
				return
			}
			d.take(ctx, b)
		case lane := <-d.asking:
			d.asked[lane] = true
		case <-patience:
			d.filling = false
		case <-ctx.Done():
			return
		}
		d.handOut()
	}
}

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
	for _, b := range d.beyond {
		if b != nil {
			return true
		}
	}
	return false
}

// take decodes what was fetched and deals it.
func (d *dealer) take(ctx context.Context, fetched *batch) {
	d.deal(d.w.decode(ctx, fetched.msgs), fetched.following())
	d.keeper.drop(fetched)
}

// deal puts b, behind which so many events wait at the stream, beside what waits
// for the lanes.
func (d *dealer) deal(b *batch, following int) {
	d.filling = following >= d.w.BatchSize
	for lane, part := range d.w.share(b, following) {
		d.put(lane, part)
	}
}

// put lets b wait for a lane.
func (d *dealer) put(lane int, b *batch) {
	if len(b.msgs) == 0 {
		return
	}
	switch waiting := d.waiting[lane]; {
	case waiting == nil:
		d.waiting[lane] = b
	case waiting.fits(b, d.w.BatchSize):
		d.keeper.drop(waiting)
		b = waiting.with(b)
		d.waiting[lane] = b
	default:
		d.beyond[lane] = b
	}
	d.keeper.add(b)
}

// handOut gives the lanes that ask what is ready for them: what should become
// full waits only while more can come.
func (d *dealer) handOut() {
	for lane, b := range d.waiting {
		if !d.asked[lane] || b == nil || d.filling && !d.isFull() {
			continue
		}
		d.lanes[lane] <- b
		d.asked[lane] = false
		d.waiting[lane], d.beyond[lane] = d.beyond[lane], nil
	}
}

// end gives back what waits and what is still fetched.
func (d *dealer) end(fetched <-chan *batch) {
	for _, lane := range d.lanes {
		close(lane)
	}
	for _, b := range slices.Concat(d.waiting, d.beyond) {
		d.giveBack(b)
	}
	for b := range fetched {
		d.giveBack(b)
	}
}

func (d *dealer) giveBack(b *batch) {
	if b != nil {
		d.keeper.drop(b)
		b.giveBack()
	}
}

// fewOf a batch are not split: less than this part of one costs more by a second
// transaction than it gains. Should they meet a row of another lane, one waits for
// the other, as two savers do.
const fewOf = 16

// share splits a batch over the lanes. How much came with one fetch does not tell
// few events from a backlog, which comes in pieces: following is what waits behind.
func (w *Worker) share(b *batch, following int) []*batch {
	if len(b.msgs)+following < w.BatchSize/fewOf {
		return []*batch{b}
	}
	return b.byLane(w.Lanes)
}
