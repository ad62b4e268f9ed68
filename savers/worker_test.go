package savers_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// An external publisher knows only the contract. Its events come shuffled,
// doubled, on both forms of the subject, with garbage among them, while two
// savers work, then four, then one.
func TestExternalPublisherIsSavedAndItsGarbageBuried(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(40, 25)
	random := rand.New(rand.NewPCG(7, 7))
	garbage := garbageVitals(t, &history[0])

	var messages []message
	for i := range history {
		body := encode(t, &history[i])
		messages = append(messages, message{"sync.vitals", body}, message{events.Subject(events.ScopeVitals, history[i].CharID), body})
	}
	for body := range garbage {
		messages = append(messages, message{"sync.vitals.1", []byte(body)})
	}
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })

	stops := []func(){r.start(savers.VitalsStateSaver{}, 50), r.start(savers.VitalsStateSaver{}, 50)}
	for i, m := range messages {
		r.publish(m.subject, m.body)
		switch i {
		case len(messages) / 3:
			stops = append(stops, r.start(savers.VitalsStateSaver{}, 7), r.start(savers.VitalsStateSaver{}, 200))
		case 2 * len(messages) / 3:
			for _, stop := range stops[:3] {
				stop()
			}
		}
	}
	r.settled(events.ScopeVitals)

	r.wantVitals(history)
	letters := r.letters()
	for body, reason := range garbage {
		if !strings.Contains(letters[body], reason) {
			t.Errorf("dead letter of %.60q: reason %q, want it to contain %q", body, letters[body], reason)
		}
	}
	if len(letters) != len(garbage) {
		t.Errorf("%d dead letters, want %d", len(letters), len(garbage))
	}
}

// garbageVitals maps bodies that are no good to what their reason must contain.
func garbageVitals(t *testing.T, good *events.StateChanged) map[string]string {
	body := string(encode(t, good))
	change := func(old, now string) string {
		if !strings.Contains(body, old) {
			t.Fatalf("no %s in %s", old, body)
		}
		return strings.Replace(body, old, now, 1)
	}
	ahead := events.New(1, events.Version(time.Now().Add(time.Hour).UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeVitals, good.Data)
	other := events.New(2, good.Version, events.CauseAction, uuid.Nil, events.ScopeVitals, good.Data)
	return map[string]string{
		"":                                  "not valid JSON",
		"{":                                 "not valid JSON",
		"\xff\xfe":                          "not UTF-8",
		change(`"hp":0`, `"hp":-1`):         "data.hp",
		change(`"hp":0`, `"hp":0,"mana":1`): "data.mana: unknown field",
		change(`"hp":0,`, ``):               "data.hp: field is missing",
		change(`"scope":"vitals"`, `"scope":"x"`): "scope",
		change(`"char_id":1`, `"char_id":0`):      "char_id",
		change(`"zone":"z"`, `"zone":"\u0000"`):   "data.location.zone",
		change(`"x":0`, `"x":1e999`):              "data.location.x",
		string(encode(t, &ahead)):                 "5 minutes ahead",
		string(encode(t, &other)):                 "char_id",
		body + "x":                                "something follows",
		change(`"schema":1`, `"schema":0`):        "schema",
	}
}

// A worker that is told to stop commits and acknowledges what it has in hand, and
// gives back what it has only decoded, at once: nothing waits for AckWait.
func TestStopFinishesTheBatchInHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	// So few are no backlog, of which what is given back brings others with it.
	const batch = 20
	history := liveVitals(30, 1)
	r.publishAll(history)

	saving, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var hand, again atomic.Int64
	stop := r.start(saverFunc(func(ctx context.Context, tx pgx.Tx, part []events.StateChanged) error {
		hand.Add(int64(len(part)))
		once.Do(func() { close(saving) })
		<-release
		return savers.VitalsStateSaver{}.Save(ctx, tx, part)
	}), batch)
	<-saving
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped

	if got := len(r.vitalsVersions()); got != int(hand.Load()) {
		t.Errorf("%d rows after the stop, want the %d in hand", got, hand.Load())
	}
	r.start(saverFunc(func(ctx context.Context, tx pgx.Tx, part []events.StateChanged) error {
		again.Add(int64(len(part)))
		return savers.VitalsStateSaver{}.Save(ctx, tx, part)
	}), batch)
	r.settled(events.ScopeVitals)
	r.wantVitals(history)
	if got, want := int(again.Load()), len(history)-int(hand.Load()); got != want {
		t.Errorf("%d events came again, want the %d that were not in hand", got, want)
	}
}

// marksFunc is told what is saved.
type marksFunc func(ctx context.Context, batch []events.StateChanged) error

func (f marksFunc) Saved(ctx context.Context, batch []events.StateChanged) error {
	return f(ctx, batch)
}

// While those who wait for a save are told of it, which takes as long as Redis
// does, the next one commits. A worker that stops has told of all that it has saved.
func TestNextSaveDoesNotWaitForWhatFollowsTheLast(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(2, 1)
	release := make(chan struct{})
	var told atomic.Int64
	worker := r.worker(savers.VitalsStateSaver{})
	worker.Lanes = 1
	worker.Marks = marksFunc(func(_ context.Context, batch []events.StateChanged) error {
		<-release
		told.Add(int64(len(batch)))
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()

	for i := range history {
		r.publishAll(history[i : i+1])
		stacktest.Eventually(t, "the save", func() bool { return len(r.vitalsVersions()) == i+1 })
	}

	r.settled(events.ScopeVitals)
	stop()
	close(release)
	if err := <-done; err != nil || told.Load() != int64(len(history)) {
		t.Errorf("%d of %d saves were told of when the worker ended (%v)", told.Load(), len(history), err)
	}
}
