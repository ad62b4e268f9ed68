package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/verify"
)

// damage is one way to break a copy of character 1 by hand.
type damage struct {
	name    string
	do      func(r *rig)
	row     events.RowKey
	verdict verify.Verdict
	stream  bool // only a comparison with the stream finds it
	// after is "" where PostgreSQL has the right value again.
	after func(v *game.State) string
}

var damages = []damage{
	{"a row is deleted", func(r *rig) { r.sql("DELETE FROM character_vitals WHERE char_id = 1") },
		events.RowVitals, verify.Unstored, false, func(v *game.State) string { return wrong(v.Vitals.HP, 80) }},
	{"a row is older", func(r *rig) {
		r.sql("UPDATE items SET version = version - 1000, quantity = 77 WHERE char_id = 1 AND item_id = 'potion'")
	}, events.RowItem("potion"), verify.Unstored, false, func(v *game.State) string { return wrong(v.Items["potion"].Quantity, 3) }},
	{"a row is changed", func(r *rig) { r.sql("UPDATE items SET quantity = 77 WHERE char_id = 1 AND item_id = 'potion'") },
		events.RowItem("potion"), verify.ColdWrong, false, func(v *game.State) string { return wrong(v.Items["potion"].Quantity, 3) }},
	{"a row is newer", func(r *rig) { r.sql("UPDATE character_vitals SET version = version + 1, hp = 33 WHERE char_id = 1") },
		events.RowVitals, verify.HotBehind, false, func(v *game.State) string { return wrong(v.Vitals.HP, 33) }},
	{"a scenario is deleted", func(r *rig) { r.sql("DELETE FROM scenario_progress WHERE char_id = 1") },
		events.RowScenario("old-road"), verify.Unstored, false, func(v *game.State) string { return wrong(len(v.Scenarios), 1) }},
	{"the experience is deleted", func(r *rig) { r.sql("DELETE FROM character_progress WHERE char_id = 1") },
		events.RowProgress, verify.Unstored, false, func(v *game.State) string { return wrong(v.Progress.XP, 20) }},
	{"a hot row is changed", func(r *rig) {
		r.must(r.redis.HSet(r.t.Context(), "{ac:1}:vitals", "hp", "1").Err())
	}, events.RowVitals, verify.HotWrong, false, func(v *game.State) string { return wrong(v.Vitals.HP, 80) }},
	{"a hot row is deleted", func(r *rig) {
		r.must(r.redis.HDel(r.t.Context(), "{ac:1}:items", "potion").Err())
	}, events.RowItem("potion"), verify.HotBehind, false, func(v *game.State) string { return wrong(v.Items["potion"].Quantity, 3) }},
	{"the stream and a row are gone", func(r *rig) {
		r.purge()
		r.sql("DELETE FROM character_vitals WHERE char_id = 1")
	}, events.RowVitals, verify.Unpublished, false, func(v *game.State) string { return wrong(v.Vitals.HP, 80) }},
	{"the character is in the stream alone", func(r *rig) {
		r.must(r.redis.FlushDB(r.t.Context()).Err())
		for _, table := range []string{"character_vitals", "character_progress", "items", "scenario_progress", "combat_history"} {
			r.sql("DELETE FROM " + table + " WHERE char_id = 1")
		}
	}, events.RowVitals, verify.Unstored, false, func(v *game.State) string {
		return wrong(v.Vitals.HP, 80) + wrong(v.Progress.XP, 20) + wrong(len(v.Items), 2)
	}},
	{"a trade is deleted", func(r *rig) { r.sql("DELETE FROM transfers") },
		"transfer:", verify.Unstored, true, func(*game.State) string { return "" }},
	{"a line of the history is deleted", func(r *rig) { r.sql("DELETE FROM combat_history WHERE char_id = 1") },
		"fight:", verify.Unstored, true, func(*game.State) string { return "" }},
}

func wrong[T comparable](got, want T) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("got %v, want %v; ", got, want)
}

// Each copy is damaged by hand: verify says which one is wrong, --repair mends
// it, and a second look finds all equal.
func TestDamageIsNamedAndMended(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.save()
			r.play(1)
			r.trade(1)
			r.settle()

			d.do(r)

			found := r.wantVerdict(d, verifyCmd{Char: 1, JSON: true, Stream: d.stream})
			if found.Seed != 0 {
				t.Errorf("seed %d of what is no sample", found.Seed)
			}
			defer r.sweep()()
			out, err := r.verify(verifyCmd{Char: 1, Wait: patience, Repair: true, Stream: d.stream})
			if err != nil || !strings.Contains(out, "repair: character 1, "+string(d.row)) {
				t.Errorf("repair: %v\n%s", err, out)
			}
			if out, err := r.verify(verifyCmd{Char: 1, Wait: patience, Stream: true}); err != nil || !strings.Contains(out, "all equal") {
				t.Errorf("after the repair: %v\n%s", err, out)
			}
			state, err := r.conns.cold.Load(t.Context(), 1)
			r.must(err)
			if text := d.after(state); text != "" {
				t.Error(text)
			}
		})
	}
}

// wantVerdict compares and wants the verdict about the damaged row.
func (r *rig) wantVerdict(d damage, v verifyCmd) (out verdict) {
	r.t.Helper()
	text, err := r.verify(v)
	if !errors.Is(err, errDiffer) {
		r.t.Errorf("the damage was not found: %v", err)
	}
	r.must(json.Unmarshal([]byte(text), &out))
	for _, line := range out.Differences {
		if strings.HasPrefix(string(line.Row), string(d.row)) {
			if line.Verdict != d.verdict {
				r.t.Errorf("verdict %q, want %q", line.Verdict, d.verdict)
			}
			return out
		}
	}
	r.t.Errorf("no verdict about %s:\n%s", d.row, text)
	return out
}

// While no saver runs, what is in the stream is nobody's fault.
func TestEventThatWaitsIsPending(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play(1)
	r.wantVerdict(damage{row: events.RowVitals, verdict: verify.Pending}, verifyCmd{Char: 1, JSON: true})

	// A repair leaves it to the savers, and succeeds when they come.
	r.save()
	if out, err := r.verify(verifyCmd{Char: 1, Wait: patience, Repair: true}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What no copy can say any more is said to be so, and the exit is 1.
func TestWhatCannotBeMendedIsNotCalledEqual(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do      string
		verdict verify.Verdict
		row     events.RowKey
	}{
		"two values, and no stream": {"UPDATE items SET quantity = 77 WHERE char_id = 1 AND item_id = 'potion'", verify.Undecided, events.RowItem("potion")},
		"experience, and no stream": {"DELETE FROM character_progress WHERE char_id = 1", verify.Unpublished, events.RowProgress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.save()
			r.play(1)
			r.settle()
			r.purge()
			r.sql(c.do)

			r.wantVerdict(damage{row: c.row, verdict: c.verdict}, verifyCmd{Char: 1, JSON: true})
			out, err := r.verify(verifyCmd{Char: 1, Repair: true})
			if !errors.Is(err, errDiffer) || !strings.Contains(out, string(c.row)+": nothing: ") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A sample of PostgreSQL finds damage in characters that Redis has forgotten,
// and its seed draws it again.
func TestSampleFindsWhatRedisHasForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	for char := range events.CharID(20) {
		r.play(char + 1)
	}
	r.settle()
	r.must(r.redis.FlushDB(t.Context()).Err())
	r.sql("UPDATE character_vitals SET version = version - 1")

	first, err := r.verify(verifyCmd{Sample: "5", JSON: true, Limit: 1000})
	if !errors.Is(err, errDiffer) {
		t.Errorf("%v", err)
	}
	var one, two verdict
	r.must(json.Unmarshal([]byte(first), &one))
	if one.Seed == 0 || one.Characters < 1 || one.Characters > 15 {
		t.Errorf("%+v", one)
	}
	second, _ := r.verify(verifyCmd{Sample: "5", Seed: one.Seed, JSON: true, Limit: 1000, Rate: 10_000})
	r.must(json.Unmarshal([]byte(second), &two))
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("seed %d draws something else a second time:\n%s", one.Seed, diff)
	}
	// Of those that were drawn, each is mended.
	if out, err := r.verify(verifyCmd{Sample: "5", Seed: one.Seed, Wait: patience, Repair: true}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSampleIsANumberOrAShare(t *testing.T) {
	t.Parallel()
	count := func() (int64, error) { return 250, nil }
	for text, want := range map[string]int{"1": 1, "500": 500, "1%": 3, "100%": 250, "0.01%": 1} {
		if n, err := sampleSize(text, count); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"0", "-1", "x", "0%", "101%", "NaN%", "%"} {
		if _, err := sampleSize(text, count); !errors.Is(err, errSample) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
