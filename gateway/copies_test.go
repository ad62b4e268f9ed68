package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// countingHot is the real store, and how often it was asked.
type countingHot struct {
	gateway.Hot
	loads, commits atomic.Int64
}

func (h *countingHot) Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	h.loads.Add(1)
	return h.Hot.Load(ctx, char, want)
}

func (h *countingHot) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	h.commits.Add(1)
	return h.Hot.Commit(ctx, c, r)
}

// counted is a gateway that counts.
func (s *system) counted() (*gateway.Service, *countingHot) {
	service := s.service()
	counting := &countingHot{Hot: s.hot}
	service.Hot = counting
	return service, counting
}

func (s *system) change(at *gateway.Service, char events.CharID, item string, delta int64) error {
	_, err := at.ChangeItems(s.t.Context(), char, []game.ItemDelta{{ItemID: item, Delta: delta}}, gateway.Options{})
	return err
}

// A character that only one gateway changes is loaded once for each of its items,
// and then each action is one commit.
func TestNextActionOfACharacterIsNotLoadedAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service, asked := s.counted()
	play := func() {
		s.must(s.change(service, 1, "potion", 2))
		_, err := service.SetVitals(t.Context(), 1, events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}, gateway.Options{})
		s.must(err)
		fight, err := service.Enter(t.Context(), 1, game.Entry{Context: game.ContextCombat}, gateway.Options{})
		s.must(err)
		_, err = service.AdvanceCombat(t.Context(), 1, game.Round{SessionID: fight.SessionID, Round: 1}, gateway.Options{})
		s.must(err)
		_, err = service.FinishCombat(t.Context(), 1, fight.SessionID,
			game.Result{Outcome: "victory", XP: 5, Loot: []game.ItemDelta{{ItemID: "potion", Delta: 1}}}, gateway.Options{})
		s.must(err)
	}
	play()
	asked.loads.Store(0)
	asked.commits.Store(0)
	for range 10 {
		play()
	}
	if loads, commits := asked.loads.Load(), asked.commits.Load(); loads != 0 || commits != 50 {
		t.Errorf("50 actions took %d loads and %d commits, want 0 and 50", loads, commits)
	}
	view := s.look(1, "hot")
	if potions := s.quantity(1, "hot", "potion"); potions != 33 || view.Progress.XP != 55 {
		t.Errorf("%d potions and %d experience, want 33 and 55", potions, view.Progress.XP)
	}
}

// A trade is not decided on what is remembered, and changes it: the next action of
// either side loads, and wastes no commit to find that out.
func TestTradeOutdatesWhatIsRememberedOfBothSides(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service, asked := s.counted()
	for _, char := range []events.CharID{1, 2} {
		for range 2 {
			s.must(s.change(service, char, "potion", 2))
		}
	}
	_, err := service.Transfer(t.Context(), game.Trade{
		ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "potion", Delta: 1}},
	}, gateway.Options{})
	s.must(err)
	asked.loads.Store(0)
	asked.commits.Store(0)
	for _, char := range []events.CharID{1, 2} {
		s.must(s.change(service, char, "potion", 1))
	}
	if loads, commits := asked.loads.Load(), asked.commits.Load(); loads != 2 || commits != 2 {
		t.Errorf("2 actions took %d loads and %d commits, want 2 and 2", loads, commits)
	}
	if sent, got := s.quantity(1, "hot", "potion"), s.quantity(2, "hot", "potion"); sent != 4 || got != 6 {
		t.Errorf("%d and %d potions, want 4 and 6", sent, got)
	}
}

// Where two gateways change a character in turn, each finds out once that it is
// not alone, and does not waste a commit on every action.
func TestContestedCopyIsNotUsedAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	one, asked := s.counted()
	two, askedToo := s.counted()
	const turns = 20
	for range turns {
		s.must(s.change(one, 1, "potion", 1))
		s.must(s.change(two, 1, "potion", 1))
	}
	// One more for the join of the newcomer, and one for each that finds out.
	if commits := asked.commits.Load() + askedToo.commits.Load(); commits > 2*turns+3 {
		t.Errorf("%d actions took %d commits", 2*turns, commits)
	}
	// Left alone, a gateway trusts its copy again.
	for range 3 {
		s.must(s.change(one, 1, "potion", 1))
	}
	asked.loads.Store(0)
	for range 5 {
		s.must(s.change(one, 1, "potion", 1))
	}
	if n := asked.loads.Load(); n != 0 {
		t.Errorf("%d loads after the other gateway was gone", n)
	}
	if q := s.quantity(1, "hot", "potion"); q != 2*turns+8 {
		t.Errorf("%d potions, want %d", q, 2*turns+8)
	}
}

// A refusal is decided on what Redis has, whatever is remembered.
func TestRefusalIsNotDecidedOnWhatIsRemembered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	one, two := s.service(), s.service()
	var missing *game.InsufficientError
	s.must(s.change(one, 1, "potion", 2))
	s.must(s.change(two, 1, "potion", -2))
	if err := s.change(one, 1, "potion", -1); !errors.As(err, &missing) || missing.Have != 0 {
		t.Errorf("took a potion that the other gateway had taken: %v", err)
	}
	s.must(s.change(two, 1, "potion", 7))
	if err := s.change(one, 1, "potion", -7); err != nil {
		t.Errorf("refused what the other gateway had given: %v", err)
	}
	bag, err := two.Enter(t.Context(), 1, game.Entry{Context: game.ContextInventory}, gateway.Options{})
	s.must(err)
	if _, err := one.Touch(t.Context(), 1, game.ContextInventory, bag.SessionID, gateway.Options{}); err != nil {
		t.Errorf("refused a session that the other gateway has opened: %v", err)
	}
}

// Redis emptied, and the character joined by somebody else: what is remembered is
// of another copy, even where the versions are the same.
func TestCopyOfBeforeALossIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	one, two := s.service(), s.service()
	s.must(s.change(one, 1, "potion", 2))
	s.stream.cut.Store(true)
	s.must(s.change(one, 1, "potion", 5)) // hot only: lost with Redis
	s.stream.cut.Store(false)
	s.flush() // not all of it: other tests have databases on the same server
	s.must(s.change(two, 1, "rope", 1))
	s.must(s.change(one, 1, "potion", 1))
	if potions := s.quantity(1, "hot", "potion"); potions != 3 {
		t.Errorf("%d potions, want 3", potions)
	}
}

// Whatever is played on two gateways, what one remembers and Redis has not moved
// on from is what Redis has.
func TestWhatIsRememberedIsWhatWouldBeLoaded(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	s.save() // a copy with unsaved trades is not remembered
	services := []*gateway.Service{s.service(), s.service()}
	compared := 0
	for step := range 400 {
		at := services[random.IntN(10)/9] // mostly the first
		char := events.CharID(1 + random.IntN(3))
		what := s.anyAction(random, at, char)
		loaded, err := s.hot.Load(t.Context(), char, game.Everything)
		s.must(err)
		for n, service := range services {
			state, has := service.Remembered(char)
			if state == nil || state.Copy != loaded.Copy || !sameParts(state, &loaded.State) {
				continue
			}
			compared++
			if diff := cmp.Diff(seen(&loaded.State, state, has), seen(state, state, has), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d, step %d, %s of character %d, gateway %d (-Redis +remembered):\n%s", seed, step, what, char, n, diff)
			}
		}
	}
	if compared < 20 { // few while savers are slow, 200 mostly
		t.Errorf("seed %d: only %d copies were compared", seed, compared)
	}
}

func sameParts(a, b *game.State) bool {
	for _, part := range game.Parts {
		if part != game.PartVitals && a.Parts[part] != b.Parts[part] {
			return false
		}
	}
	return true
}

// seen is what a decision can see of a state, in the parts that are remembered.
func seen(s, remembered *game.State, has game.Want) game.State {
	out := game.State{Char: remembered.Char, Contexts: s.Contexts, Items: map[string]game.Item{}}
	for id := range remembered.Items {
		out.Items[id] = s.Items[id]
	}
	if has.AllItems {
		for id, item := range s.Items {
			out.Items[id] = item
		}
	}
	if has.Progress {
		out.Progress = s.Progress
	}
	if has.Scenarios {
		out.Scenarios = s.Scenarios
	}
	if has.Transfers {
		out.Transfers = s.Transfers
	}
	if has.Sessions {
		out.Sessions = map[uuid.UUID]game.Session{}
		for id, session := range s.Sessions {
			if session.Open() {
				out.Sessions[id] = session
			}
		}
	}
	return out
}

// anyAction takes one action, or is refused.
func (s *system) anyAction(random *rand.Rand, at *gateway.Service, char events.CharID) string {
	s.t.Helper()
	ctx, opts := s.t.Context(), gateway.Options{}
	item := fmt.Sprint("item-", random.IntN(4))
	loaded, err := s.hot.Load(ctx, char, game.Want{})
	s.must(err)
	open := loaded.Contexts.Active
	switch random.IntN(14) {
	default:
		s.refusable(s.change(at, char, item, random.Int64N(7)-3))
		return "items"
	case 0:
		_, err = at.SetVitals(ctx, char, events.Vitals{HP: random.Int32N(100), Location: events.Location{Zone: "harbor"}}, opts)
		s.refusable(err)
		return "vitals"
	case 1, 2:
		context := game.AllContexts[random.IntN(3)]
		_, err = at.Enter(ctx, char, game.Entry{Context: context, ScenarioID: fmt.Sprint("road-", random.IntN(2)), Force: random.IntN(2) == 0}, opts)
		s.refusable(err)
		return "enter"
	case 3:
		_, err = at.AdvanceCombat(ctx, char, game.Round{SessionID: open[game.ContextCombat], Round: random.Int32N(9)}, opts)
		s.refusable(err)
		return "round"
	case 4:
		_, err = at.FinishCombat(ctx, char, open[game.ContextCombat],
			game.Result{Outcome: "victory", XP: 3, Loot: []game.ItemDelta{{ItemID: item, Delta: 1}}}, opts)
		s.refusable(err)
		return "finish the fight"
	case 5:
		_, err = at.AdvanceScenario(ctx, char, game.Step{SessionID: open[game.ContextScenario], Step: random.Int32N(9)}, opts)
		s.refusable(err)
		return "step"
	case 6:
		trade := game.Trade{ID: uuid.New(), From: char, To: char%3 + 1, Items: []game.ItemDelta{{ItemID: item, Delta: 1}}}
		_, err = at.Transfer(ctx, trade, opts)
		s.refusable(err)
		return "trade"
	}
}

// refusable ends the test for an error that is no refusal by the rules.
func (s *system) refusable(err error) {
	s.t.Helper()
	if err != nil && !errors.Is(err, game.ErrConflict) {
		s.t.Fatal(err)
	}
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Some players' scenarios and fights are large. A gateway remembers thousands of players,
// and must not need gigabytes for it.
func TestLargeCopyIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	play := func(char events.CharID, size int) (remembered bool) {
		t.Helper()
		data := json.RawMessage(`{"map":"` + strings.Repeat("x", size) + `"}`)
		road, err := service.Enter(t.Context(), char, game.Entry{Context: game.ContextScenario, ScenarioID: "road"}, gateway.Options{})
		s.must(err)
		_, err = service.AdvanceScenario(t.Context(), char, game.Step{SessionID: road.SessionID, Step: 1, Data: data}, gateway.Options{})
		s.must(err)
		state, _ := service.Remembered(char)
		return state != nil
	}
	if !play(1, 1000) {
		t.Error("a copy with a kilobyte of data is not remembered")
	}
	if play(2, 150_000) {
		t.Error("a copy with 150 kilobytes of data is remembered")
	}
}
