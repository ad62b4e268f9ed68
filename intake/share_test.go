package intake_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// crew is a saver of its own, which settles often.
func (r *rig) crew() (process, *intake.Source) {
	r.t.Helper()
	b, err := bus.Connect(r.server.URL(), r.t.Name(), quiet)
	r.must(err)
	p := process{b, intake.New(b, quiet)}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.close(ctx)
	})
	p.intake.SetSettleEvery(20 * time.Millisecond)
	source, err := p.intake.Source(r.t.Context(), events.ScopeVitals)
	r.must(err)
	return p, source
}

// Two savers take a backlog together: what the one gets the other does not, once both
// take part, hardly an event is acknowledged, and the consumer ends where it would
// have with an ack of each.
func TestSaversShareABacklog(t *testing.T) {
	t.Parallel()
	const n = 10_000
	r := newRig(t, seldom)
	last := r.fill(n)
	acks, err := r.nc.SubscribeSync("$JS.ACK.SYNC.saver-vitals.>")
	r.must(err)
	r.must(acks.SetPendingLimits(-1, -1))

	var mu sync.Mutex
	seen := make(map[uint64]int)
	var led, helped int // so many came to them without acks
	var savers errgroup.Group
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for range 2 {
		_, source := r.crew()
		savers.Go(func() error {
			for {
				msgs, err := source.Fetch(ctx, at)
				if err != nil || ctx.Err() != nil {
					return err
				}
				mu.Lock()
				for _, msg := range msgs {
					meta, err := msg.Metadata()
					if err != nil {
						mu.Unlock()
						return err
					}
					seen[meta.Sequence.Stream]++
				}
				switch {
				case source.Helps():
					helped += len(msgs)
				case source.CatchesUp():
					led += len(msgs)
				}
				mu.Unlock()
				for _, msg := range msgs {
					_ = msg.Ack() // the server does not answer where the consumer was moved
				}
			}
		})
	}
	stacktest.Eventually(t, "all is settled", func() bool {
		info := r.saver(events.ScopeVitals)
		return info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream == last
	})
	cancel()
	r.must(savers.Wait())

	again := 0
	for _, times := range seen {
		again += times - 1
	}
	if len(seen) != n || again > n/5 {
		t.Errorf("%d events came, want %d; %d came again", len(seen), n, again)
	}
	if led == 0 || helped == 0 {
		t.Errorf("%d came to the one that led, and %d to the one that helped", led, helped)
	}
	if n, _, err := acks.Pending(); err != nil || n > 2000 { // those of the beginning, and of what came again
		t.Errorf("%d acks (%v)", n, err)
	}
}

// A saver that is lost, or gives something back, while others take part: what it had
// comes again, and until then the consumer is not beyond it.
func TestWhatOneOfManyDoesNotSaveComesAgain(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(r *rig, p process, source *intake.Source, held []jetstream.Msg){
		"killed": func(_ *rig, p process, _ *intake.Source, _ []jetstream.Msg) { p.bus.Conn().Close() },
		"gives one back": func(r *rig, _ process, _ *intake.Source, held []jetstream.Msg) {
			r.must(held[0].Nak())
			r.ack(held[1:]...)
		},
		"ends": func(r *rig, p process, source *intake.Source, held []jetstream.Msg) {
			r.giveUp(source) // what it had got ahead
			for _, msg := range held {
				_ = msg.Nak()
			}
			ctx, cancel := context.WithTimeout(r.t.Context(), patience)
			defer cancel()
			p.close(ctx)
		},
		"connected again": func(r *rig, p process, _ *intake.Source, held []jetstream.Msg) {
			r.must(p.bus.Conn().ForceReconnect())
			stacktest.Eventually(r.t, "connected", func() bool { return p.bus.Conn().Stats().Reconnects > 0 && p.bus.Conn().IsConnected() })
			r.ack(held[1:]...)
			r.must(held[0].Nak())
		},
	} {
		for _, who := range []string{"leader", "helper"} {
			t.Run(who+" "+name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, seldom)
				last := r.fill(3000)
				ofLeader, leader := r.crew()
				ledMsgs := r.catchUp(leader)
				ofHelper, helper := r.crew()
				helpedMsgs := r.catchUp(helper)
				if !helper.Helps() || leader.Helps() {
					t.Fatal("the second does not help the first")
				}
				// The first ones the helper had got, too, before it took part.
				for drawn := r.saver(events.ScopeVitals).Delivered.Stream; sequence(t, ledMsgs[0]) <= drawn; {
					r.ack(ledMsgs...)
					ledMsgs = r.next(leader, at)
				}

				owner, lost, held, survivor, rest := ofHelper, helper, helpedMsgs, leader, ledMsgs
				if who == "leader" {
					owner, lost, held, survivor, rest = ofLeader, leader, ledMsgs, helper, helpedMsgs
				}
				seq := sequence(t, held[0])
				lose(r, owner, lost, held)
				r.ack(rest...)

				r.comesAgain(survivor, seq, last)
			})
		}
	}
}

// A saver of which nothing is heard may be slow: it is gone when its connection is.
func TestSaverIsGoneWhenItsConnectionIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1000)
	p, leader := r.crew()
	p.intake.SetSilentAfter(time.Hour)
	r.catchUp(leader)
	reader := leader.Reader()
	nc, err := nats.Connect(r.server.URL())
	r.must(err)
	t.Cleanup(nc.Close)
	const answers = "where.it.hears"
	heard, err := nc.SubscribeSync(answers)
	r.must(err)

	r.must(nc.PublishRequest("savepoint."+reader, answers, []byte(`{"schema":1,"saver":"of.few words"}`)))

	for _, want := range []string{"more", "", ""} { // the answer, and then it is called
		msg, err := heard.NextMsg(patience)
		r.must(err)
		if string(msg.Data) != want {
			t.Fatalf("it heard %q, want %q", msg.Data, want)
		}
	}
	if _, err := r.js.Consumer(t.Context(), bus.StreamChanges, reader); err != nil {
		t.Fatal("the catch-up ended, though the saver is there:", err)
	}
	nc.Close()
	stacktest.Eventually(t, "the catch-up ends", func() bool {
		_, err := r.js.Consumer(t.Context(), bus.StreamChanges, reader)
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
}

// When another saver has read the last of a backlog, a saver gets what was handed out
// to it before, and then hears that nothing more comes: it may hold back what it has
// for more. None of it comes again.
func TestSaverGetsTheRestWhereAnotherHasReadTheLast(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	last := r.fill(4000)
	_, leader := r.crew()
	r.ack(r.catchUp(leader)...)
	_, helper := r.crew()
	held := r.catchUp(helper)
	stacktest.Eventually(t, "no more can lie ready, so the other one gets the last", helper.IsFull)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make(map[uint64]int)
	lead := func(until func() bool) {
		for ctx.Err() == nil && !until() {
			msgs, err := leader.Fetch(ctx, at)
			r.must(err)
			for _, seq := range sequences(t, msgs) {
				seen[seq]++
			}
			for _, msg := range msgs {
				_ = msg.Ack() // the server does not answer where the consumer was moved
			}
		}
	}
	lead(func() bool { return seen[last] > 0 })
	stacktest.Eventually(t, "it is told", helper.HeardEnough)
	for {
		msgs, err := helper.Fetch(ctx, at)
		r.must(err)
		if len(msgs) == 0 {
			break
		}
		held = append(held, msgs...)
	}
	if ctx.Err() != nil {
		t.Fatal("nobody told it that nothing more comes")
	}
	begun := slices.Min(sequences(t, held))
	for _, seq := range sequences(t, held) {
		seen[seq]++
	}
	for _, msg := range held {
		_ = msg.Ack()
	}
	lead(func() bool { return r.floor() == last })
	for seq := begun; seq <= last; seq++ {
		if seen[seq] != 1 {
			t.Fatalf("message %d came %d times", seq, seen[seq])
		}
	}
}

// A leader without connection hears nothing; whoever asks finds that nobody leads, and
// leads.
func TestReaderWithoutALeaderIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	last := r.fill(3000)
	p, leader := r.crew()
	r.catchUp(leader)
	p.bus.Conn().Close()

	_, source := r.crew()
	msgs := r.catchUp(source)
	if source.Helps() {
		t.Error("it helps somebody who is gone")
	}
	seqs := sequences(t, msgs)
	r.ack(msgs...)
	for len(seqs) == 0 || slices.Max(seqs) < last {
		msgs = r.next(source, at)
		seqs = sequences(t, msgs)
		r.ack(msgs...)
	}
	stacktest.Eventually(t, "all is settled, and the readers are gone", func() bool {
		stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
		r.must(err)
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if strings.HasPrefix(name, "catch-up-") {
				return false
			}
		}
		return r.floor() == last
	})
}
