package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
)

const (
	defaultSync = 2 * time.Minute // NATS's own default of sync_interval
	fullShare   = 0.9             // nearly full
	mirrorShare = 0.8             // the bucket AC, which nobody trims: it grows with each character
	lateAfter   = time.Minute     // as the alarm on the oldest unsaved event
	// smallestPending is what one saver keeps busy with: a fetch of 5,000, a transaction
	// of as many under way in each of two lanes, and one that waits.
	smallestPending = 4 * 5000
)

func judgeNATS(n NATS, now time.Time) []Finding {
	f := &findings{part: partNATS}
	if n.Err != "" {
		f.unread("NATS", n.Err, "start it, or correct NATS_URL")
		return f.list
	}
	judgeNATSServer(f, n)
	if n.JetStreamErr != "" {
		f.unread("JetStream", n.JetStreamErr, "jetstream { store_dir: … } in its configuration")
		return f.list
	}
	judgeChanges(f, n)
	judgeDead(f, n.Dead)
	judgeMirror(f, n.Mirror)
	judgeClock(f, n, now)
	for _, s := range []Stream{n.Changes, n.Clock, n.Dead, n.Mirror} {
		judgeReplication(f, n, s)
	}
	for _, c := range n.Consumers {
		judgeConsumer(f, c)
	}
	judgeBacklog(f, n, now)
	judgeSync(f, n)
	return f.list
}

func judgeNATSServer(f *findings, n NATS) {
	switch major, minor := major(n.Version), minor(n.Version); {
	case major < 2 || major == 2 && minor < 14:
		f.add(Critical, "version "+n.Version, "it has no schedules: nobody sweeps, and a change that was not published is never saved", "upgrade to 2.15.3")
	case major == 2 && (minor < 15 || minor == 15 && part(n.Version, 2) < 3):
		f.add(Note, "version "+n.Version, "a backlog of few characters, or with some that stand out, is handed out ten times slower than by 2.15.3", "upgrade to 2.15.3")
	}
	if n.Account.Max > 0 && n.Account.Used >= share(n.Account.Max, fullShare) {
		f.add(Warning, fmt.Sprintf("the account's file storage: %s of %s", size(n.Account.Used), size(n.Account.Max)), "a full account refuses events: answers say hot", "raise max_file of the account")
	}
}

// read reports whether the stream's settings are known.
func (s Stream) read() bool { return !s.Missing && s.Err == "" && s.Config.Name != "" }

// known adds a finding where they are not.
func (f *findings) known(s Stream) bool {
	switch {
	case s.Missing:
		f.add(Warning, "there is no stream "+s.Name, "until there is one, answers say hot and only Redis has the change", "start a gateway or `saver run`: they create it")
	case s.Err != "":
		f.unread("stream "+s.Name, s.Err, "permit $JS.API.STREAM.INFO to this user")
	}
	return s.read()
}

// drops lists the settings by which the stream loses unsaved events by itself.
func drops(c jetstream.StreamConfig) (settings []string) {
	for _, s := range bus.Dropping(c) {
		settings = append(settings, s.Have)
	}
	return settings
}

func judgeChanges(f *findings, n NATS) {
	s := n.Changes
	if !f.known(s) {
		return
	}
	if bad := drops(s.Config); len(bad) > 0 {
		f.add(Critical, "stream SYNC: "+strings.Join(bad, ", "), "no fault needed: it drops events that nobody has saved; then Redis lost entirely loses what was answered stream", "savers refuse to start on it: move its events away and delete it, or correct it")
	}
	if isMemory(s.Config) {
		f.add(Critical, "stream SYNC: storage memory", "NATS process killed: all events that are not saved, and everything a replay would read; the marks in Redis are then the only copy", "file storage: move its events away and delete it")
	}
	if s.Config.Retention != jetstream.LimitsPolicy {
		f.add(Critical, fmt.Sprintf("stream SYNC: retention %s", s.Config.Retention), "PostgreSQL lost: there is nothing to replay", "retention limits: move its events away and delete it")
	}
	if s.Config.MaxAge > 0 && s.Config.MaxAge < 24*time.Hour {
		f.add(Warning, "stream SYNC: max age "+short(s.Config.MaxAge), "PostgreSQL down for longer, or a backup older than that: the events are gone, and only the marks in Redis are left", "SYNC_MAX_AGE=168h")
	}
	if age := s.Config.MaxAge; age > 0 && n.Want.MaxAge > age {
		f.add(Note, fmt.Sprintf("stream SYNC: max age %s, SYNC_MAX_AGE is %s", short(age), short(n.Want.MaxAge)), "it is raised when a saver or gateway starts", "")
	}
	if n.Want.Replicas > s.Config.Replicas {
		f.add(Warning, fmt.Sprintf("stream SYNC: %d replicas, NATS_REPLICAS is %d", s.Config.Replicas, n.Want.Replicas), "NATS machine lost: fewer copies than were asked for", "restart a saver: it raises them")
	}
	judgeFill(f, s)
}

func judgeFill(f *findings, s Stream) {
	limit := s.Config.MaxBytes
	used := int64(s.State.Bytes)
	switch {
	case limit < 1:
		f.add(Note, "stream "+s.Name+": no byte limit", "it grows until the disk is full", "SYNC_MAX_BYTES below the size of the disk")
	case used >= share(limit, fullShare):
		f.add(Warning, fmt.Sprintf("stream %s is nearly full: %s of %s", s.Name, size(used), size(limit)), "it refuses events when it is full: answers say hot, and only Redis has the change", "get the savers going, or raise SYNC_MAX_BYTES")
	case used >= share(limit, bus.TrimShare) && s.Name == bus.StreamChanges:
		f.add(Note, fmt.Sprintf("stream SYNC holds %s of %s", size(used), size(limit)), fmt.Sprintf("above %.0f %% the sweeper drops what is saved: a replay reaches less far back than max age says", 100*bus.TrimShare), "raise SYNC_MAX_BYTES")
	}
}

func judgeDead(f *findings, s Stream) {
	if !f.known(s) {
		return
	}
	if isMemory(s.Config) || s.Config.Discard != jetstream.DiscardNew || s.Config.MaxAge > 0 {
		f.add(Critical, fmt.Sprintf("stream SYNC_DLQ: storage %s, discard %s, max age %s", s.Config.Storage, s.Config.Discard, short(s.Config.MaxAge)),
			"it drops dead letters: events that were acknowledged and are nowhere else once SYNC has aged", "file storage, discard new, no max age; restart a saver")
	}
	if s.State.Msgs > 0 {
		f.add(Warning, fmt.Sprintf("%d dead letters", s.State.Msgs), "each is an event that PostgreSQL does not have, and will not get by itself", "`saver dlq list` says why; then `saver dlq retry`")
	}
	if s.Config.MaxBytes > 0 {
		judgeFill(f, s)
	}
}

func judgeMirror(f *findings, s Stream) {
	if !f.known(s) {
		return
	}
	if isMemory(s.Config) {
		f.add(Note, "bucket AC: storage memory", "NATS process killed: the mirror of the contexts is empty until Redis refreshes it; nothing is lost", "")
	}
	if limit, used := s.Config.MaxBytes, int64(s.State.Bytes); limit > 0 && used > share(limit, mirrorShare) {
		f.add(Warning, fmt.Sprintf("bucket AC: %s of %s", size(used), size(limit)), "it refuses contexts when it is full: the mirror falls behind, and answers about contexts say hot", "raise max_bytes of its stream, KV_AC")
	}
}

func judgeClock(f *findings, n NATS, now time.Time) {
	if !f.known(n.Clock) {
		return
	}
	if !n.Clock.Config.AllowMsgSchedules {
		f.add(Critical, "stream SYNC_CLOCK does not allow schedules", "nobody sweeps: a change that was not published is never saved", "restart a saver")
		return
	}
	const fix = "restart a saver: it arms the schedule; look at the server's log and clock"
	switch limit := 3*n.TickEvery + 10*time.Second; {
	case n.TickEvery == 0:
		f.add(Critical, "the sweeper's schedule is not armed", "nobody sweeps: a change that was not published, or that NATS has lost, is never saved", fix)
	case n.LastTick.IsZero():
		f.add(Warning, "the sweeper's schedule has not ticked yet", "nobody sweeps", fix)
	case now.Sub(n.LastTick) > limit:
		f.add(Critical, fmt.Sprintf("the last tick of the sweeper is %s old, they come every %s", short(now.Sub(n.LastTick)), short(n.TickEvery)),
			"nobody sweeps: a change that was not published, or that NATS has lost, is never saved", fix)
	}
}

func judgeReplication(f *findings, n NATS, s Stream) {
	if !s.read() {
		return
	}
	if len(s.Behind) > 0 {
		f.add(Warning, fmt.Sprintf("stream %s: %s not current", s.Name, strings.Join(s.Behind, ", ")), "the next machine that is lost may take the last copies with it", "bring it back")
	}
	if n.Cluster != "" && s.Config.Replicas < 3 {
		f.add(Warning, fmt.Sprintf("stream %s: %d of 3 replicas, on cluster %s", s.Name, s.Config.Replicas, n.Cluster), "NATS machine lost: the stream is away with it; the marks in Redis are the only copy", "NATS_REPLICAS=3")
	}
}

func judgeConsumer(f *findings, c Consumer) {
	switch {
	case c.Missing:
		f.add(Warning, "there is no consumer "+c.Name, "nobody saves "+string(c.Scope)+"; characters cannot be loaded into Redis", "start a saver: it creates it")
		return
	case c.Err != "":
		f.unread("consumer "+c.Name, c.Err, "permit $JS.API.CONSUMER.INFO to this user")
		return
	}
	const fix = "restart a saver: it sets it right"
	if c.Config.MaxDeliver > 0 {
		f.add(Critical, fmt.Sprintf("consumer %s: max deliver %d", c.Name, c.Config.MaxDeliver), "PostgreSQL down for hours: events that were tried that often are never delivered again", fix)
	}
	if c.Config.AckPolicy != jetstream.AckExplicitPolicy {
		f.add(Critical, fmt.Sprintf("consumer %s: ack policy %s", c.Name, c.Config.AckPolicy), "saver killed: events that were handed out count as saved", "delete it and restart a saver")
	}
	if c.Config.MaxAckPending > 0 && c.Config.MaxAckPending < smallestPending {
		f.add(Warning, fmt.Sprintf("consumer %s: max ack pending %d", c.Name, c.Config.MaxAckPending), "it stalls the savers' batches", fix)
	}
	if c.Config.AckWait < 2*time.Second || c.Config.AckWait > 5*time.Minute {
		f.add(Warning, fmt.Sprintf("consumer %s: ack wait %s", c.Name, short(c.Config.AckWait)), "too short, and every batch is delivered twice; too long, and the events of a saver that died wait as long", "ACK_WAIT=10s")
	}
	if c.Paused {
		f.add(Warning, "consumer "+c.Name+" is paused", "nobody saves "+string(c.Scope), "resume it (`nats consumer resume`)")
	}
}

// judgeBacklog says how long it is until unsaved events expire.
func judgeBacklog(f *findings, n NATS, now time.Time) {
	if n.OldestUnsaved.IsZero() || !n.Changes.read() {
		return
	}
	age := now.Sub(n.OldestUnsaved)
	if age < lateAfter {
		return
	}
	found := "the oldest unsaved event is " + short(age) + " old"
	const fix = "get the savers and PostgreSQL going (`saver status`), or raise SYNC_MAX_AGE"
	maxAge := n.Changes.Config.MaxAge
	switch left := maxAge - age; {
	case maxAge == 0:
		f.add(Warning, found, "the savers are behind", fix)
	case left < maxAge/10:
		f.add(Critical, found, fmt.Sprintf("unsaved events expire from the stream in %s; then the marks in Redis are the only copy", short(left)), fix)
	default:
		f.add(Warning, found, fmt.Sprintf("the savers are behind; in %s unsaved events expire from the stream, and the marks in Redis are the only copy", short(left)), fix)
	}
}

func judgeSync(f *findings, n NATS) {
	interval, always, known := n.syncs()
	const redisHas = "PostgreSQL does not have; the dirty marks in Redis make up for it as long as Redis keeps its own"
	for _, m := range n.Monitors {
		if m.Err != "" {
			f.add(Note, "monitoring of "+m.URL+" cannot be read: "+m.Err, "sync_interval of that server is not known", "correct NATS_MONITOR_URL")
			continue
		}
		if m.Max > 0 && m.Used >= share(m.Max, fullShare) {
			f.add(Warning, fmt.Sprintf("file storage of server %s: %s of %s", m.Server, size(m.Used), size(m.Max)), "a full server refuses events: answers say hot", "raise max_file, and the disk under it")
		}
	}
	switch {
	case n.Changes.Config.Replicas >= 3:
	case !known:
		f.add(Note, "sync_interval is not known: it is not in the client API", "NATS machine lost power: with the default of 2 minutes, what was acknowledged in the last 2 minutes and "+redisHas, "name a monitoring endpoint: NATS_MONITOR_URL=http://…:8222")
	case !always && interval >= defaultSync:
		f.add(Warning, "sync_interval "+short(interval), "NATS machine lost power: what was acknowledged in the last "+short(interval)+" and "+redisHas, "sync_interval: \"1s\" (no cost that was measured), or three replicas")
	}
}

func isMemory(c jetstream.StreamConfig) bool { return c.Storage == jetstream.MemoryStorage }

func share(of int64, part float64) int64 { return int64(float64(of) * part) }
