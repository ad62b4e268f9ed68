package gateway_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// wantMirror checks that the mirror shows what Redis has.
func (s *system) wantMirror(char events.CharID) {
	s.t.Helper()
	loaded, err := s.hot.Load(s.t.Context(), char, game.Want{})
	if err != nil {
		s.t.Fatal(err)
	}
	shown, err := s.bus.Mirror().Get(s.t.Context(), char)
	if err != nil {
		s.t.Fatal(err)
	}
	if shown.Version != loaded.Contexts.Version || fmt.Sprint(shown.Active) != fmt.Sprint(loaded.Contexts.Active) {
		s.t.Errorf("the mirror shows %+v, Redis has %+v", shown, loaded.Contexts)
	}
}

// The stream loses its disk with events that nobody has saved.
func TestLostStreamIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for char := 1; char <= 20; char++ {
		s.want(200, "PUT", strconv.Itoa(char)+"/vitals", harbor)
	}
	if err := s.js.DeleteStream(t.Context(), bus.StreamChanges); err != nil {
		t.Fatal(err)
	}
	if err := s.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour}); err != nil {
		t.Fatal(err)
	}
	s.save()
	s.sweep(time.Minute)
	s.wantEqual()
}

// Sessions of a character that nobody has heard of end as abandoned and are
// saved, once, however many savers sweep.
func TestLostSessionsAreAbandonedAndSaved(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(201, "POST", "1/contexts/scenario", `{"scenario_id":"old-road"}`)
	fight := s.want(201, "POST", "2/contexts/combat", "").SessionID
	s.want(201, "POST", "3/contexts/inventory", "")

	s.sweep(time.Minute)
	if view := s.look(2, "hot"); len(view.Contexts) != 1 {
		t.Errorf("contexts %+v: a minute of silence is too short", view.Contexts)
	}
	var sweeps sync.WaitGroup
	for range 4 {
		sweeps.Go(func() { s.sweep(20 * time.Minute) })
	}
	sweeps.Wait()

	for char := 1; char <= 3; char++ {
		if view := s.look(char, "hot"); len(view.Contexts) != 0 {
			t.Errorf("character %d: contexts %+v", char, view.Contexts)
		}
	}
	s.wantEqual()
	if view := s.look(1, "cold"); view.Scenarios[0].Status != "abandoned" {
		t.Errorf("scenario: %+v", view.Scenarios)
	}
	var fights []game.FightRecord
	s.do(0, "GET", "2/combats", "").into(t, &fights)
	if len(fights) != 1 || fights[0].Outcome != "abandoned" {
		t.Errorf("fights: %+v", fights)
	}
	late := s.do(0, "POST", "2/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":99`))
	if late.Status != 409 {
		t.Errorf("finishing the abandoned fight: %d %s", late.Status, late.Body)
	}
	// The road can be taken up again.
	s.want(201, "POST", "1/contexts/scenario", `{"scenario_id":"old-road"}`)
}

// A character goes out of Redis when it is idle and saved, never before, and
// comes back as it was.
func TestIdleCharacterIsForgottenOnlyWhenSaved(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "1/vitals", harbor)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":3}]}`)
	s.sweep(3 * time.Hour)
	if s.redis.Exists(t.Context(), "ac:1").Val() != 1 {
		t.Fatal("an unsaved character was forgotten")
	}
	s.save()
	s.wantEqual()
	s.sweep(4 * time.Hour) // one that had to stay is looked at again some time later
	if keys := s.redis.Keys(t.Context(), "*ac:1*").Val(); len(keys) != 0 {
		t.Errorf("keys left: %v", keys)
	}
	bag := s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":-1}]}`)
	if bag.Items[0].Quantity != 2 {
		t.Errorf("after the return: %+v", bag.Items)
	}
	s.wantEqual()
}

// Redis loses everything: what was acknowledged comes back from PostgreSQL, the
// stream and the mirror, saved or not.
func TestEmptiedRedisIsJoinedAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	stop := s.save()
	s.want(200, "PUT", "1/vitals", harbor)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":3}]}`)
	s.wantEqual()
	stop()

	// These are in the stream only.
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":-1},{"item_id":"rope","delta":1}]}`)
	fight := s.want(201, "POST", "1/contexts/combat", "").SessionID
	won := s.want(200, "POST", "1/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":50`))
	road := s.want(201, "POST", "1/contexts/scenario", `{"scenario_id":"old-road"}`)
	if err := s.redis.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	view := s.look(1, "hot")
	if view.Progress.XP != 50 || len(view.Items) != 2 || view.Items[0].Quantity.Quantity != 2 || view.Vitals == nil {
		t.Errorf("after the loss: %+v", view)
	}
	if open := view.Contexts["scenario"]; open.SessionID != road.SessionID {
		t.Errorf("contexts: %+v, want the open road", view.Contexts)
	}
	// The reward of a fight that was granted is not granted again.
	if r := s.do(0, "POST", "1/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":50`)); r.Status != 409 {
		t.Errorf("the fight was finished twice: %d %s", r.Status, r.Body)
	}
	next := s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":-2}]}`)
	if next.Items[0].Quantity != 0 || next.Version <= won.Version {
		t.Errorf("next: %+v", next)
	}
	s.save()
	s.wantEqual()
}

// Redis comes back with an older copy: the first touch joins it, so no change
// that was acknowledged is decided on or saved over.
func TestOlderRedisIsJoinedOnFirstTouch(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnRedis(t)
	s := newSystemOn(t, server.URL())
	s.save()
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":10}]}`)
	s.wantEqual()
	old := s.dump("ac:1", "{ac:1}:items", "idle")
	for range 5 {
		s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":-1}]}`)
	}
	s.want(200, "PUT", "1/vitals", harbor)
	s.wantEqual()

	// The server restarts, and what it has is what it had some time ago.
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	stacktest.RestartRedis(t, server.Config())
	s.flush()
	s.restore(old)

	bag := s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"potion","delta":-1}]}`)
	if bag.Items[0].Quantity != 4 {
		t.Errorf("%+v, want 10 - 6 = 4", bag.Items)
	}
	if view := s.look(1, "hot"); view.Vitals == nil {
		t.Error("the vitals did not come back")
	}
	s.wantEqual()
}

func (s *system) dump(keys ...string) map[string]string {
	s.t.Helper()
	out := make(map[string]string)
	for _, key := range keys {
		text, err := s.redis.Dump(s.t.Context(), key).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		out[key] = text
	}
	return out
}

func (s *system) restore(dump map[string]string) {
	s.t.Helper()
	for key, text := range dump {
		if err := s.redis.RestoreReplace(s.t.Context(), key, 0, text).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// The client repeats a request whose gateway died between commit and publish:
// the repeat publishes what the first could not.
func TestRepeatPublishesWhatTheFirstCouldNot(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	key, body := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":1}]}`
	s.stream.cut.Store(true)
	if a := s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key); a.Durability != "hot" {
		t.Errorf("durability %q", a.Durability)
	}
	s.stream.cut.Store(false)
	if a := s.want(200, "POST", "1/inventory?durability=cold", body, "Idempotency-Key", key); a.Durability != "cold" {
		t.Errorf("durability of the repeat %q", a.Durability)
	}
	s.wantEqual()
	if view := s.look(1, "cold"); view.Items[0].Quantity.Quantity != 1 {
		t.Errorf("items: %+v", view.Items)
	}
}

// The whole of cleanup by the server's own schedule: the tick arrives, one
// saver sweeps, and what nobody published is saved.
func TestScheduledTickSweeps(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.stream.cut.Store(true)
	s.want(200, "PUT", "1/vitals", harbor)
	s.stream.cut.Store(false)
	if err := s.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Second}); err != nil {
		t.Fatal(err)
	}
	s.saveWith(s.cleanup(time.Millisecond))
	s.wantEqual()
}

// A request whose answer was lost together with the memory of Redis is not
// carried out a second time: its event has kept the answer.
func TestRepeatIsKnownAfterRedisForgotIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	stop := s.save()
	fight := s.want(201, "POST", "1/contexts/combat", "").SessionID
	for _, saved := range []bool{true, false} {
		if !saved {
			stop()
			fight = s.want(201, "POST", "1/contexts/combat", "").SessionID
		}
		bag, won, road, bout := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
		requests := []struct{ key, path, body string }{
			{won, "1/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":10,"loot":[{"item_id":"sword","quantity":1}]`)},
			{bag, "1/inventory", `{"changes":[{"item_id":"potion","delta":3}]}`},
			{road, "1/contexts/scenario", `{"scenario_id":"old-road"}`},
			{bout, "1/contexts/combat", ""},
		}
		var first []string
		for _, r := range requests {
			first = append(first, s.do(0, "POST", r.path, r.body, "Idempotency-Key", r.key).Body)
		}
		if saved {
			s.wantEqual()
		}
		s.flush()
		for i, r := range requests {
			again := s.do(1, "POST", r.path, r.body, "Idempotency-Key", r.key)
			if again.Status >= 300 || again.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("saved %v: the repeat of %s was carried out: %d %s, first %s", saved, r.path, again.Status, again.Body, first[i])
			}
		}
		if r := s.do(0, "POST", "1/inventory", `{"changes":[{"item_id":"rope","delta":3}]}`, "Idempotency-Key", bag); r.Status != 422 {
			t.Errorf("the key of another request was taken: %d %s", r.Status, r.Body)
		}
		s.want(200, "POST", "1/contexts/combat/finish", sessionBody(s.want(201, "POST", "1/contexts/combat?force=true", "").SessionID, `,"outcome":"defeat"`))
	}
	view := s.look(1, "hot")
	if view.Progress.XP != 20 || len(view.Items) != 2 || view.Items[0].Quantity.Quantity != 6 || view.Items[1].Quantity.Quantity != 2 {
		t.Errorf("after each was done twice: %+v %+v", view.Progress, view.Items)
	}
}

// The stream drops what is saved when it becomes full, and keeps the answers of the last
// minute: what Redis has forgotten is not done twice.
func TestRepeatIsKnownWhereTheStreamWasTrimmed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	for char := 2; char <= 21; char++ {
		s.want(200, "PUT", strconv.Itoa(char)+"/vitals", harbor)
	}
	key := uuid.NewString()
	const body = `{"changes":[{"item_id":"potion","delta":3}]}`
	s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key)
	s.wantEqual()
	s.settled(events.ScopeVitals)
	s.settled(events.ScopeInventory)
	stream, err := s.js.Stream(t.Context(), bus.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	full := stream.CachedInfo()
	full.Config.MaxBytes = int64(full.State.Bytes) * 5 / 4
	if _, err := s.js.UpdateStream(t.Context(), full.Config); err != nil {
		t.Fatal(err)
	}

	s.sweep(time.Nanosecond)
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs >= full.State.Msgs {
		t.Errorf("nothing was dropped (%v)", err)
	}
	s.flush()
	if again := s.do(1, "POST", "1/inventory", body, "Idempotency-Key", key); again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat was carried out: %d %s", again.Status, again.Body)
	}
	if view := s.look(1, "hot"); len(view.Items) != 1 || view.Items[0].Quantity.Quantity != 3 {
		t.Errorf("%+v, want 3 potions", view.Items)
	}
}

// While NATS is away, a character that Redis does not have is loaded from
// PostgreSQL alone, and a new one is made, once the sweeper has seen that no
// absent character can have anything in the stream that is not saved.
func TestAbsentCharacterIsLoadedWithoutNATSWhereRedisIsComplete(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	stop := s.save()
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"potion","delta":3}]}`)
	fight := s.want(201, "POST", "4/contexts/combat", "").SessionID
	s.flush()
	s.stream.away.Store(true)
	const take = `{"changes":[{"item_id":"potion","delta":-1}]}`
	if r := s.do(0, "POST", "1/inventory", take); r.Status != 503 {
		t.Fatalf("nobody knows yet whether Redis is complete: %d %s", r.Status, r.Body)
	}
	s.stream.away.Store(false)

	// Something of another character is waiting: not yet.
	stop()
	s.want(200, "PUT", "2/vitals", harbor)
	s.flush()
	s.sweep(time.Nanosecond)
	s.stream.away.Store(true)
	if r := s.do(0, "PUT", "2/vitals", harbor); r.Status != 200 {
		t.Errorf("vitals depend on nothing: %d %s", r.Status, r.Body)
	}
	if r := s.do(0, "POST", "1/inventory", take); r.Status != 503 {
		t.Fatalf("an event may still wait in the stream: %d %s", r.Status, r.Body)
	}
	s.stream.away.Store(false)

	s.save()
	stacktest.Eventually(t, "all is settled", func() bool {
		last, settled, err := s.bus.Settled(t.Context())
		return err == nil && last == settled
	})
	s.sweep(time.Nanosecond)
	s.keptFor(2 * time.Minute)
	s.stream.away.Store(true)
	if a := s.want(200, "POST", "1/inventory", take); a.Items[0].Quantity != 2 || a.Durability != "hot" {
		t.Errorf("%+v, want 2 potions, hot", a)
	}
	s.want(200, "POST", "3/inventory", `{"changes":[{"item_id":"rope","delta":1}]}`)
	s.want(200, "POST", "4/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory"`))
	s.stream.away.Store(false)
	s.sweep(time.Minute)
	s.wantEqual()
}

// Redis comes back older, with a session open that has ended since. The sweeper
// asks the mirror at once, before that may be lost, too.
func TestSessionsOfAnOlderRedisAreJoinedByTheSweeper(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnRedis(t)
	s := newSystemOn(t, server.URL())
	bag := s.want(201, "POST", "1/contexts/inventory", "").SessionID
	old := s.dump("ac:1", "{ac:1}:session:"+bag.String(), "open", "idle")
	s.want(200, "POST", "1/contexts/inventory/finish", sessionBody(bag, ""))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	stacktest.RestartRedis(t, server.Config())
	s.flush()
	s.restore(old)

	s.sweep(time.Nanosecond)
	if err := s.js.DeleteKeyValue(t.Context(), bus.BucketMirror); err != nil {
		t.Fatal(err)
	}
	if err := s.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if view := s.look(1, "hot"); len(view.Contexts) != 0 {
		t.Errorf("open again: %+v", view.Contexts)
	}
}
