package intake_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// at is what is fetched at a time here: four times as much is a backlog.
const at = 10

// fill stores n events of the scope, and returns the sequence of the last. They go in
// pieces: a server that is busy takes its time, and few publishes may wait for their ack.
func (r *rig) fill(n int) uint64 {
	r.t.Helper()
	for ; n > 0; n -= 1000 {
		batch := make([]events.StateChanged, min(n, 1000))
		for i := range batch {
			batch[i] = r.vitals(42)
		}
		r.publish(batch...)
	}
	return r.stream(bus.StreamChanges).State.LastSeq
}

// catchUp acknowledges events until the source reads without acks, and returns
// the first that it fetches then and that were not acknowledged before: a reader may
// begin with some that were.
func (r *rig) catchUp(source *intake.Source) []jetstream.Msg {
	r.t.Helper()
	for newest, caughtUp := uint64(0), false; ; {
		msgs := r.next(source, at)
		switch {
		case caughtUp && !source.CatchesUp():
			r.t.Fatal("the backlog is too short")
		case caughtUp && sequence(r.t, msgs[0]) > newest:
			return msgs
		}
		r.ack(msgs...)
		newest = max(newest, sequence(r.t, msgs[len(msgs)-1]))
		caughtUp = source.CatchesUp()
	}
}

func (r *rig) floor() uint64 {
	r.t.Helper()
	return r.saver(events.ScopeVitals).AckFloor.Stream
}

// A saver acknowledges few of very many events; the consumer ends
// where it would have with an ack of each.
func TestBacklogIsSettledWithoutAnAckOfEach(t *testing.T) {
	t.Parallel()
	const n = 3000
	r := newRig(t, seldom)
	last := r.fill(n)
	acks, err := r.nc.SubscribeSync("$JS.ACK.SYNC.saver-vitals.>")
	r.must(err)
	source := r.source(events.ScopeVitals)

	var all []uint64
	for len(all) < n {
		msgs := r.next(source, at)
		all = append(all, sequences(t, msgs)...)
		r.ack(msgs...)
	}

	slices.Sort(all)
	if len(slices.Compact(all)) != n {
		t.Errorf("%d events came, some of them twice or never", len(all))
	}
	stacktest.Eventually(t, "all is settled", func() bool {
		info := r.saver(events.ScopeVitals)
		return info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream == last
	})
	if n, _, err := acks.Pending(); err != nil || n > 1000 { // those of the beginning
		t.Errorf("%d acks (%v)", n, err)
	}
	for n, _, _ := acks.Pending(); n > 0; n-- {
		msg, err := acks.NextMsg(patience)
		r.must(err)
		if strings.HasPrefix(string(msg.Data), "-NAK") {
			t.Fatalf("%s was given back, and nobody else was there", msg.Subject)
		}
	}
	r.fill(1)
	if got := sequences(t, r.next(source, at)); !slices.Equal(got, []uint64{last + 1}) {
		t.Errorf("then came %v, want %d", got, last+1)
	}
}

// Of a message in order it is known when it was not stored yet; of others nothing is.
func TestMessagesTellSinceWhenTheyAreStored(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1000)
	source := r.source(events.ScopeVitals)
	since := func(msg jetstream.Msg) time.Time { return msg.(interface{ StoredSince() time.Time }).StoredSince() }

	acked := r.next(source, at)
	for _, msg := range acked {
		if got := since(msg); !got.IsZero() {
			t.Fatalf("a message that may be out of order says that it was stored since %s", got)
		}
	}
	r.ack(acked...)
	for _, msg := range r.catchUp(source) {
		meta, err := msg.Metadata()
		r.must(err)
		if got := since(msg); got.IsZero() || got.After(meta.Timestamp) {
			t.Fatalf("message %d says that it was stored since %s, it was at %s", meta.Sequence.Stream, got, meta.Timestamp)
		}
		r.ack(msg)
	}
}

// Savers of all kinds at once: slow, dying, giving back; the consumer moved back by
// an operator; new events all the time. At no moment is it beyond an
// event that nobody has saved.
func TestConsumerIsNeverBeyondWhatIsSaved(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = time.Second
	r := newRig(t, topology)
	stored := 1000
	r.fill(stored)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()

	var mu sync.Mutex
	saved := make(map[uint64]bool)
	catchUps := 0        // fetches in one
	var calm atomic.Bool // in the end
	check := func() (unsaved int) {
		floor := r.floor() // before the look at what is saved
		mu.Lock()
		defer mu.Unlock()
		for seq := uint64(1); seq <= floor; seq++ {
			if !saved[seq] {
				t.Errorf("the consumer is at %d, and %d is not saved", floor, seq)
			}
		}
		return stored - len(saved)
	}
	// life is one saver from its start to its death.
	life := func(chance *rand.Rand) error {
		b, err := bus.Connect(r.server.URL(), t.Name(), quiet)
		if err != nil {
			return err
		}
		p := process{b, intake.New(b, quiet)}
		defer p.close(ctx)
		p.intake.SetSettleEvery(5 * time.Millisecond)
		source, err := p.intake.Source(ctx, events.ScopeVitals)
		if err != nil {
			return err
		}
		life, die := context.WithTimeout(ctx, time.Duration(chance.IntN(1000))*time.Millisecond)
		defer die()
		careless := !calm.Load() && chance.IntN(2) == 0 // it drops what it has in hand
		var later []jetstream.Msg
		for life.Err() == nil {
			msgs, err := source.Fetch(life, at)
			if err != nil {
				return err
			}
			if source.CatchesUp() {
				mu.Lock()
				catchUps++
				mu.Unlock()
			}
			later = append(later, msgs...)
			if chance.IntN(10) == 0 {
				time.Sleep(time.Duration(chance.IntN(20)) * time.Millisecond)
			}
			// Two lanes: of what is in hand, some is settled, in any order.
			chance.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
			for len(later) > chance.IntN(3*at) {
				msg := later[0]
				later = later[1:]
				if !calm.Load() && chance.IntN(500) == 0 {
					if err := msg.Nak(); err != nil {
						return err
					}
					continue
				}
				meta, err := msg.Metadata()
				if err != nil {
					return err
				}
				mu.Lock()
				saved[meta.Sequence.Stream] = true
				mu.Unlock()
				if err := msg.Ack(); err != nil {
					return err
				}
			}
		}
		if careless {
			b.Conn().Close()
		}
		if _, err := source.Fetch(life, at); err != nil || careless { // it gives up what is ahead
			return err
		}
		for _, msg := range later {
			_ = msg.Nak()
		}
		return nil
	}

	var savers errgroup.Group
	over, stopSavers := context.WithCancel(ctx)
	for seed := range uint64(3) {
		savers.Go(func() error {
			chance := rand.New(rand.NewPCG(seed, 5))
			for over.Err() == nil {
				if err := life(chance); err != nil && over.Err() == nil {
					return err
				}
				// Now and then the first is alone.
				time.Sleep(time.Duration(chance.IntN(1+1000*int(seed))) * time.Millisecond)
			}
			return nil
		})
	}
	for turn := 0; ; turn++ {
		mu.Lock()
		storm := stored < 3000 || catchUps < 5
		mu.Unlock()
		calm.Store(!storm)
		if storm {
			r.fill(100)
			stored += 100
		}
		if storm && turn%20 == 10 {
			back := 1 + rand.Uint64N(r.floor()+1) // others may move it on meanwhile
			_, err := r.js.ResetConsumerToSequence(ctx, bus.StreamChanges, "saver-vitals", back)
			r.must(err)
		}
		unsaved := check()
		if t.Failed() || (!storm && unsaved == 0) || ctx.Err() != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stopSavers()
	r.must(savers.Wait())
	if left := check(); left > 0 {
		t.Errorf("%d events were never saved", left)
	}
	if catchUps == 0 {
		t.Error("no saver ever caught up: this test shows nothing")
	}
}

// What a source has read ahead of a catch-up, and not handed out yet when it is given
// up, goes to others at once.
func TestGivenUpCatchUpGivesBackWhatIsAhead(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = time.Hour
	r := newRig(t, topology)
	const n = 500
	r.fill(n)
	r.await(n, 0)
	filled, came := n, 0
	source := r.source(events.ScopeVitals)
	for !source.ReadsAhead() {
		if came >= filled { // all came, some twice, before a catch-up had anything ahead
			r.fill(n)
			filled = came + n
		}
		msgs := r.next(source, at)
		came += len(msgs)
		if !source.ReadsAhead() {
			r.ack(msgs...)
		}
	}

	ahead := sequences(t, source.Ahead())
	r.giveUp(source)

	other := r.source(events.ScopeVitals)
	other.AckEach = true
	seen := make(map[uint64]bool)
	for slices.ContainsFunc(ahead, func(seq uint64) bool { return !seen[seq] }) {
		msgs := r.next(other, at)
		for _, seq := range sequences(t, msgs) {
			seen[seq] = true
		}
		r.ack(msgs...)
	}
	r.giveUp(other)
}

// A message that did not arrive is not taken for one that was saved.
func TestLostMessageOfABacklogComesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(20 * time.Millisecond)
	last := r.fill(1000)
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	lost := sequence(t, msgs[len(msgs)-1]) + 1
	source.Lose()
	r.ack(msgs...)

	r.comesAgain(source, lost, last)
}

// comesAgain saves all up to last, and fails where the consumer goes beyond seq
// before that has come once more.
func (r *rig) comesAgain(source *intake.Source, seq, last uint64) {
	r.t.Helper()
	seen := false
	for r.floor() < last {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second) // the last is settled later
		msgs, err := source.Fetch(ctx, at)
		cancel()
		r.must(err)
		seen = seen || slices.Contains(sequences(r.t, msgs), seq)
		if floor := r.floor(); floor >= seq && !seen {
			r.t.Fatalf("the consumer is at %d, and %d is not saved", floor, seq)
		}
		for _, msg := range msgs {
			r.must(msg.Ack())
		}
	}
}

// What is given back, and everything behind it, comes again.
func TestGivenBackOfABacklogComesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(20 * time.Millisecond)
	last := r.fill(3000) // more than may lie ready
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	back := sequence(t, msgs[0])
	r.must(msgs[0].Nak())
	r.ack(msgs[1:]...)

	r.comesAgain(source, back, last)
}
