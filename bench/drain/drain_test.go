package drain

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

func programs(t *testing.T) string {
	t.Helper()
	return stacktest.Programs(t, "savepoint", "saver")
}

var small = Sizes{Kinds: workload.Kinds(), Vitals: 1500, Others: 600, Characters: 100, One: 100, Memory: [2]int{200, 1000}, Repeat: 1}

// A small run has every figure that is asked for, and each is more than nothing.
func TestRunHasEveryFigure(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	rows, err := Run(ctx, Config{Bin: programs(t), Seed: 11, Quick: true, Sizes: small})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]float64{}
	for _, r := range rows {
		have[r.Section+", "+r.Case+", "+r.Unit] = r.Value
	}
	for _, kind := range workload.Kinds() {
		// So few events may take less than the kernel counts: it is there, and may be 0.
		if _, ok := have["drain "+string(kind)+", savepoint, all processes, CPU s/million"]; !ok {
			t.Errorf("drain %s: CPU is not told", kind)
		}
		for _, name := range []string{
			"savepoint, 1 saver, events/s", "savepoint, 2 savers, events/s",
			"(i) a transaction an event, 32 workers, a statement a row, events/s",
			"(ii) from memory, batch 5000, 2 connections, events/s",
			"(iii) JetStream alone, batch 2500, each acknowledged, events/s",
			"(v) bare loops, batch 5000, 2 partitions, events/s",
			"WAL, bytes/event", "commits, per 1000 events",
		} {
			if have["drain "+string(kind)+", "+name] <= 0 {
				t.Errorf("drain %s, %s is %v", kind, name, have["drain "+string(kind)+", "+name])
			}
		}
	}
	for _, name := range []string{"Zipf 1.2", "5 characters"} {
		if have["drain mix, savepoint, 1 saver, "+name+", events/s"] <= 0 {
			t.Errorf("drain mix, %s: no rate", name)
		}
	}
	if have["drain memory, a saver, 1000 events waiting, MB peak"] <= 1 {
		t.Errorf("no peak of the memory in %v", have)
	}
}

// A database that stores something else than it is told fails the run.
func TestWrongRowFailsTheRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	servers, err := rig.Start(ctx, rig.All(programs(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, statement := range []string{
		`CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.energy := 777; RETURN NEW; END'`,
		`CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON character_vitals FOR EACH ROW WHEN (NEW.char_id = 7) EXECUTE FUNCTION spoil()`,
	} {
		if _, err := servers.DB.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	m := &meter{Config: Config{Seed: 11, Sizes: small, Progress: func(string) {}}, rig: servers}
	events := m.workload(workload.KindVitals, 1500)

	_, err = m.median(ctx, events, workload.FinalOf(workload.Generate(events)), oneSaver)

	if err == nil || !strings.Contains(err.Error(), `character_vitals row "7"`) {
		t.Errorf("got %v", err)
	}
}

// Contenders drain the same events, and each has its rows.
func TestContendersHaveTheirRows(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sizes := small
	sizes.Kinds, sizes.Repeat = []workload.Kind{workload.KindMix}, 2

	rows, err := Turns(ctx, Config{Bin: programs(t), Seed: 11, Sizes: sizes, Progress: func(line string) { t.Log(line) }}, []Contender{
		{Name: "one", Savers: 1}, {Name: "two", Savers: 2, Options: rig.Options{Env: []string{"SAVER_LANES=1"}}},
	})

	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		for _, unit := range []string{"events/s", "commits/1000"} {
			if !slices.ContainsFunc(rows, func(r report.Row) bool { return r.Case == name && r.Unit == unit && r.Value > 0 && r.Ratio > 0 }) {
				t.Errorf("%s has no %s in %v", name, unit, rows)
			}
		}
	}
}
