package doctor

import (
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// clockWarning is how far clocks may be apart before somebody should look.
const clockWarning = time.Second

// clock is one clock, by its name.
type clock struct {
	name string
	Offset
	// checks is set where versions are checked against it.
	checks bool
	// ifAhead and ifBehind say what comes of it.
	ifAhead, ifBehind string
}

func clocks(s Settings) (list []clock) {
	for _, n := range s.Redis.Nodes {
		list = append(list, clock{"redis " + n.Addr, n.Clock, true,
			"gateways here make versions that look old; with NATS behind it, an accepted change may end among the dead letters",
			"Redis refuses versions of gateways here that are more than 5 minutes ahead of it: their actions fail"})
	}
	const dead = "savers send an event to the dead letters whose version is more than 5 minutes ahead of the time at which NATS stored it"
	for _, m := range s.NATS.Monitors {
		if m.Err == "" {
			list = append(list, clock{"nats " + m.Server, m.Clock, true, "ages of events are judged too long by it", dead})
		}
	}
	list = append(list,
		clock{"nats, by its last tick", s.NATS.TickClock, true, "ages of events are judged too long by it", dead},
		clock{"postgresql", s.Postgres.Clock, false, "only times that people read are off", "only times that people read are off"})
	known := list[:0]
	for _, c := range list {
		if c.Known {
			known = append(known, c)
		}
	}
	return known
}

func judgeClocks(s Settings) []Finding {
	f := &findings{part: partClocks}
	for _, c := range clocks(s) {
		apart := c.AtLeast()
		if apart <= clockWarning {
			continue
		}
		severity, risk := Warning, c.ifAhead
		if c.By < 0 {
			risk = c.ifBehind
		}
		if c.checks && apart > events.MaxAhead {
			severity = Critical
		}
		f.add(severity, fmt.Sprintf("%s is %s", c.name, c.Offset), risk, "synchronise the clocks (NTP) on both machines")
	}
	return f.list
}

// String is as in "2.1s ahead (±3ms)".
func (o Offset) String() string {
	side := "ahead"
	if o.By < 0 {
		side = "behind"
	}
	return fmt.Sprintf("%s %s (±%s)", short(o.By.Abs()), side, short(o.Within))
}
