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
func (r *rig) clockOf(seed uint64, n int) string {
	var off time.Duration
	if r.clocksDiffer {
		off = skew(rand.New(rand.NewPCG(seed, uint64(n)<<16)))
	}
	return clockOffset + "=" + off.String()
}

// clocksDiffer reports whether the gateways of a run have wrong clocks. A blind
// write to a Redis that has lost its memory, while the streams or PostgreSQL are
// away, has no version to be above but the gateway's clock: where that is behind
// another one, what it was answered is older than what is saved. So clocks are
// right where Redis loses its memory, unless Skew asks for both.
func (c Config) clocksDiffer() bool {
	return c.Skew || !slices.ContainsFunc(c.Faults, func(name string) bool { return slices.Contains(losesHot, name) })
}

// clockJump kills a gateway and starts it with another clock.
func clockJump(ctx context.Context, r *rig, x *rand.Rand) error {
	g := any1(x, r.gateways)
	if r.clocksDiffer {
		g.setenv(clockOffset, skew(x).String())
	}
	return killed(ctx, g, x)
}

// setenv changes the environment from the next start on.
func (p *part) setenv(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	env := slices.DeleteFunc(slices.Clone(p.cfg.Env), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	p.cfg.Env = append(env, name+"="+value)
}
