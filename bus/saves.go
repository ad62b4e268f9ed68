package bus

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// HeaderSaved names the subject on which whoever has saved an event says so, to the
// gateway whose player waits for it (durability=cold).
const HeaderSaved = "Savepoint-Saved"

// savedPrefix begins these subjects; the name of the connection follows, and a number.
const savedPrefix = "savepoint.saved."

// saveMemory is how long it is remembered at least that somebody waits for a save. Who
// waits longer finds out by looking.
const saveMemory = 10 * time.Second

// saves are the events whose senders wait for their save. That it is told is a
// shortcut: what is told may get lost, and older savers tell nothing, so who waits
// also looks.
type saves struct{ inbox[*save] }

// A save is of all events that were sent together.
type save struct {
	left  atomic.Int64 // so many are not saved
	saved func()
}

// listen subscribes to what savers tell of the events of nc.
func (s *saves) listen(nc *nats.Conn) error {
	return s.inbox.listen(nc, savedPrefix+uuid.NewString(), saveMemory, func(of *save, _ *nats.Msg) {
		if of.left.Add(-1) == 0 {
			of.saved()
		}
	})
}

// expect returns for each of n events the subject on which its save is told; saved is
// called when all are.
func (s *saves) expect(n int, saved func()) []string {
	s.expire(time.Now())
	of := &save{saved: saved}
	of.left.Store(int64(n))
	subjects := make([]string, n)
	for i := range subjects {
		subjects[i] = s.subject(s.put(of))
	}
	return subjects
}

// TellSaved tells whoever waits for it that the event with these headers is saved.
func (b *Bus) TellSaved(header nats.Header) {
	// Other subjects are not an event's to name.
	if subject := header[HeaderSaved]; len(subject) == 1 && strings.HasPrefix(subject[0], savedPrefix) {
		if err := b.nc.Publish(subject[0], nil); err != nil {
			b.log.Debug("a save was not told", "err", err)
		}
	}
}
