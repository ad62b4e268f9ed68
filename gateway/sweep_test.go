package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// letters lists the dead letters.
func (s *system) letters() (letters []events.DeadLetter) {
	s.t.Helper()
	err := s.bus.Letters(s.t.Context(), "", 0, func(l events.DeadLetter) bool {
		letters = append(letters, l)
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return letters
}

func (s *system) sql(statement string) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), statement); err != nil {
		s.t.Fatal(err)
	}
}

// settled waits until the savers of a scope have settled every event.
func (s *system) settled(scope events.Scope) {
	s.t.Helper()
	stacktest.Eventually(s.t, "all "+string(scope)+" events settled", func() bool {
		backlog, err := s.bus.Backlog(s.t.Context(), scope)
		return err == nil && backlog.Unsaved() == 0
	})
}

// unpublished gives vitals to the characters up to one, which only Redis knows.
func (s *system) unpublished(last int) {
	s.t.Helper()
	s.stream.cut.Store(true)
	defer s.stream.cut.Store(false)
	for char := 1; char <= last; char++ {
		s.want(200, "PUT", fmt.Sprint(char)+"/vitals", harbor)
	}
}

// A row that somebody wrote past the game cannot be read, and must not keep the
// other characters from their turn.
func TestUnreadableCharacterDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.unpublished(3)
	if err := s.redis.HSet(t.Context(), "{ac:1}:vitals", "hp", "many").Err(); err != nil {
		t.Fatal(err)
	}

	s.sweep(time.Minute)

	if n := len(s.published()); n != 2 {
		t.Errorf("%d events published, want those of the two others", n)
	}
	// It is not the first of each sweep from now on.
	chars, err := s.hot.Overdue(t.Context(), time.Now(), 10)
	if err != nil || len(chars) != 0 {
		t.Errorf("overdue: %v, %v", chars, err)
	}
}

// badBlock is a PostgreSQL that cannot read the rows of one character.
type badBlock struct {
	savers.CleanupCold
	char events.CharID
}

func (b badBlock) Rows(ctx context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	if _, ok := wanted[b.char]; ok {
		return nil, events.Unavailable(events.PostgreSQL, &pgconn.PgError{Code: "XX001", Message: "invalid page in block 7 of relation base/5/16400"})
	}
	return b.CleanupCold.Rows(ctx, wanted)
}

// Nor must a row that PostgreSQL cannot read, or a key of Redis that is something else.
func TestCharacterThatCannotBeAskedAboutDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.unpublished(5)
	pipe := s.redis.Pipeline()
	pipe.Del(t.Context(), "{ac:2}:dirty")
	pipe.Set(t.Context(), "{ac:2}:dirty", "vitals", 0)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	sweeper := s.cleanup(time.Nanosecond)
	sweeper.Cold = badBlock{s.cold, 1}

	if err := sweeper.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}

	if n := len(s.published()); n != 3 {
		t.Errorf("%d events published, want those of the three others", n)
	}
	chars, err := s.hot.Overdue(t.Context(), time.Now().Add(time.Minute), 10)
	if err != nil || len(chars) != 0 {
		t.Errorf("first of the next sweep: %v, %v", chars, err)
	}
}

// Those whom a server is away for are looked at again soon, and after the others.
func TestSweepThatAServerIsAwayForDelaysNobody(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.unpublished(3)
	s.stream.cut.Store(true)
	hours := time.Now().Add(3 * time.Hour)
	if err := s.cleanup(time.Nanosecond).Sweep(t.Context(), hours); err == nil {
		t.Error("the stream is away, and no error")
	}
	if chars, err := s.hot.Overdue(t.Context(), hours, 10); err != nil || len(chars) != 0 {
		t.Errorf("first of the next sweep: %v, %v", chars, err)
	}
	s.stream.cut.Store(false)

	if err := s.cleanup(time.Nanosecond).Sweep(t.Context(), hours.Add(10*time.Second)); err != nil {
		t.Error(err)
	}

	if n := len(s.published()); n != 3 {
		t.Errorf("%d of 3 events published", n)
	}
}

// A full bucket AC is no reason to leave what nobody has published.
func TestFullMirrorDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	stream, err := s.js.Stream(t.Context(), bus.StreamMirror)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes = 100
	if _, err := s.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	const characters, writers = 520, 8 // more than are handled together
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for char := 1 + w; char <= characters; char += writers {
				if r, err := s.try(0, "POST", fmt.Sprint(char)+"/contexts/inventory", ""); err != nil || r.Status != 201 {
					t.Errorf("%+v %v", r, err)
				}
			}
		})
	}
	group.Wait()
	s.stream.cut.Store(true)
	s.want(200, "PUT", "9999/vitals", harbor)
	s.stream.cut.Store(false)

	s.sweep(time.Minute)

	s.settled(events.ScopeVitals)
	s.sweep(2 * time.Minute)
	if view := s.look(9999, "hot"); len(view.Dirty) != 0 {
		t.Errorf("dirty: %+v", view.Dirty)
	}
}

// PostgreSQL refuses a row for good: the sweeper tries it more and more seldom,
// its letters are one, and when it can be saved at last the letter goes.
func TestRefusedRowKeepsOneLetterUntilItIsSaved(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.sql("ALTER TABLE character_vitals ADD CONSTRAINT no_harbor CHECK (zone <> 'harbor')")
	s.save()
	s.want(200, "PUT", "1/vitals", harbor)
	s.settled(events.ScopeVitals)

	began := time.Now()
	for later := time.Second; later < 2*time.Hour; later += 10 * time.Second {
		if err := s.cleanup(time.Nanosecond).Sweep(t.Context(), began.Add(later)); err != nil {
			t.Fatal(err)
		}
		s.settled(events.ScopeVitals)
	}
	if n := len(s.published()); n < 10 || n > 40 {
		t.Errorf("%d events published in two hours of sweeps", n)
	}
	if letters := s.letters(); len(letters) != 1 {
		t.Errorf("%d letters of one row", len(letters))
	}
	if view := s.look(1, "hot"); len(view.Dirty) != 1 {
		t.Errorf("dirty: %+v", view.Dirty)
	}

	s.want(200, "PUT", "1/vitals", `{"hp":70,"energy":55,"location":{"zone":"tower","x":0,"y":0}}`)
	s.wantEqual()
	s.sweep(time.Second)
	if letters := s.letters(); len(letters) != 0 {
		t.Errorf("left are %+v", letters)
	}
}

// Only what PostgreSQL has as new or newer resolves a letter: nothing that may
// be the only copy of a change goes.
func TestLetterStaysWhileItMayBeTheOnlyCopy(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.sql("ALTER TABLE items ADD CONSTRAINT no_gems CHECK (item_id <> 'gem')")
	s.save()
	bury := func(subject, body string) {
		t.Helper()
		if _, err := s.js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	// Another service's event, of a row that Redis does not know.
	version := events.Version(time.Now().Add(-time.Minute).UnixMicro())
	gem := events.New(1, version, events.CauseAction, uuid.Nil, events.ScopeInventory,
		events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: 1, Quantity: 1}, {ItemID: "rope", Delta: 1, Quantity: 1}}})
	body, err := events.Encode(&gem)
	if err != nil {
		t.Fatal(err)
	}
	bury("sync.inventory.1", string(body))
	bury("sync.inventory.1", "no event")
	bury("sync.vitals.1", "no event")
	bury("sync.vitals.2", "no event")
	bury("sync.vitals", "no event")
	s.settled(events.ScopeInventory)
	s.settled(events.ScopeVitals)
	if n := len(s.letters()); n != 5 {
		t.Fatalf("%d letters, want 5", n)
	}

	// Newer events of the same character and scopes.
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"rope","delta":1},{"item_id":"sword","delta":1}]}`)
	s.want(200, "PUT", "1/vitals?durability=cold", harbor)
	s.sweep(time.Second)
	if n := len(s.letters()); n != 5 {
		t.Errorf("%d letters are left, want all 5", n)
	}

	// The vitals are newer than whatever can have been in the body that nobody
	// can read; the gem is saved by another event.
	s.sql(fmt.Sprintf("UPDATE character_vitals SET version = %d", time.Now().Add(events.MaxAhead+time.Minute).UnixMicro()))
	s.sql("ALTER TABLE items DROP CONSTRAINT no_gems")
	s.sql(fmt.Sprintf("INSERT INTO items (char_id, item_id, version, quantity) VALUES (1, 'gem', %d, 5)", version))
	s.sweep(time.Second)
	var left []string
	for _, l := range s.letters() {
		left = append(left, l.Subject)
	}
	slices.Sort(left) // each scope is buried by its own worker
	if want := "[sync.inventory.1 sync.vitals.2 sync.vitals.any]"; fmt.Sprint(left) != want {
		t.Errorf("left are %v, want %s", left, want)
	}
}

// Idle characters that have to stay do not keep those behind them in Redis.
func TestIdleCharactersThatStayDoNotHideOthers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	for char := 1; char <= 3; char++ {
		s.want(201, "POST", fmt.Sprint(char)+"/contexts/inventory", "")
	}
	s.want(200, "PUT", "4/vitals", harbor)
	s.wantEqual()
	sweeper := s.cleanup(time.Nanosecond)
	sweeper.SessionIdle = 1000 * time.Hour
	later := time.Now().Add(3 * time.Hour)
	if err := sweeper.Sweep(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if s.redis.Exists(t.Context(), "ac:4").Val() != 0 {
		t.Error("the idle character is still there")
	}
	idle, err := s.hot.Idle(t.Context(), later.Add(-time.Hour), 10)
	if err != nil || len(idle) != 0 {
		t.Errorf("idle: %v, %v", idle, err)
	}
	if idle, err = s.hot.Idle(t.Context(), later.Add(-53*time.Minute), 10); err != nil || len(idle) != 3 {
		t.Errorf("idle some minutes later: %v, %v", idle, err)
	}
}

// Nor does one that cannot be forgotten, as somebody else wrote its version.
func TestIdleCharacterThatCannotBeForgottenDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	for char := 1; char <= 3; char++ {
		s.want(200, "PUT", fmt.Sprint(char)+"/vitals", harbor)
	}
	s.wantEqual()
	if err := s.redis.HSet(t.Context(), "ac:2", "version", "none").Err(); err != nil {
		t.Fatal(err)
	}

	later := time.Now().Add(3 * time.Hour)
	s.sweep(3 * time.Hour)

	if left := s.redis.Exists(t.Context(), "ac:1", "ac:2", "ac:3").Val(); left != 1 {
		t.Errorf("%d are left, want the one that cannot be forgotten", left)
	}
	idle, err := s.hot.Idle(t.Context(), later.Add(-time.Hour), 10)
	if err != nil || len(idle) != 0 {
		t.Errorf("first of the next sweep: %v, %v", idle, err)
	}
}

// After an outage every saved mark goes in one sweep, and a sweep without time
// does nothing but go on the next time.
func TestManySavedMarksAreClearedInOneSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const characters = 6000 // more than one look into the index lists
	var batch []events.StateChanged
	pipe := s.redis.Pipeline()
	version := events.Version(time.Now().Add(-time.Hour).UnixMicro())
	for char := events.CharID(1); char <= characters; char++ {
		batch = append(batch, events.New(char, version, events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{Location: events.Location{Zone: "z"}}))
		pipe.HSet(t.Context(), fmt.Sprintf("{ac:%d}:dirty", char), "vitals", int64(version))
		pipe.ZAdd(t.Context(), "dirty", redis.Z{Score: float64(version), Member: char.String()})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := (savers.VitalsStateSaver{}).Save(t.Context(), tx, batch); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	dirty := func() int64 {
		n, err := s.hot.CountDirty(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}

	hasty := s.cleanup(time.Second)
	hasty.Budget = time.Nanosecond
	if err := hasty.Sweep(t.Context(), time.Now()); err != nil || dirty() != characters {
		t.Errorf("%d are dirty after a sweep without time: %v", dirty(), err)
	}
	patient := s.cleanup(time.Second)
	patient.Budget = time.Minute
	began := time.Now()
	if err := patient.Sweep(t.Context(), time.Now()); err != nil || dirty() != 0 {
		t.Errorf("%d are dirty: %v", dirty(), err)
	}
	t.Logf("%d marks cleared in %s", characters, time.Since(began))
}

// One item that PostgreSQL refuses does not keep the others of its bag from
// being saved.
func TestRefusedItemDoesNotHoldUpTheRestOfTheBag(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.sql("ALTER TABLE items ADD CONSTRAINT no_gems CHECK (item_id <> 'gem')")
	s.stream.cut.Store(true)
	for _, item := range []string{"gem", "potion", "rope"} {
		s.want(200, "POST", "1/inventory", fmt.Sprintf(`{"changes":[{"item_id":%q,"delta":1}]}`, item))
	}
	s.stream.cut.Store(false)
	s.save()
	s.sweep(time.Minute)
	stacktest.Eventually(t, "the other items are saved", func() bool {
		return s.count("SELECT count(*) FROM items WHERE char_id = 1 AND quantity = 1") == 2
	})
}
