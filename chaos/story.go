package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A story is what happened to the row of a violation, so that a reader sees the
// first wrong step: the answers that touched it, the faults between them, and
// what each copy has.

const (
	storiesTold  = 3  // of a run: the first wrong value is the one to read
	storyActions = 12 // answers in a story
	storyEvents  = 20 // events of the stream in a story
)

// tell writes the stories of the first violations, one a row.
func (r *run) tell(ctx context.Context, end *mended) error {
	told := make(map[string]bool)
	for i := range r.result.Violations {
		v := &r.result.Violations[i]
		row := fmt.Sprint(v.Char, " ", v.storyRow())
		if len(told) == storiesTold || told[row] || v.Char == 0 {
			continue
		}
		at := slices.IndexFunc(r.models, func(m *model) bool { return m.char == v.Char })
		if at < 0 {
			continue // of a player's own
		}
		told[row] = true
		copies, err := r.copies(ctx, end, r.models[at], v.storyRow())
		if err != nil {
			return fmt.Errorf("story of character %d, %s: %w", v.Char, v.What, err)
		}
		v.Story = r.answers(r.models[at], v) + copies
	}
	return nil
}

// line is one moment of a story.
type line struct {
	at   time.Time
	text string
}

// answers tells which acknowledged actions touched the row, and which faults
// were on between them.
func (r *run) answers(m *model, v *Violation) string {
	key := v.storyRow()
	touching := m.history.touching(key, v.When)
	if len(touching) == 0 {
		return "  no acknowledged action touched it\n"
	}
	missing := firstMissing(touching, key, v.value)
	if !v.When.IsZero() { // what is wrong now and then is not what is wrong in the end
		missing = max(0, slices.IndexFunc(touching, func(a *record) bool { return !a.answered.Before(v.When) }))
	}
	first := min(max(0, missing-storyActions/2), max(0, len(touching)-storyActions))
	shown := touching[first:min(len(touching), first+storyActions)]
	var lines []line
	for i, a := range shown {
		text := a.describe(key)
		if first+i == missing {
			text += "   <-- the first that is not kept"
		}
		lines = append(lines, line{a.answered, text})
	}
	for _, s := range r.faults.during(shown[0].sent, shown[len(shown)-1].answered.Add(time.Second)) {
		lines = append(lines, line{s.from, fmt.Sprintf("    fault %s, for %.2fs", s.name, s.to.Sub(s.from).Seconds())})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "  answers %d to %d of %d that touched the row:\n", first+1, first+len(shown), len(touching))
	for _, l := range lines {
		fmt.Fprintf(&b, "    %9.3fs  %s\n", l.at.Sub(r.began).Seconds(), l.text)
	}
	return b.String()
}

// copies tells what hot, the mirror, the stream and cold have of a row.
func (r *run) copies(ctx context.Context, end *mended, m *model, key events.RowKey) (string, error) {
	var b strings.Builder
	live, err := r.look(ctx, m)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "  hot     %s", live.cells()[key])
	if v, dirty := live.dirty()[key]; dirty {
		fmt.Fprintf(&b, ", dirty since version %d", v)
	}
	b.WriteString("\n")
	if key == rowContexts {
		kv, err := end.js.KeyValue(ctx, bucketMirror)
		if err != nil {
			return "", err
		}
		shown, err := mirrored(ctx, kv, m.char)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  mirror  %s\n", shown)
		return b.String(), nil
	}
	if err := r.stored(ctx, end, m.char, key, &b); err != nil {
		return "", err
	}
	saved, err := readCold(ctx, r.pool, m.char)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "  cold    %s\n", saved[key])
	return b.String(), nil
}

// stored tells what the stream still holds of a row, the newest events.
func (r *run) stored(ctx context.Context, end *mended, char int64, key events.RowKey, b *strings.Builder) error {
	stream, err := end.js.Stream(ctx, streamChanges)
	if err != nil {
		return err
	}
	var lines []string
	again := make(map[string]int)
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("sync.*."+strconv.FormatInt(char, 10)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return err
		}
		seq = msg.Sequence + 1
		e, err := events.Decode(msg.Data)
		if err != nil {
			continue
		}
		c, ok := rowOf(&e, key)
		if text := fmt.Sprintf("%s, %s: %s", e.Scope, e.Cause, c); ok {
			if again[text]++; again[text] == 1 {
				lines = append(lines, fmt.Sprintf("%9.3fs  seq %d, %s", msg.Time.Sub(r.began).Seconds(), msg.Sequence, text))
			}
		}
	}
	repeats := 0
	for _, n := range again {
		repeats += n - 1
	}
	if skipped := len(lines) - storyEvents; skipped > 0 {
		lines = append([]string{fmt.Sprintf("%d older events", skipped)}, lines[skipped:]...)
	}
	if len(lines) == 0 {
		lines = []string{"nothing of it"}
	}
	if repeats > 0 {
		lines = append(lines, fmt.Sprintf("and %d that say one of these again", repeats))
	}
	fmt.Fprintf(b, "  stream  %s\n", strings.Join(lines, "\n          "))
	return nil
}

// rowOf is what an event says of a row.
func rowOf(e *events.StateChanged, key events.RowKey) (c cell, ok bool) {
	for _, row := range e.Rows() {
		if row.Key == key {
			c.version, ok = row.Version, true
		}
	}
	switch d := e.Data.(type) {
	case events.Vitals:
		c.n = int64(d.HP)
	case events.Inventory:
		c.n = quantityIn(d.Items, key)
	case events.Combat:
		switch {
		case key == events.RowProgress:
			c.n = d.XP
		case strings.HasPrefix(string(key), "fight:"):
			c.value = value{d.XPGained, d.Outcome}
		default:
			c.n = quantityIn(d.Loot, key)
		}
	case events.Scenario:
		c.value = value{int64(d.Step), d.Status + " " + e.SessionID.String()}
	}
	return c, ok
}

func quantityIn(items []events.ItemChange, key events.RowKey) int64 {
	for _, item := range items {
		if events.RowItem(item.ItemID) == key {
			return item.Quantity
		}
	}
	return 0
}
