package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// rig is the product on real servers, with the commands on top.
type rig struct {
	t     *testing.T
	cli   *cli
	conns *connections
	redis *redis.Client // to look and write behind the product's back
	js    jetstream.JetStream
	game  *gateway.Service
	saves func() // stops the savers
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, cli: new(cli), saves: func() {}}
	r.cli.NATSURL, r.cli.RedisURL, r.cli.DatabaseURL = stacktest.NATS(t).URL(), stacktest.Redis(t), stacktest.Database(t)
	var err error
	r.conns, err = open(t.Context(), r.cli, t.Name(), quiet)
	r.must(err)
	t.Cleanup(func() { r.conns.close(context.Background()) })
	opts, err := redis.ParseURL(r.cli.RedisURL)
	r.must(err)
	r.redis = redis.NewClient(opts)
	t.Cleanup(func() { _ = r.redis.Close() })
	stacktest.Eventually(t, "a connection to NATS", r.conns.bus.Conn().IsConnected)
	r.must(r.conns.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour}))
	r.js, err = jetstream.New(r.conns.bus.Conn())
	r.must(err)
	r.game = gateway.New(gateway.Config{
		Hot: r.conns.hot, Stream: r.conns.bus, Mirror: r.conns.bus.Mirror(), Cold: r.conns.cold, Log: quiet,
		PublishTimeout: 5 * time.Second, ActionTimeout: 20 * time.Second, Fence: time.Millisecond,
	})
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// saver is one of the system's.
func (r *rig) saver(run *runCmd) *saver {
	return &saver{runCmd: run, conns: r.conns, registry: stateSavers(), log: quiet}
}

// save runs a saver of each scope until r.saves is called.
func (r *rig) save() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.saver(&runCmd{Batch: 100}).work(ctx) }()
	r.saves = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.saves)
}

// sweep sweeps until stop is called, as the sweeper does that runs beside savers: a join
// may mark what was saved a moment before, and nobody else clears that. It begins after
// --repair does, which would find nothing left to mend.
func (r *rig) sweep() (stop func()) {
	r.t.Helper()
	run := &runCmd{Grace: time.Second, SessionIdle: time.Hour, EvictIdle: time.Hour}
	run.CleanupEvery = 10 * time.Second
	sweeper := r.saver(run).cleanup()
	ctx, cancel := context.WithCancel(context.Background())
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for pause := 2 * repairAfter; ; pause = 100 * time.Millisecond {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			if err := sweeper.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				r.t.Error(err)
			}
		}
	})
	return func() {
		cancel()
		sweeping.Wait()
	}
}

// play gives a character a row of every kind.
func (r *rig) play(char events.CharID) {
	r.t.Helper()
	ctx := r.t.Context()
	_, err := r.game.SetVitals(ctx, char, events.Vitals{HP: 80, Energy: 55, Location: events.Location{Zone: "harbor"}}, gateway.Options{})
	r.must(err)
	_, err = r.game.ChangeItems(ctx, char, []game.ItemDelta{{ItemID: "potion", Delta: 3}, {ItemID: "rope", Delta: 1}}, gateway.Options{})
	r.must(err)
	fight, err := r.game.Enter(ctx, char, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	r.must(err)
	_, err = r.game.FinishCombat(ctx, char, fight.SessionID, game.Result{Outcome: "victory", XP: 20}, gateway.Options{})
	r.must(err)
	_, err = r.game.Enter(ctx, char, game.Entry{Context: game.ContextScenario, ScenarioID: "old-road"}, gateway.Options{})
	r.must(err)
}

// trade lets a character give its rope to another.
func (r *rig) trade(char events.CharID) {
	r.t.Helper()
	trade := game.Trade{ID: uuid.New(), From: char, To: char + 1000, Items: []game.ItemDelta{{ItemID: "rope", Delta: 1}}}
	_, err := r.game.Transfer(r.t.Context(), trade, gateway.Options{})
	r.must(err)
}

// settle returns when PostgreSQL has everything and nothing is dirty.
func (r *rig) settle() {
	r.t.Helper()
	if out, err := r.verify(verifyCmd{Wait: patience}); err != nil {
		r.t.Fatalf("not settled: %v\n%s", err, out)
	}
}

func (r *rig) sql(statement string, args ...any) {
	r.t.Helper()
	tag, err := r.conns.pool.Exec(r.t.Context(), statement, args...)
	r.must(err)
	if tag.RowsAffected() == 0 {
		r.t.Fatalf("%s touched no row", statement)
	}
}

func (r *rig) verify(v verifyCmd) (string, error) {
	r.t.Helper()
	if v.Limit == 0 {
		v.Limit = 20
	}
	out := new(bytes.Buffer)
	err := v.Run(r.t.Context(), r.cli, &output{Out: out, Err: io.Discard})
	if err != nil && !errors.Is(err, errDiffer) {
		r.t.Fatalf("verify: %v\n%s", err, out)
	}
	return out.String(), err
}

func (r *rig) purge() {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamChanges)
	r.must(err)
	r.must(stream.Purge(r.t.Context()))
}

// patience is far above what anything takes.
const patience = time.Minute
