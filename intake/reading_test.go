package intake_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// sized is a message of so many bytes.
type sized struct {
	jetstream.Msg
	data []byte
}

func (m sized) Data() []byte         { return m.data }
func (m sized) Headers() nats.Header { return nil }

// bring brings messages of some size, one after the other, and counts those that lie
// ready, or did.
func bring(r intake.Reading, n, size int) *atomic.Int64 {
	brought, msg := new(atomic.Int64), sized{data: make([]byte, size)}
	go func() {
		for range n {
			r.Handle(msg)
			brought.Add(1)
		}
	}()
	return brought
}

func TestLittleLiesReadyWhereMessagesAreLarge(t *testing.T) {
	for name, c := range map[string]struct{ size, ready, most int }{
		"small":            {100, 1024, 5000},
		"large":            {200 << 10, 11, 11}, // ten are less than 2 MiB
		"larger than that": {5 << 20, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := intake.NewReading()
				defer r.Leave()
				const n = 5000
				brought := bring(r, n, c.size)
				synctest.Wait()
				if got := brought.Load(); got != int64(c.ready) {
					t.Fatalf("%d lie ready, want %d", got, c.ready)
				}

				// All of them come, and no Fetch takes many at once.
				for got := 0; got < n; {
					msgs := len(r.Fetch(n))
					if msgs > c.most {
						t.Fatalf("%d at once, want %d at most", msgs, c.most)
					}
					got += msgs
					synctest.Wait()
				}
			})
		})
	}
}

// One that is left holds nobody up.
func TestReadingThatIsLeftTakesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := intake.NewReading()
		brought := bring(r, 100, 1<<20)
		synctest.Wait()

		r.Leave()

		synctest.Wait()
		if got := brought.Load(); got != 100 {
			t.Errorf("the client is held up after %d", got)
		}
	})
}

// What the client has when a reading is given up goes back, though as much lies ready as
// may.
func TestGivenUpFetchGivesBackWhatIsLarge(t *testing.T) {
	t.Parallel()
	const n, mayBeReady = 60, 6
	topology := seldom
	topology.AckWait = time.Hour
	r := newRig(t, topology)
	for range n {
		r.put("sync.vitals.42", strings.Repeat("x", 400<<10))
	}
	r.await(n, 0)
	source := r.source(events.ScopeVitals)
	source.AckEach = true
	first := r.next(source, n)
	if len(first) > mayBeReady {
		t.Errorf("%d messages at once, want %d at most", len(first), mayBeReady)
	}
	stacktest.Eventually(t, "one has no room", func() bool {
		return r.saver(events.ScopeVitals).NumAckPending > len(first)+mayBeReady
	})

	within(t, "the end of the fetch", func() { r.giveUp(source) })

	rest := r.take(r.source(events.ScopeVitals), n-len(first))
	all := slices.Sorted(slices.Values(append(sequences(t, first), sequences(t, rest)...)))
	if got := len(slices.Compact(all)); got != n {
		t.Errorf("%d of %d came", got, n)
	}
}

// Also as a backlog that is not acknowledged one by one.
func TestCatchUpReturnsFewMessagesThatAreLarge(t *testing.T) {
	t.Parallel()
	const n, size = 80, 400 << 10
	r := newRig(t, seldom)
	for range n {
		r.put("sync.vitals.42", strings.Repeat("x", size))
	}
	r.await(n, 0)
	source := r.source(events.ScopeVitals)
	var caughtUp bool
	for all := make(map[uint64]bool); len(all) < n; {
		ahead := len(source.Ahead()) > 0
		msgs := r.next(source, at)
		// What lies ready, and as much again that was on its way when the reading ended.
		if bytes := len(msgs) * size; bytes > 2*(2<<20)+size && !ahead {
			t.Fatalf("%d KiB at once", bytes>>10)
		}
		caughtUp = caughtUp || source.CatchesUp()
		for _, msg := range msgs {
			all[sequence(t, msg)] = true
			r.must(msg.Ack())
		}
	}
	if !caughtUp {
		t.Error("it was no backlog")
	}
}
