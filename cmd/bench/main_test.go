package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// TestMain is the program itself when a test starts it for a baseline.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "baseline" {
		main()
		return
	}
	os.Exit(stacktest.Main(m))
}

func TestBaselineRunsInAProcessOfItsOwn(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := baseline.Elsewhere(self)
	c := baseline.Config{
		What: baseline.Memory, Postgres: stacktest.Database(t), Conns: 2, Batch: 100,
		Workload: workload.Config{Kind: workload.KindVitals, Events: 500, Characters: 20, Seed: 4},
	}

	result, err := elsewhere(t.Context(), c)

	if err != nil || result.Events != 500 || result.Seconds <= 0 {
		t.Errorf("%+v, %v", result, err)
	}
	c.Postgres = "postgres://127.0.0.1:1/none"
	if _, err := elsewhere(t.Context(), c); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("without a server: %v", err)
	}
}

func sectionOf(name string, err error) section {
	return section{name, func(context.Context, settings) ([]report.Row, error) {
		return []report.Row{{Section: name, Case: "x", Value: 1, Missed: err != nil}}, err
	}}
}

// What was measured before something failed is in the table, and so is what
// comes after it, and the failure.
func TestFailedSectionKeepsTheOthers(t *testing.T) {
	all := []section{sectionOf("one", nil), sectionOf("two", errors.New("broken")), sectionOf("three", nil)}

	rows, failed := runAll(t.Context(), all, settings{say: func(string) {}})

	if len(rows) != 3 || failed == nil || !strings.Contains(failed.Error(), "section two: broken") {
		t.Fatalf("%d rows, %v", len(rows), failed)
	}
	var page bytes.Buffer
	if err := (&runCmd{Quick: true, Seed: 5}).write(&page, machine{commit: "abc", lines: []string{"2 cores"}}, rows, time.Second, failed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"make bench-quick, seed 5, at abc", "- 2 cores", "| three", "3 rows, 1 missed", "FAILED: section two: broken"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in\n%s", want, page.String())
		}
	}
}

func TestOnlySectionsThatExist(t *testing.T) {
	all := []section{sectionOf("one", nil), sectionOf("two", nil)}
	if chosen, err := choose(all, []string{"two"}); err != nil || len(chosen) != 1 || chosen[0].name != "two" {
		t.Errorf("%v, %v", chosen, err)
	}
	if chosen, err := choose(all, nil); err != nil || len(chosen) != 2 {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose(all, []string{"three"}); err == nil || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("got %v", err)
	}
}

func TestPageIsNamedByDayAndCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	about := machine{when: time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC), commit: "abc-dirty"}
	if err := (&runCmd{Quick: true, Out: dir}).keep(about, []byte("page")); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "2026-03-04-abc-dirty-quick.md"))
	if err != nil || string(page) != "page" {
		t.Errorf("%q, %v", page, err)
	}
}

func TestCommitIsThatOfTheBuild(t *testing.T) {
	build := func(modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: modified}}}
	}
	if got := []string{commit(build("true"), true), commit(build("false"), true), commit(nil, false)}; !slices.Equal(got, []string{"012345678-dirty", "012345678", ""}) {
		t.Errorf("got %v", got)
	}
}
