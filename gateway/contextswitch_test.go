package gateway_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// switches counts what became of the sessions that clients opened and lost.
type switches struct {
	mu        sync.Mutex
	opened    map[uuid.UUID]game.Context
	preempted map[uuid.UUID]int
}

func (w *switches) note(context game.Context, a *gateway.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened[a.SessionID] = context
	for _, p := range a.Preempted {
		w.preempted[p.SessionID]++
	}
}

// Eight clients on two gateways switch the same few characters between
// scenario and inventory, thousands of times. At the end each session that was
// opened is either the one open session or was pre-empted exactly once, each
// pre-empted scenario was saved exactly once, and the mirror shows Redis.
func TestManyGatewaysSwitchOneCharacter(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	const clients, rounds, chars = 8, 300, 3
	seen := &switches{opened: map[uuid.UUID]game.Context{}, preempted: map[uuid.UUID]int{}}
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(client)))
			for range rounds {
				if err := switchOnce(s, client%2, 1+r.IntN(chars), r.IntN(2) == 0, seen); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if len(seen.opened) != clients*rounds {
		t.Fatalf("%d sessions opened, want %d", len(seen.opened), clients*rounds)
	}

	open := s.openSessions(chars)
	for id := range seen.opened {
		if times := seen.preempted[id]; times+open[id] != 1 {
			t.Errorf("session %s: pre-empted %d times, open %d", id, times, open[id])
		}
	}
	s.wantSavedOnce(seen)
	s.wantEqual()
}

func switchOnce(s *system, gatewayNumber, char int, scenario bool, seen *switches) error {
	context, body := game.ContextInventory, ""
	if scenario {
		context, body = game.ContextScenario, `{"scenario_id":"old-road"}`
	}
	r, err := s.try(gatewayNumber, http.MethodPost, fmt.Sprintf("%d/contexts/%s", char, context), body)
	if err != nil {
		return err
	}
	var answer gateway.Answer
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil || r.Status != http.StatusCreated {
		return fmt.Errorf("%d %s: %w", r.Status, r.Body, err)
	}
	seen.note(context, &answer)
	return nil
}

// openSessions reads Redis and the mirror: each character has exactly one open
// session, and both show the same.
func (s *system) openSessions(chars int) map[uuid.UUID]int {
	s.t.Helper()
	open := make(map[uuid.UUID]int)
	for char := 1; char <= chars; char++ {
		found := 0
		values := s.redis.HGetAll(s.t.Context(), "ac:"+strconv.Itoa(char)).Val()
		for _, context := range game.AllContexts {
			if id := values[string(context)+"_session_id"]; id != "" {
				open[uuid.MustParse(id)]++
				found++
			}
		}
		if found != 1 {
			s.t.Errorf("character %d has %d open sessions", char, found)
		}
		kv, err := s.js.KeyValue(s.t.Context(), bus.BucketMirror)
		if err != nil {
			s.t.Fatal(err)
		}
		entry, err := kv.Get(s.t.Context(), strconv.Itoa(char))
		if err != nil {
			s.t.Fatal(err)
		}
		var mirror map[string]any
		if err := json.Unmarshal(entry.Value(), &mirror); err != nil {
			s.t.Fatal(err)
		}
		for _, context := range game.AllContexts {
			field := string(context) + "_session_id"
			if shown, _ := mirror[field].(string); shown != values[field] {
				s.t.Errorf("character %d: the mirror shows %s %q, Redis has %q", char, field, shown, values[field])
			}
		}
	}
	return open
}

// wantSavedOnce looks into the stream: each pre-empted scenario session was
// published as pre-empted exactly once.
func (s *system) wantSavedOnce(seen *switches) {
	s.t.Helper()
	saved := make(map[uuid.UUID]int)
	for _, e := range s.published() {
		if e.Cause == events.CausePreempted {
			saved[e.SessionID]++
		}
	}
	for id, context := range seen.opened {
		want := 0
		if context == game.ContextScenario {
			want = seen.preempted[id]
		}
		if saved[id] != want {
			s.t.Errorf("%s session %s: published as pre-empted %d times, want %d", context, id, saved[id], want)
		}
	}
}

// A fight is not pre-empted, unless the request forces it: then it is in the
// history as abandoned, with no reward.
func TestFightIsOnlyPreemptedByForce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	fight := s.want(201, "POST", "7/contexts/combat", "{}")
	refused := s.do(1, "POST", "7/contexts/inventory", "")
	var problem gateway.Problem
	refused.into(t, &problem)
	if refused.Status != 409 || problem.Active == nil || problem.Active.SessionID != fight.SessionID {
		t.Errorf("%d %s: must name the active fight", refused.Status, refused.Body)
	}
	forced := s.want(201, "POST", "7/contexts/inventory?force=true&durability=cold", "")
	if len(forced.Preempted) != 1 || forced.Preempted[0].SessionID != fight.SessionID {
		t.Errorf("pre-empted: %+v", forced.Preempted)
	}
	var fights []game.FightRecord
	s.do(0, "GET", "7/combats", "").into(t, &fights)
	if len(fights) != 1 || fights[0].Outcome != "abandoned" || fights[0].XPGained != 0 {
		t.Errorf("history: %+v", fights)
	}
}

// A gateway that slept through a switch cannot write into the past.
func TestWriteToEndedSessionIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	old := s.want(201, "POST", "7/contexts/scenario", `{"scenario_id":"old-road"}`)
	s.want(201, "POST", "7/contexts/combat", "")
	before := s.look(7, "hot")
	for _, c := range [][3]string{
		{"PATCH", "7/contexts/scenario", sessionBody(old.SessionID, `,"step":9,"data":{}`)},
		{"POST", "7/contexts/scenario/finish", sessionBody(old.SessionID, "")},
		{"PATCH", "7/contexts/combat", sessionBody(old.SessionID, `,"round":1`)},
		{"POST", "7/contexts/combat/finish", sessionBody(old.SessionID, `,"outcome":"victory","xp":1`)},
		{"POST", "7/contexts/inventory/finish", sessionBody(old.SessionID, "")},
		{"PATCH", "7/contexts/inventory", sessionBody(old.SessionID, "")},
	} {
		if r := s.do(1, c[0], c[1], c[2]); r.Status != 409 {
			t.Errorf("%s %s: %d %s", c[0], c[1], r.Status, r.Body)
		}
	}
	if after := s.look(7, "hot"); after.Version != before.Version {
		t.Errorf("a refused write moved the version from %d to %d", before.Version, after.Version)
	}
}
