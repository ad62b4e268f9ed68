package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// Builds of two ages beside each other.

// hasOld reports whether there is an older build of a program.
func (c Config) hasOld(program string) bool {
	if c.OldBin == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(c.OldBin, program))
	return err == nil
}

// lacksBuild reports whether a fault takes a program of an older build, and there is none.
func (c Config) lacksBuild(fault string) bool {
	program, what, _ := strings.Cut(fault, "-")
	return what == "build" && !c.hasOld(program)
}

// addOld starts those programs of an older build that there are beside the others.
func (r *rig) addOld(ctx context.Context, cfg Config) error {
	r.oldBin = cfg.OldBin
	addrs, err := stack.FreeAddrs(3)
	if err != nil {
		return err
	}
	var old []*part
	if cfg.hasOld("saver") {
		p := r.program("saver", []string{"run"}, "", "ADMIN_ADDR="+addrs[0])
		r.savers, old = append(r.savers, p), append(old, p)
	}
	if cfg.hasOld("gateway") {
		p := r.program("gateway", nil, addrs[1], "GATEWAY_ADDR="+addrs[1], "ADMIN_ADDR="+addrs[2])
		r.gateways, old = append(r.gateways, p), append(old, p)
	}
	for _, p := range old {
		p.setBin(r.oldBin)
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return r.awaitGateways(ctx)
}

// rolled starts programs as the older build, one after the other, and then as what they
// were, each after it was stopped in order or killed: an upgrade that was taken back,
// and done again.
func rolled(programs func(*rig) []*part) fault {
	return func(ctx context.Context, r *rig, x *rand.Rand) error {
		list := programs(r)
		mending := context.WithoutCancel(ctx)
		was := make([]string, len(list))
		for i, p := range list {
			was[i] = p.bin()
		}
		for _, bins := range [][]string{slices.Repeat([]string{r.oldBin}, len(list)), was} {
			for i, p := range list {
				end := p.kill
				if x.IntN(2) == 0 {
					end = func() error { return p.stop(mending) }
				}
				if err := end(); err != nil {
					return fmt.Errorf("end a %s: %w", p.name, err)
				}
				p.setBin(bins[i])
				if err := p.start(mending); err != nil {
					return err
				}
				away(ctx, x)
			}
		}
		return nil
	}
}

// bin is the directory of the build that is started.
func (p *part) bin() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return filepath.Dir(p.cfg.Path)
}

func (p *part) setBin(bin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Path = filepath.Join(bin, filepath.Base(p.cfg.Path))
}
