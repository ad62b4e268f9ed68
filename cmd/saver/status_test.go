package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (r *rig) status(s statusCmd) (string, error) {
	r.t.Helper()
	out := new(bytes.Buffer)
	err := s.Run(r.t.Context(), r.cli, &output{Out: out, Err: io.Discard})
	return out.String(), err
}

func TestStatusCountsWhatIsUnsaved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play(1)
	r.play(2)

	text, err := r.status(statusCmd{JSON: true})
	r.must(err)
	var now status
	r.must(json.Unmarshal([]byte(text), &now))
	for i, want := range []struct {
		scope   events.Scope
		pending uint64
		rows    int
	}{
		{events.ScopeCombat, 2, 4}, {events.ScopeInventory, 2, 4}, {events.ScopeScenario, 2, 2}, {events.ScopeVitals, 2, 2},
	} {
		line := now.Scopes[i]
		if line.Scope != want.scope || line.Pending != want.pending || line.OldestUnsaved <= 0 || now.Dirty.Rows[want.scope] != want.rows {
			t.Errorf("%+v with %d dirty rows, want %+v", line, now.Dirty.Rows[want.scope], want)
		}
	}
	if now.Dirty.Characters != 2 || now.Dirty.Oldest <= 0 || len(now.Unreached) > 0 {
		t.Errorf("%s", text)
	}

	r.save()
	r.settle()
	if text, err = r.status(statusCmd{}); err != nil || !strings.Contains(text, "0 characters are dirty\n") {
		t.Errorf("%v\n%s", err, text)
	}
}

// A server that does not answer is named, and the others are asked all the same.
func TestStatusNamesWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play(1)
	silent := stacktest.OwnRedis(t)
	url := silent.URL()
	r.must(silent.Kill())
	for server, c := range map[string]struct {
		point func(*cli)
		lines []string
	}{
		"redis": {func(c *cli) { c.RedisURL = url }, []string{"vitals     1", "redis does not answer: "}},
		"nats":  {func(c *cli) { c.NATSURL = "nats://127.0.0.1:1" }, []string{"vitals     ?", "1 characters are dirty", "nats does not answer: "}},
		"postgresql": {func(c *cli) { c.DatabaseURL = "postgres://127.0.0.1:1/none" },
			[]string{"vitals     1", "1 characters are dirty", "postgresql does not answer: "}},
	} {
		t.Run(server, func(t *testing.T) {
			other := *r.cli
			c.point(&other)
			out := new(bytes.Buffer)
			err := statusCmd{}.Run(context.Background(), &other, &output{Out: out, Err: io.Discard})
			if err == nil {
				t.Error("no error")
			}
			for _, line := range c.lines {
				if !strings.Contains(out.String(), line) {
					t.Errorf("no %q in\n%s", line, out)
				}
			}
			if n := strings.Count(out.String(), "does not answer"); n != 1 {
				t.Errorf("%d servers do not answer:\n%s", n, out)
			}
		})
	}
}
