package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// clockSkew is how far the clock of a gateway may be off, ahead or behind.
const clockSkew = 3 * time.Second

const clockOffset = "CLOCK_OFFSET"

// skew is an offset for a gateway's clock; one in three is right.
func skew(x *rand.Rand) time.Duration {
	if x.IntN(3) == 0 {
		return 0
	}
	return time.Duration(x.Int64N(int64(2*clockSkew))) - clockSkew
}

// clockOf is the first clock of gateway n, by the run's seed.
func clockOf(seed uint64, n int) string {
	return clockOffset + "=" + skew(rand.New(rand.NewPCG(seed, uint64(n)<<16))).String()
}

// clockJump kills a gateway and starts it with another clock.
func clockJump(ctx context.Context, r *rig, x *rand.Rand) error {
	g := any1(x, r.gateways)
	g.setenv(clockOffset, skew(x).String())
	return killed(ctx, g, x)
}

// setenv changes the environment from the next start on.
func (p *part) setenv(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	env := slices.DeleteFunc(slices.Clone(p.cfg.Env), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	p.cfg.Env = append(env, name+"="+value)
}
