package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// doctorSays runs the command as its flags tell, and returns what it prints.
func doctorSays(t *testing.T, conns program.Connections, args ...string) (string, error) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"doctor"}, args...)); err != nil {
		t.Fatal(err)
	}
	c.Connections = conns
	var out bytes.Buffer
	err = c.Doctor.Run(t.Context(), &c, &output{Out: &out, Err: t.Output()})
	return out.String(), err
}

func TestDoctorFailsOnlyWhereAPromiseIsBroken(t *testing.T) {
	conns := program.Connections{NATSURL: stacktest.NATS(t).URL(), RedisURL: stacktest.Redis(t), DatabaseURL: stacktest.Database(t)}
	log := program.Logging{}.Logger(t.Output())
	b, err := bus.Connect(conns.NATSURL, t.Name(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Conn().Close()
	if err := b.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Second}); err != nil {
		t.Fatal(err)
	}

	out, err := doctorSays(t, conns)
	if err != nil || !strings.Contains(out, "critical 0,") {
		t.Errorf("a system as it is made: %v\n%s", err, out)
	}

	// The savers' sessions ask PostgreSQL to answer before it has written.
	conns.DatabaseURL += "&options=-c%20synchronous_commit%3Doff"
	out, err = doctorSays(t, conns, "--json")
	if !errors.Is(err, errCritical) {
		t.Errorf("commits that are not synchronous: %v, want errCritical", err)
	}
	var report struct {
		Findings []struct{ Severity, Found string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if f := report.Findings[0]; f.Severity != "critical" || !strings.Contains(f.Found, "set by: client") {
		t.Errorf("the first finding is %+v", f)
	}
}
