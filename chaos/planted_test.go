package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A patch replaces one text of a source file, in the copy that is built.
type patch struct{ file, old, new string }

// plantedCode is added to the packages that are patched: one build carries all
// bugs, and the environment says which one is on.
const plantedCode = `package %s

import "os"

func planted(bug string) bool { return os.Getenv("PLANTED_BUG") == bug }

func plantedText(bug, off, on string) string {
	if planted(bug) {
		return on
	}
	return off
}
`

const (
	markRows     = "	args.marks(c.Marks())\n"
	loadReceiver = "	l, err := s.Hot.Load(ctx, h.trade.To, tradeWant(game.TradeOf(&h.trade), tradeKey(h.trade.ID)))\n"
	// The commit, too, knows the trade by its key.
	commitReceiver = "	change, answer, err := s.commit(ctx, a)\n"
	replayKey      = `if known then return {'replay', known} end`
)

func guard(file, table, statement string) []patch {
	where := "WHERE " + table + ".version < EXCLUDED.version"
	return []patch{
		{file, "const " + statement + " = ", "var " + statement + " = "},
		{file, where, "` + plantedText(\"version-guard\", \"" + where + "\", \"\") + `"},
	}
}

// patches plant every bug. Each text must be in its file exactly once: when the
// source moves on, this test says so.
func patches() []patch {
	all := []patch{
		{"savers/lane.go", "		err := l.transact(ctx, b.events, timeout)\n		if err == nil {\n			l.acknowledge(b)\n",
			"		if planted(\"ack-before-commit\") && try == 1 {\n			l.acknowledge(b)\n		}\n" +
				"		err := l.transact(ctx, b.events, timeout)\n		if err == nil {\n			if !planted(\"ack-before-commit\") {\n				l.acknowledge(b)\n			}\n"},
		{"gateway/act.go", `case l.Record != "":`, `case l.Record != "" && !planted("idempotency-ignored"):`},
		{"gateway/transfers.go", loadReceiver,
			"	if planted(\"credit-again\") {\n" +
				"		l, err := s.Hot.Load(ctx, h.trade.To, tradeWant(game.TradeOf(&h.trade), \"\"))\n		return l, h, err\n	}\n" + loadReceiver},
		{"gateway/transfers.go", commitReceiver, "	if planted(\"credit-again\") {\n		a.opts.Key = \"\"\n	}\n" + commitReceiver},
		{"hot/commit.go", markRows, "	if !planted(\"no-marks\") {\n	" + markRows + "	}\n"},
		{"hot/library.go", "library(luaSource)", "library(plantedSource)"},
	}
	all = append(all, guard("internal/db/combat.sql.go", "character_progress", "saveProgress")...)
	all = append(all, guard("internal/db/inventory.sql.go", "items", "saveItems")...)
	all = append(all, guard("internal/db/scenario.sql.go", "scenario_progress", "saveScenarios")...)
	return append(all, guard("internal/db/vitals.sql.go", "character_vitals", "saveVitals")...)
}

// plantedLua is added to hot, for what is in Lua.
const plantedLua = `
func plantedSource(name string) string {
	source := luaSource(name)
	if name == "commit" && planted("idempotency-ignored") {
		return strings.Replace(source, %q, "", 1)
	}
	return source
}
`

// overlay writes the patched copies and what tells the go command of them.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	write := func(file, text string) {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		must(t, os.WriteFile(copied, []byte(text), 0o600))
		source, err := filepath.Abs(filepath.Join("..", file))
		must(t, err)
		replace[source] = copied
	}
	patched := make(map[string]string)
	for _, p := range patches() {
		if patched[p.file] == "" {
			patched[p.file] = source(t, p.file)
		}
		once(t, p.file, patched[p.file], p.old)
		patched[p.file] = strings.Replace(patched[p.file], p.old, p.new, 1)
	}
	for file, text := range patched {
		write(file, text)
	}
	once(t, "hot/lua/commit.lua", source(t, "hot/lua/commit.lua"), replayKey)
	for _, pkg := range []string{"internal/db", "savers", "gateway", "hot"} {
		text := fmt.Sprintf(plantedCode, filepath.Base(pkg))
		if pkg == "hot" {
			text = strings.Replace(text, `import "os"`, "import (\n\t\"os\"\n\t\"strings\"\n)", 1)
			text += fmt.Sprintf(plantedLua, replayKey)
		}
		write(pkg+"/planted.go", text)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	must(t, err)
	file := filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(file, text, 0o600))
	return file
}

func source(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	must(t, err)
	return string(text)
}

func once(t *testing.T, file, text, part string) {
	t.Helper()
	if n := strings.Count(text, part); n != 1 {
		t.Fatalf("%s has this %d times, and not once, so the bug cannot be planted:\n%s", file, n, part)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// withBug is a directory of programs that have one bug of those that were built.
func withBug(t *testing.T, built, bug string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gateway", "saver", "savepoint"} {
		script := fmt.Sprintf("#!/bin/sh\nPLANTED_BUG=%s exec %s/%s \"$@\"\n", bug, built, name)
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700))
	}
	return dir
}

// plantedRuns bounds how many seeds a bug may need to come out.
const plantedRuns = 5

// The checker finds each of these bugs, and nothing in the product as it is
// under the same faults and seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	built := t.TempDir()
	build(t, "-overlay", overlay(t), "-o", built+"/")
	for bug, faults := range map[string][]string{
		// Old events come again, in any order.
		"version-guard": {"stream-replay"},
		// Savers die with a batch in hand that PostgreSQL does not take now.
		"ack-before-commit": {"postgres-kill", "saver-kill"},
		// What was answered without the stream is known to Redis alone.
		"no-marks": {"nats-restart"},
		// Answers are lost, and asked for again.
		"idempotency-ignored": {"gateway-kill", "gateway-pause"},
		// A trade that was answered is asked for again.
		"credit-again": {"saver-kill"},
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			cfg := Config{
				Faults: faults, Duration: 4 * time.Second, Pause: 100 * time.Millisecond,
				Parallel: len(faults), Clients: 4, Characters: 3, NoCalm: true,
			}
			seeds := plantedRunsOf(t, withBug(t, built, bug), cfg)
			// The same build, with no bug on.
			cfg.Bin = built
			for _, cfg.Seed = range seeds {
				if found := mustRun(t, cfg); len(found.Violations) > 0 {
					t.Errorf("the product as it is:\n%s", found.Report())
				}
			}
		})
	}
}

// plantedRunsOf runs seeds until one finds the bug, and returns them.
func plantedRunsOf(t *testing.T, bin string, cfg Config) (seeds []uint64) {
	t.Helper()
	cfg.Bin = bin
	for cfg.Seed = 1; cfg.Seed <= plantedRuns; cfg.Seed++ {
		seeds = append(seeds, cfg.Seed)
		found := mustRun(t, cfg)
		_ = os.Remove(found.Log)
		if len(found.Violations) > 0 {
			t.Logf("seed %d finds: %s\n%s", cfg.Seed, found.Violations[0], found.Violations[0].Story)
			return seeds
		}
		t.Logf("seed %d does not find it: %s", cfg.Seed, found)
	}
	t.Errorf("%d runs do not find the bug", plantedRuns)
	return nil
}

func mustRun(t *testing.T, cfg Config) *Result {
	t.Helper()
	found, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatalf("seed %d: %v", cfg.Seed, err)
	}
	return found
}
