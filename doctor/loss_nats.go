package doctor

import "time"

// steady is what JetStream loses without any fault.
func (n NATS) steady() Loss {
	switch {
	case !n.Changes.read():
		return unknown
	case len(drops(n.Changes.Config)) > 0:
		return unsaved
	}
	return Loss{}
}

// killed is what a server loses whose process dies: all is written to files
// before the ack.
func (n NATS) killed() Loss {
	if loss := n.steady(); !loss.Nothing() {
		return loss
	}
	if n.inMemory() {
		return unsaved
	}
	return Loss{}
}

// power is what a server loses whose machine dies. Of three servers the others
// have it.
func (n NATS) power() Loss {
	if loss := n.killed(); !loss.Nothing() || n.Changes.Config.Replicas >= 3 {
		return loss
	}
	interval, always, known := n.syncs()
	switch {
	case !known:
		return unknown
	case always:
		return Loss{}
	}
	return within(interval)
}

func (n NATS) inMemory() bool {
	return isMemory(n.Changes.Config) && n.Changes.Config.Replicas < 3
}

// syncs is the longest sync interval of the servers that were asked.
func (n NATS) syncs() (interval time.Duration, always, known bool) {
	always = true
	for _, m := range n.Monitors {
		if m.Err != "" {
			continue
		}
		known = true
		if !m.SyncAlways {
			always = false
			interval = max(interval, m.SyncInterval)
		}
	}
	return interval, always && known, known
}

// beforeReplay is what a replay of the stream cannot bring back.
func (n NATS) beforeReplay() Loss {
	if !n.Changes.read() {
		return unknown
	}
	return Loss{Window: forever, Text: "what is older than the stream"}
}
