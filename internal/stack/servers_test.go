package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestKilledPostgresStartsAtOnceWithItsData(t *testing.T) {
	t.Parallel()
	first := stacktest.OwnPostgres(t)
	writePostgres(t, first.URL())
	processes := append(stack.ChildrenOf(first.Pid()), first.Pid())

	must(t, first.Kill())
	checkGone(t, processes)
	second := stacktest.RestartPostgres(t, first.Config())

	if second.URL() != first.URL() {
		t.Errorf("started at %s, was at %s", second.URL(), first.URL())
	}
	if n := inPostgres(t, second.URL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

// A fault run may kill by process id. Then nobody has waited for the server
// yet, and its own children have not noticed.
func TestPostgresKilledByStrangerStartsAtOnce(t *testing.T) {
	t.Parallel()
	first := stacktest.OwnPostgres(t)
	writePostgres(t, first.URL())

	must(t, syscall.Kill(first.Pid(), syscall.SIGKILL))
	second := stacktest.RestartPostgres(t, first.Config())

	if n := inPostgres(t, second.URL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

func TestStoppedPostgresStartsAtOnceWithItsData(t *testing.T) {
	t.Parallel()
	first := stacktest.OwnPostgres(t)
	writePostgres(t, first.URL())

	must(t, first.Stop(within(t)))
	second := stacktest.RestartPostgres(t, first.Config())

	if n := inPostgres(t, second.URL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

func TestPostgresAnswersOnItsSocket(t *testing.T) {
	t.Parallel()
	p := stacktest.OwnPostgres(t)
	writePostgres(t, p.URL())

	if n := inPostgres(t, p.SocketURL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

func TestPostgresTakesLongDirAndSettings(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := stacktest.RestartPostgres(t, stack.PostgresConfig{
		Dir:      filepath.Join(tempDir(t), strings.Repeat("d", 110)),
		Settings: map[string]string{"work_mem": "5MB"},
		Log:      &log,
	})

	if url := p.SocketURL(); url != "" {
		t.Errorf("has the socket %s, longer than a socket's path can be", url)
	}
	query(t, p.URL(), "CREATE TABLE remembered AS SELECT setting::int AS n FROM pg_settings WHERE name = 'work_mem'", nil)
	if n := inPostgres(t, p.URL()); n != 5*1024 {
		t.Errorf("work_mem is %d kB", n)
	}
	must(t, p.Kill())
	if log.Len() == 0 {
		t.Error("nothing was logged")
	}
}

func TestPostgresThatCannotStartShowsItsLog(t *testing.T) {
	t.Parallel()
	_, err := stack.StartPostgres(within(t), stack.PostgresConfig{
		Dir:      tempDir(t),
		Settings: map[string]string{"no_such_setting": "1"},
	})

	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("got %v, want what the log says", err)
	}
}

func TestPostgresDirClosedToItsUserIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // it runs as ourselves, and what we made we may enter
	}
	closed := filepath.Join(tempDir(t), "closed")
	must(t, os.Mkdir(closed, 0o700))

	_, err := stack.StartPostgres(within(t), stack.PostgresConfig{Dir: filepath.Join(closed, "pg")})
	if err == nil || !strings.Contains(err.Error(), "may not enter "+closed) {
		t.Errorf("got %v, want the directory's name", err)
	}

	// A whole stack goes elsewhere instead.
	s := startStack(t, closed)
	t.Cleanup(func() { must(t, os.RemoveAll(s.Postgres.Dir())) })
	if want, err := stack.PostgresDir(closed); s.Postgres.Dir() != want || err != nil {
		t.Errorf("runs in %s, PostgresDir says %s (%v)", s.Postgres.Dir(), want, err)
	}
	must(t, s.Close(within(t)))
}

func TestKilledRedisStartsAtOnceWithItsData(t *testing.T) {
	t.Parallel()
	first := stacktest.OwnRedis(t)
	writeRedis(t, first.URL())

	must(t, first.Kill())
	second := stacktest.RestartRedis(t, first.Config())

	if second.URL() != first.URL() {
		t.Errorf("started at %s, was at %s", second.URL(), first.URL())
	}
	if n := inRedis(t, second.URL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

func TestRedisKilledByStrangerStartsAtOnce(t *testing.T) {
	t.Parallel()
	first := stacktest.OwnRedis(t)
	writeRedis(t, first.URL())

	must(t, syscall.Kill(first.Pid(), syscall.SIGKILL))
	second := stacktest.RestartRedis(t, first.Config())

	if n := inRedis(t, second.URL()); n != 42 {
		t.Errorf("remembers %d", n)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port

	for name, start := range map[string]func(context.Context) error{
		"PostgreSQL": func(ctx context.Context) error {
			_, err := stack.StartPostgres(ctx, stack.PostgresConfig{Dir: tempDir(t), Port: port})
			return err
		},
		"Redis": func(ctx context.Context) error {
			_, err := stack.StartRedis(ctx, stack.RedisConfig{Dir: tempDir(t), Port: port})
			return err
		},
		"NATS": func(ctx context.Context) error {
			_, err := stack.StartNATS(ctx, stack.NATSConfig{StoreDir: tempDir(t), Port: port})
			return err
		},
	} {
		err := start(within(t))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another program listens on 127.0.0.1:%d", port)) {
			t.Errorf("%s: got %v, want the port that is taken", name, err)
		}
	}
}

// What a killed PostgreSQL had just forked holds the port for some moments more.
func TestServerWaitsForAPortThatIsBeingLetGo(t *testing.T) {
	t.Parallel()
	leaving, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	let := make(chan error, 1)
	go func() {
		look, err := leaving.Accept()
		if err == nil {
			err = look.Close()
		}
		let <- errors.Join(err, leaving.Close())
	}()
	server, err := stack.StartRedis(within(t), stack.RedisConfig{Dir: tempDir(t), Port: leaving.Addr().(*net.TCPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	must(t, <-let)
	must(t, server.Stop(within(t)))
}

func TestStoppedNATSStartsAtOnceWithItsData(t *testing.T) {
	t.Parallel()
	first := stacktest.NATS(t)
	writeNATS(t, first.URL())

	must(t, first.Stop(within(t)))
	second := stacktest.RestartNATS(t, first.Config())

	if second.URL() != first.URL() {
		t.Errorf("started at %s, was at %s", second.URL(), first.URL())
	}
	if text := inNATS(t, second.URL()); text != "42" {
		t.Errorf("remembers %q", text)
	}
}

func TestNATSFieldsOverrideTheFile(t *testing.T) {
	t.Parallel()
	store := tempDir(t)
	n := stacktest.RestartNATS(t, stack.NATSConfig{ConfigFile: "../../nats.conf", Port: -1, StoreDir: store})

	writeNATS(t, n.URL())

	if n.Port() == 4222 {
		t.Error("listens where the file says")
	}
	if _, err := os.Stat(filepath.Join(store, "jetstream")); err != nil {
		t.Errorf("stores elsewhere: %v", err)
	}
}

func TestSecondServerInOneDirIsRefused(t *testing.T) {
	t.Parallel()
	n := stacktest.NATS(t)

	_, err := stack.StartNATS(within(t), stack.NATSConfig{StoreDir: n.Config().StoreDir})

	if err == nil || !strings.Contains(err.Error(), "another NATS (pid ") {
		t.Errorf("got %v", err)
	}
}
