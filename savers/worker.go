package savers

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Source hands out messages that nobody has settled; see intake.Source.
type Source interface {
	// Fetch returns what is waiting, at most limit messages, and blocks while nothing is.
	// The caller settles each of them. It returns none where the messages that were said
	// to wait do not come, because others have taken them.
	Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error)
}

// A releaser is a message of a Source that can let go of its bytes when its event is
// decoded, and reports whether it has; what settles it works as before. See bus.delivery.
type releaser interface{ Release() bool }

// A detacher is a message of a Source that holds more than its own bytes, and has a form
// that does not, to be held instead. See bus.delivery.
type detacher interface{ Detached() jetstream.Msg }

// A storedSincer is a message of a Source that knows a time before which it was not
// stored, or zero; its metadata cost more to read. See bus.delivery.
type storedSincer interface{ StoredSince() time.Time }

// DeadLetters keeps what cannot be saved; see bus.Bus.
type DeadLetters interface {
	// Bury returns when msg is stored among the dead letters.
	Bury(ctx context.Context, msg jetstream.Msg, scope events.Scope, char events.CharID, reason string) error
}

// Marks is told what is saved; see hot.Store.
type Marks interface {
	// Saved clears the dirty marks that these events have overtaken.
	Saved(ctx context.Context, batch []events.StateChanged) error
}

// DB runs transactions, as a pgxpool.Pool does.
type DB interface {
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
	// SendBatch executes statements in one transaction, in one round trip.
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// Worker is the universal loop: fetch, decode, open the transaction, call the saver of
// the scope, commit, acknowledge, after-commit. What is fetched is split by character
// into lanes, each with a transaction of its own: two lanes have no row in common, so
// that neither waits for the other's locks. Few events are one transaction. One more lane
// is for characters that hold up others (aside). While batches commit, the next are
// fetched and decoded (dealer), and what follows the last ones' commit is done.
type Worker struct {
	// Saver stores the batches.
	Saver Saver
	// Source hands out the messages of the saver's scope.
	Source Source
	DB     DB
	Dead   DeadLetters
	// Marks may be nil: then nobody is told what is saved.
	Marks Marks
	Log   *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics

	// BatchSize is how many events one transaction saves at most; half as many are
	// fetched at a time. A batch is what is waiting; one waits to become full only where
	// the next fetch is known to bring enough. It is smaller while events are large: at
	// most about 2 MiB.
	//
	// Defaults to 10,000: larger ones fold a little better, hold locks longer, and each
	// lane has up to four of them in memory: committed, under way, and two that wait.
	BatchSize int
	// Lanes is how many transactions may be under way at a time.
	//
	// Defaults to 2.
	Lanes int
	// RefuseNewer buries an event of a newer build at once: for a replay, whose events no
	// other saver takes.
	RefuseNewer bool
	// Pace makes workers that are behind while players play drain their backlog no
	// faster than those can bear. nil for none.
	Pace *Pace
	// AckWait is the consumer's; a batch in hand gives a sign of life three
	// times within it.
	//
	// Defaults to 10 s.
	AckWait time.Duration
	// SaveTimeout bounds one transaction. What takes longer is divided: each half may
	// take half as long, down to a second, and then each character a tenth of one.
	//
	// Defaults to 10 s.
	SaveTimeout time.Duration
	// ShutdownTimeout is how long the batch in hand may take to commit once
	// Run's context is done.
	//
	// Defaults to 10 s.
	ShutdownTimeout time.Duration
	// Backoff is the wait after the first transient error. It doubles up to 64
	// times its value.
	//
	// Defaults to 100 ms.
	Backoff time.Duration

	aside *aside
	// Events of a newer build, and those for which the dead letters have no room.
	newer, unburied *retryQuota
}

func (w *Worker) withDefaults() *Worker {
	c := *w
	c.aside, c.newer, c.unburied = new(aside), new(retryQuota), new(retryQuota)
	c.BatchSize = cmp.Or(max(c.BatchSize, 0), 10_000)
	c.Lanes = cmp.Or(max(c.Lanes, 0), 2)
	c.AckWait = cmp.Or(max(c.AckWait, 0), 10*time.Second)
	c.SaveTimeout = cmp.Or(max(c.SaveTimeout, 0), 10*time.Second)
	c.ShutdownTimeout = cmp.Or(max(c.ShutdownTimeout, 0), 10*time.Second)
	c.Backoff = cmp.Or(max(c.Backoff, 0), 100*time.Millisecond)
	c.Log = c.Log.With("scope", c.Saver.Scope())
	return &c
}

// fetchSize is how many messages are fetched at a time. With their bytes they take twice
// as much memory as in a batch (weigh), and as many again are held ready.
func (w *Worker) fetchSize() int { return (w.BatchSize + 1) / 2 }

// Run saves until ctx is done. Then what the lanes have in hand commits and is
// acknowledged; what is only decoded goes back for another saver. Run returns
// when all of this has ended, with nil.
func (w *Worker) Run(ctx context.Context) error {
	w = w.withDefaults()
	// What is in hand outlives ctx by ShutdownTimeout.
	hand, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(w.ShutdownTimeout, cancel) })()
	beat := newHeartbeat(w.AckWait / 3)
	dealer := newDealer(w, beat)
	fetched := make(chan *batch)
	var lanes, rest sync.WaitGroup
	for number := range w.Lanes + 1 {
		saved := make(chan *batch)
		lane := w.newLane(number, ctx.Done(), saved)
		lanes.Go(func() {
			defer close(saved)
			for b := range dealer.batches(number) {
				lane.saveInHand(hand, b)
				beat.drop(b)
			}
		})
		lanes.Go(func() {
			for b := range saved {
				w.afterCommit(hand, b)
			}
		})
	}
	rest.Go(beat.run)
	rest.Go(func() {
		defer close(fetched)
		w.fetch(ctx, fetched, beat)
	})
	dealer.run(ctx, fetched)
	lanes.Wait()
	beat.stop()
	rest.Wait()
	return nil
}

// fetch hands over what is waiting until ctx is done.
func (w *Worker) fetch(ctx context.Context, out chan<- *batch, beat *heartbeat) {
	for try := 1; ; {
		msgs, err := w.Source.Fetch(ctx, w.fetchSize())
		if ctx.Err() != nil {
			if len(msgs) == 0 { // the source has given up what nobody had fetched
				return
			}
			(&batch{msgs: msgs}).giveBack()
			continue
		}
		if err != nil {
			w.Log.Warn("fetch", "attempt", try, "err", err)
			w.wait(ctx, nil, try)
			try++
			continue
		}
		try = 1
		last := w.paced(msgs)
		handOver(ctx, &batch{msgs: msgs}, out, beat)
		if last != nil {
			w.Pace.slowDown(ctx, w.Saver.Scope(), last, w.fetchSize())
		}
	}
}

// wait waits before the next try. It reports false where the worker stops instead.
func (w *Worker) wait(ctx context.Context, stopping <-chan struct{}, try int) bool {
	timer := time.NewTimer(w.Backoff << min(try-1, 6))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stopping:
	case <-ctx.Done():
	}
	return false
}

// paced returns the metadata of the last message, for the pace; nil where there is no
// pace to keep. It is read before the messages are handed over, since the next stage lets
// go of their bytes.
func (w *Worker) paced(msgs []jetstream.Msg) *jetstream.MsgMetadata {
	if w.Pace == nil || !w.Saver.Scope().HasState() || len(msgs) == 0 {
		return nil
	}
	last, err := msgs[len(msgs)-1].Metadata()
	if err != nil {
		return nil // what is no event is found out later
	}
	return last
}

// handOver waits until the next stage takes b. b may be empty: then it only tells that
// the fetch is over, and no batch waits to become full.
func handOver(ctx context.Context, b *batch, next chan<- *batch, beat *heartbeat) {
	beat.add(b)
	select {
	case next <- b:
	case <-ctx.Done():
		beat.drop(b)
		b.giveBack()
	}
}

// asideLane is the lane of the characters that hold up others.
func (w *Worker) asideLane() int { return w.Lanes }
