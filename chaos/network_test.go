package chaos

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/savepoint-games/savepoint/internal/program"
)

// logged is the log of some programs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// A saver that starts while servers come and go waits for each of them, and for
// one that it has seen before as well.
func TestSaverThatStartsWaitsForServersThatComeAndGo(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build(t, "-o", bin+"/")
	// PostgreSQL's own user must be able to enter.
	dir, err := os.MkdirTemp("", "chaos")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	log := new(logged)
	r, err := startRig(t.Context(), filepath.Join(dir, "rig"), Config{Bin: bin, Gateways: 1, Savers: 1}.withDefaults(), log)
	must(t, err)
	t.Cleanup(func() { _ = r.close() })
	postgres, nats, saver := r.network.pairs["saver-postgres"], r.network.pairs["saver-nats"], r.savers[0]

	must(t, saver.kill())
	postgres.Cut()
	must(t, saver.start(t.Context()))
	eventually(t, "the saver has seen NATS and waits for PostgreSQL", func() bool { return log.has("waiting for the schema") })
	nats.Cut()
	eventually(t, "the saver knows that NATS is gone", func() bool { return log.has("nats disconnected") })
	postgres.Clear()
	eventually(t, "the saver misses NATS, or ended", func() bool { return log.has("waiting for the consumers") || r.alive() != nil })
	nats.Clear()

	must(t, r.alive())
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	must(t, program.AwaitReady(ctx, saver.admin()))
}

func (p *part) admin() string {
	for _, entry := range p.cfg.Env {
		if addr, ok := strings.CutPrefix(entry, "ADMIN_ADDR="); ok {
			return addr
		}
	}
	return ""
}
