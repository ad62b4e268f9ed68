package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (r *rig) restore(cmd restoreCmd) (string, error) {
	r.t.Helper()
	out := new(bytes.Buffer)
	err := cmd.Run(r.t.Context(), r.cli, &output{Out: out, Err: io.Discard})
	return out.String(), err
}

// moment is now, by the clock of the character's versions.
func (r *rig) moment(char events.CharID) time.Time {
	r.t.Helper()
	loaded, err := r.conns.hot.Load(r.t.Context(), char, game.Want{})
	r.must(err)
	at := loaded.Version.Time()
	stacktest.Eventually(r.t, "time passes", func() bool { return time.Now().After(at.Add(time.Millisecond)) })
	return at
}

// A character lives on, and gets back what it was, hot and cold.
func TestRestoredCharacterIsAsItWasHotAndCold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	r.play(1)
	at := r.moment(1)
	ctx := t.Context()
	_, err := r.game.SetVitals(ctx, 1, events.Vitals{HP: 1, Energy: 1, Location: events.Location{Zone: "crypt"}}, gateway.Options{})
	r.must(err)
	_, err = r.game.ChangeItems(ctx, 1, []game.ItemDelta{{ItemID: "potion", Delta: -3}, {ItemID: "sword", Delta: 1}}, gateway.Options{})
	r.must(err)
	fight, err := r.game.Enter(ctx, 1, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	r.must(err)
	_, err = r.game.FinishCombat(ctx, 1, fight.SessionID, game.Result{Outcome: "victory", XP: 500}, gateway.Options{})
	r.must(err)

	shown, err := r.restore(restoreCmd{Char: 1, At: at, DryRun: true})
	if err != nil || !strings.Contains(shown, "item:potion: quantity 0 -> quantity 3\n") || !strings.Contains(shown, "rows would change") {
		t.Errorf("a dry run says %v\n%s", err, shown)
	}
	if now, err := r.game.Character(ctx, 1); err != nil || now.Vitals.HP != 1 {
		t.Errorf("after a dry run: %+v, %v", now, err)
	}
	out, err := r.restore(restoreCmd{Char: 1, At: at})
	if err != nil || !strings.Contains(out, "durability cold") {
		t.Errorf("restore: %v\n%s", err, out)
	}

	r.settle()
	for name, load := range map[string]func() (*gateway.View, error){
		"hot":  func() (*gateway.View, error) { return r.game.Character(ctx, 1) },
		"cold": func() (*gateway.View, error) { return r.game.ColdCharacter(ctx, 1) },
	} {
		v, err := load()
		r.must(err)
		items := map[string]int64{}
		for _, item := range v.Items {
			items[item.ItemID] = item.Quantity.Quantity
		}
		if v.Vitals.HP != 80 || v.Progress.XP != 20 || len(items) != 2 || items["potion"] != 3 || items["rope"] != 1 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if out, err := r.restore(restoreCmd{Char: 1, At: at}); err != nil || !strings.Contains(out, "is as it was") || strings.Contains(out, "->") {
		t.Errorf("the second time: %v\n%s", err, out)
	}
}

// What would double items, guess, or disturb a player is refused, says how to go on, and
// changes nothing.
func TestRestoreIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	r.play(1)
	at := r.moment(1)
	r.trade(1)
	_, err := r.game.Enter(t.Context(), 1, game.Entry{Context: game.ContextScenario, ScenarioID: "mill"}, gateway.Options{})
	r.must(err)

	refused := func(cmd restoreCmd, reason string) {
		t.Helper()
		before, err := r.conns.hot.Load(t.Context(), 1, game.Want{})
		r.must(err)
		if out, err := r.restore(cmd); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%+v: %v, want %q\n%s", cmd, err, reason, out)
		}
		if after, err := r.conns.hot.Load(t.Context(), 1, game.Want{}); err != nil || after.Version != before.Version {
			t.Errorf("%+v: version %d became %d, %v", cmd, before.Version, after.Version, err)
		}
	}
	refused(restoreCmd{Char: 1, At: at}, "--end-sessions")
	for _, dry := range []bool{true, false} {
		refused(restoreCmd{Char: 1, At: at, EndSessions: true, DryRun: dry}, "scenario:mill")
		refused(restoreCmd{Char: 1, At: at, EndSessions: true, DryRun: dry, AssumeNew: true}, "--despite-trades")
	}
	refused(restoreCmd{Char: 1, At: time.Now().Add(time.Hour)}, "--at")
	if _, err := r.restore(restoreCmd{Char: 99, At: at}); !errors.Is(err, gateway.ErrUnknown) {
		t.Errorf("somebody unknown: %v", err)
	}

	out, err := r.restore(restoreCmd{Char: 1, At: at, EndSessions: true, AssumeNew: true, DespiteTrades: true})
	if err != nil || !strings.Contains(out, "item:rope: quantity 0 -> quantity 1\n") {
		t.Errorf("with all flags: %v\n%s", err, out)
	}
	r.settle()
}

// Of a stream that has dropped what the character was, nothing is guessed.
func TestRestoreOfADroppedPastIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	r.play(1)
	at := r.moment(1)
	r.settle()
	r.purge()
	_, err := r.game.ChangeItems(t.Context(), 1, []game.ItemDelta{{ItemID: "potion", Delta: 4}}, gateway.Options{})
	r.must(err)

	if out, err := r.restore(restoreCmd{Char: 1, At: at, EndSessions: true}); !errors.As(err, new(*game.UnknownPastError)) {
		t.Errorf("got %v\n%s", err, out)
	}
}

// A server that does not answer may have done what it was asked.
func TestRestoreWithoutAnAnswerIsNotCalledNone(t *testing.T) {
	t.Parallel()
	away := events.Unavailable(events.Redis, errors.New("no answer"))
	if text := (restoreCmd{Char: 1}).explain(away, 0).Error(); !strings.Contains(text, "not known") || !strings.Contains(text, "try again") {
		t.Error(text)
	}
	if text := (restoreCmd{Char: 1, DryRun: true}).explain(away, 0).Error(); !strings.Contains(text, "was not restored") {
		t.Error(text)
	}
}
