package savers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
)

// Source hands out messages that nobody has settled; see bus.Source.
type Source interface {
	// Fetch returns what is waiting, at most limit messages, and blocks while
	// nothing is. The caller settles each of them. It returns none where what was
	// said to wait does not come, because others have taken it.
	Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error)
}

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

// Worker is the universal loop: fetch, decode, open the transaction, call the
// saver of the scope, commit, acknowledge, after-commit. What is fetched is split
// by character into lanes, each with a transaction of its own: two lanes have no
// row in common, so that neither waits for the other's locks. Few events are one
// transaction. A lane more is for those who hold up others (aside). While batches
// commit, the next are fetched and decoded (dealer), and what follows the last ones'
// commit is done.
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
	// RefuseNewer buries an event of a newer build at once: for who saves what is stored,
	// where no other saver takes it.
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
	// take half as long, but not less than a second.
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
	newer *newer
}

func (w *Worker) withDefaults() *Worker {
	c := *w
	c.aside, c.newer = new(aside), new(newer)
	if c.BatchSize < 1 {
		c.BatchSize = 10_000
	}
	if c.Lanes < 1 {
		c.Lanes = 2
	}
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.AckWait, 10*time.Second)
	def(&c.SaveTimeout, 10*time.Second)
	def(&c.ShutdownTimeout, 10*time.Second)
	def(&c.Backoff, 100*time.Millisecond)
	c.Log = c.Log.With("scope", c.Saver.Scope())
	return &c
}

// fetchSize is how many messages are fetched at a time. With their bytes they take twice
// as much memory as what is left of them in a batch (held), and as many again lie ready.
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
	keeper := newKeeper(w.AckWait / 3)
	dealer := newDealer(w, keeper)
	var saving, group errgroup.Group
	for lane := range w.Lanes + 1 {
		saved := make(chan *batch)
		saving.Go(func() error {
			defer close(saved)
			for b := range dealer.batches(lane) {
				w.saveInHand(hand, ctx.Done(), b, saved)
				keeper.drop(b)
			}
			return nil
		})
		saving.Go(func() error {
			for b := range saved {
				w.afterCommit(hand, b)
			}
			return nil
		})
	}
	fetched := make(chan *batch)
	group.Go(keeper.run)
	group.Go(func() error {
		defer close(fetched)
		w.fetch(ctx, fetched, keeper)
		return nil
	})
	group.Go(func() error {
		defer keeper.stop()
		dealer.run(ctx, fetched)
		return saving.Wait()
	})
	return group.Wait()
}

// fetch hands over what is waiting until ctx is done.
func (w *Worker) fetch(ctx context.Context, out chan<- *batch, keeper *keeper) {
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
			w.pause(ctx, try)
			try++
			continue
		}
		try = 1
		handOver(ctx, &batch{msgs: msgs}, out, keeper)
		if w.Pace != nil && w.Saver.Scope().HasState() {
			w.Pace.slowDown(ctx, w.Saver.Scope(), msgs, w.fetchSize())
		}
	}
}

// handOver waits until the next stage takes b, of which nothing but its end may be
// there: then no batch waits to become full.
func handOver(ctx context.Context, b *batch, next chan<- *batch, keeper *keeper) {
	keeper.add(b)
	select {
	case next <- b:
	case <-ctx.Done():
		keeper.drop(b)
		b.giveBack()
	}
}

// asideLane is the lane of those who hold up others.
func (w *Worker) asideLane() int { return w.Lanes }

// saveInHand saves a batch to the end: each event is stored and acknowledged, or
// buried, or given back because the worker stops or it does not get through. What is
// stored goes to saved.
func (w *Worker) saveInHand(ctx context.Context, stopping <-chan struct{}, b *batch, saved chan<- *batch) {
	select {
	case <-stopping:
		b.giveBack()
		return
	default:
	}
	if err := w.save(ctx, stopping, b, w.SaveTimeout, saved); err != nil {
		b.giveBack()
		w.Log.Warn("batch given back", "events", len(b.events), "err", err)
	}
}

const (
	maxTries = 5 // of one event alone, before an unknown error makes it a bad one
	// leastTimeout is how long the smallest part of a batch that is stuck may take. What
	// needs longer even alone has all of SaveTimeout in the lane of those set aside.
	leastTimeout = time.Second
)

// save stores b, or the parts of it that can be stored now: a batch with an event
// that cannot is cut in half until that event is alone, and one that is stuck until
// the character is. The error means that the worker stops.
func (w *Worker) save(ctx context.Context, stopping <-chan struct{}, b *batch, timeout time.Duration, saved chan<- *batch) error {
	for try := 1; ; try++ {
		err := w.transact(ctx, b.events, timeout)
		if err == nil {
			w.settle(b, saved)
			return nil
		}
		kind := KindOf(err)
		w.Metrics.failed(w.Saver.Scope(), kind)
		switch {
		case kind == KindTransient:
			w.Log.Warn("batch not saved", "events", len(b.events), "attempt", try, "err", err)
		case kind == KindStuck && b.ofOne():
			w.setAside(b, err)
			return nil
		case len(b.events) > 1:
			if kind == KindStuck {
				timeout = max(timeout/2, leastTimeout)
			}
			left, right := b.split()
			return errors.Join(w.save(ctx, stopping, left, timeout, saved), w.save(ctx, stopping, right, timeout, saved))
		case kind == KindBad || try >= maxTries:
			w.bury(ctx, b.msgs[0], b.events[0].CharID, err)
			return nil
		}
		if err := w.waitToRetry(ctx, stopping, try, err); err != nil {
			return err
		}
	}
}

// setAside lets the events of one character wait, and those of it that come meanwhile be
// saved where they hold up nobody.
func (w *Worker) setAside(b *batch, cause error) {
	char := b.events[0].CharID
	w.Log.Warn("character set aside: its events do not get through, and are tried again", "char_id", char, "events", len(b.events), "err", cause)
	w.aside.add(char)
	b.giveBackLater(asideDelay)
}

// transact saves events in one transaction. A saver that panics has a bug.
func (w *Worker) transact(ctx context.Context, batch []events.StateChanged, timeout time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("saver of %s panicked: %v", w.Saver.Scope(), p)
		}
	}()
	if q, ok := w.Saver.(Queuer); ok {
		err = w.sendAll(ctx, q, batch)
	} else {
		err = w.saveIn(ctx, batch)
	}
	if err != nil {
		return fmt.Errorf("save %d %s events: %w", len(batch), w.Saver.Scope(), explained(err))
	}
	w.Metrics.saved(w.Saver.Scope(), batch, time.Since(started))
	return nil
}

// sendAll sends the saver's statements as one transaction, in one round trip.
func (w *Worker) sendAll(ctx context.Context, saver Queuer, batch []events.StateChanged) error {
	var statements pgx.Batch
	if err := saver.Queue(&statements, batch); err != nil || statements.Len() == 0 {
		return err
	}
	return w.DB.SendBatch(ctx, &statements).Close()
}

// saveIn calls the saver between BEGIN and COMMIT.
func (w *Worker) saveIn(ctx context.Context, batch []events.StateChanged) error {
	tx, err := w.DB.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit it does nothing. The connection may be gone; what is open
	// in it is then gone too.
	defer func() { _ = tx.Rollback(ctx) }()
	if err := w.Saver.Save(ctx, tx, batch); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// settle acknowledges what is committed and passes it on to those who tell of it.
// From here on nothing can be lost: an ack that is lost makes the event come again.
func (w *Worker) settle(b *batch, saved chan<- *batch) {
	b.ack(w.Log)
	w.aside.drop(b.events)
	saved <- b
}

// afterCommit tells those who wait for what is committed. The next transaction does
// not wait for it, the one after that does.
func (w *Worker) afterCommit(ctx context.Context, b *batch) {
	ctx, cancel := context.WithTimeout(ctx, afterCommitTimeout)
	defer cancel()
	if w.Marks != nil && w.Saver.Scope().HasState() {
		if err := w.Marks.Saved(ctx, b.events); err != nil {
			w.Log.Warn("marks not cleared; cleanup will", "events", len(b.events), "err", err)
		}
	}
	if after, ok := w.Saver.(AfterCommitter); ok {
		if err := after.AfterCommit(ctx, b.events); err != nil {
			w.Log.Warn("after commit", "events", len(b.events), "err", err)
		}
	}
}

// afterCommitTimeout bounds what follows a commit, so that a slow Redis holds
// up no saves for longer.
const afterCommitTimeout = 30 * time.Second

// waitToRetry waits before the next try. The error means that the worker stops.
func (w *Worker) waitToRetry(ctx context.Context, stopping <-chan struct{}, try int, cause error) error {
	timer := time.NewTimer(w.delay(try))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stopping:
	case <-ctx.Done():
	}
	return fmt.Errorf("stopped while retrying: %w", cause)
}

func (w *Worker) pause(ctx context.Context, try int) {
	timer := time.NewTimer(w.delay(try))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (w *Worker) delay(try int) time.Duration { return w.Backoff << min(try-1, 6) }
