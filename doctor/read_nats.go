package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/secret"
)

func readNATS(ctx context.Context, cfg Config) NATS {
	n := NATS{Want: cfg.Want}
	for _, url := range cfg.MonitorURLs {
		n.Monitors = append(n.Monitors, readMonitor(ctx, url))
	}
	nc, err := dialNATS(ctx, cfg.NATSURL)
	if err != nil {
		n.Err = secret.Err(err).Error()
		return n
	}
	defer nc.Close()
	n.Addr, n.Version, n.Cluster = nc.ConnectedAddr(), nc.ConnectedServerVersion(), nc.ConnectedClusterName()
	js, err := jetstream.New(nc)
	if err != nil {
		n.JetStreamErr = err.Error()
		return n
	}
	n.readJetStream(ctx, js)
	return n
}

// dialNATS tries each server once, all within what is left of ctx. The bus
// itself goes on trying, and would not say why it fails.
func dialNATS(ctx context.Context, url string) (*nats.Conn, error) {
	timeout := dialTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)/time.Duration(1+strings.Count(url, ",")))
	}
	return nats.Connect(url, nats.Name("savepoint-doctor"), nats.Timeout(timeout), nats.NoReconnect())
}

func (n *NATS) readJetStream(ctx context.Context, js jetstream.JetStream) {
	account, err := js.AccountInfo(ctx)
	if err != nil {
		n.JetStreamErr = err.Error()
		return
	}
	n.Account = AccountStorage{Used: int64(account.Store), Max: account.Limits.MaxStore}
	var changes, clock jetstream.Stream
	n.Changes, changes = readStream(ctx, js, bus.StreamChanges)
	n.Clock, clock = readStream(ctx, js, bus.StreamClock)
	n.Dead, _ = readStream(ctx, js, bus.StreamDead)
	n.Mirror, _ = readStream(ctx, js, bus.StreamMirror)
	if changes != nil {
		for _, scope := range events.Scopes() {
			n.readConsumer(ctx, changes, scope)
		}
	}
	if clock != nil {
		n.readConsumer(ctx, clock, events.ScopeCleanup)
		n.readTick(ctx, clock)
	}
}

func readStream(ctx context.Context, js jetstream.JetStream, name string) (Stream, jetstream.Stream) {
	s := Stream{Name: name}
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.Missing = true
		return s, nil
	}
	if err != nil {
		s.Err = err.Error()
		return s, nil
	}
	info := stream.CachedInfo()
	s.Config, s.State = info.Config, info.State
	if info.Cluster != nil {
		for _, peer := range info.Cluster.Replicas {
			if peer.Offline || !peer.Current {
				s.Behind = append(s.Behind, peer.Name)
			}
		}
	}
	return s, stream
}

func (n *NATS) readConsumer(ctx context.Context, stream jetstream.Stream, scope events.Scope) {
	c := Consumer{Scope: scope, Name: bus.ConsumerName(scope)}
	defer func() { n.Consumers = append(n.Consumers, c) }()
	consumer, err := stream.Consumer(ctx, c.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c.Missing = true
		return
	}
	if err != nil {
		c.Err = err.Error()
		return
	}
	info := consumer.CachedInfo()
	c.Config, c.Paused = info.Config, info.Paused
	if !scope.HasState() {
		return
	}
	// The oldest event that is stored above what all are settled to.
	oldest, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(info.Config.FilterSubject))
	switch {
	case err == nil:
		if n.OldestUnsaved.IsZero() || oldest.Time.Before(n.OldestUnsaved) {
			n.OldestUnsaved = oldest.Time
		}
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		c.Err = "its oldest unsaved event: " + err.Error()
	}
}

const scheduleHeader = "Nats-Schedule"

// readTick reads how the schedule is armed and when it ticked last. The tick is
// stamped by the server: now, its clock shows that or up to one interval more.
func (n *NATS) readTick(ctx context.Context, clock jetstream.Stream) {
	armed, err := clock.GetLastMsgForSubject(ctx, bus.SubjectSchedule)
	if err == nil {
		every, _ := strings.CutPrefix(armed.Header.Get(scheduleHeader), "@every ")
		n.TickEvery, _ = time.ParseDuration(every) // 0 is not armed
	} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
		n.Clock.Err = "its schedule: " + err.Error()
		return
	}
	tick, err := clock.GetLastMsgForSubject(ctx, events.ScopeSubject(events.ScopeCleanup))
	if err != nil {
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			n.Clock.Err = "its last tick: " + err.Error()
		}
		return
	}
	n.LastTick = tick.Time
	n.TickClock = tickClock(tick.Time, time.Now(), n.TickEvery)
}

// tickClock is what a tick says of the clock that stamped it. An old tick says
// nothing: the schedule may have stopped.
func tickClock(tick, now time.Time, every time.Duration) Offset {
	if every == 0 || now.Sub(tick) > 3*every {
		return Offset{}
	}
	return Offset{Known: true, By: tick.Sub(now) + every/2, Within: every / 2}
}
