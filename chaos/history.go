package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// record is one action that was answered for good, or a look that showed something new.
type record struct {
	sent, answered     time.Time
	method, path, body string // path without the character
	url                string // path with the character, below /v1/
	key                string // the idempotency key
	attempts           int
	gateway            int // which one gave the answer, from 1; 0 of a look
	status             int
	version            events.Version
	durability         string
	effects            []effect
}

// effect is what the model expects an action to have made of one row.
type effect struct {
	row  events.RowKey
	want []value // one of these; more than one where Redis had lost its memory
	got  *value  // what the answer showed, where it did
}

// firm reports whether the answer is a promise that outlives Redis.
func (r *record) firm() bool { return r.durability == "stream" || r.durability == "cold" }

func (r *record) on(row events.RowKey) *effect {
	for i := len(r.effects) - 1; i >= 0; i-- {
		if r.effects[i].row == row {
			return &r.effects[i]
		}
	}
	return nil
}

// describe says the action in one line, as it concerns a row.
func (r *record) describe(row events.RowKey) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", strings.TrimSpace(r.method+" "+r.path+" "+r.body), r.status)
	if r.gateway > 0 {
		fmt.Fprintf(&b, " by gateway %d", r.gateway)
	}
	if r.attempts > 1 {
		fmt.Fprintf(&b, " at attempt %d", r.attempts)
	}
	if r.version > 0 {
		fmt.Fprintf(&b, ", version %d, %s", r.version, r.durability)
	}
	if e := r.on(row); e != nil {
		fmt.Fprintf(&b, ", then %s", oneOf(e.want))
		if e.got != nil && !slices.Contains(e.want, *e.got) {
			fmt.Fprintf(&b, ", answered %s", *e.got)
		}
	}
	return b.String()
}

// history is the newest actions of one character, oldest first.
type history struct {
	records []*record
	dropped int
}

// historyKept bounds the memory of a run: 40 characters of a default run need
// 20 to 40 MB.
const historyKept = 2000

func (h *history) add(r *record) {
	if len(h.records) == historyKept {
		const quarter = historyKept / 4
		h.records = append(h.records[:0:0], h.records[quarter:]...)
		h.dropped += quarter
	}
	h.records = append(h.records, r)
}

// touching lists the actions that changed a row, and the one that was answered
// at that time.
func (h *history) touching(row events.RowKey, at time.Time) (found []*record) {
	for _, r := range h.records {
		if r.on(row) != nil || r.answered.Equal(at) {
			found = append(found, r)
		}
	}
	return found
}

// firstMissing returns the index, among the actions on a row, of the oldest
// whose effect a copy with value got does not have. Where got is no value that
// the row ever had, it is that of the last: something was done twice, or is
// from elsewhere.
func firstMissing(touching []*record, row events.RowKey, got value) int {
	if len(touching) == 0 {
		return -1
	}
	for i := len(touching) - 1; i >= 0; i-- {
		if e := touching[i].on(row); e != nil && slices.Contains(e.want, got) {
			return min(i+1, len(touching)-1)
		}
	}
	if got == (value{}) {
		return 0
	}
	return len(touching) - 1
}
