package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/verify"
)

const (
	// newestEvents is how many events are shown, and how many fights and dead letters.
	newestEvents = 50
	// mostRows is how many rows are shown; those that differ come first.
	mostRows = 300
)

// characterPage is what is known of one character.
type characterPage struct {
	Char     events.CharID
	Hot      *game.Loaded // nil where Redis does not answer
	Cold     *game.State  // nil where PostgreSQL does not answer
	Rows     []row
	More     int // rows that are not shown
	Differ   int // rows that differ
	Contexts []openContext
	Events   []event // newest first
	Read     int     // how many events of the stream were read
	Part     bool    // there are more; then Events are the newest all the same, without their sequences
	Fights   []game.FightRecord
	Letters  []letter
	Away     map[string]string // server to reason
}

// Unknown reports whether all have answered and nobody knows the character.
func (p *characterPage) Unknown() bool {
	return len(p.Away) == 0 && !p.Hot.Known && p.Cold.Version == 0 && p.Read+len(p.Fights)+len(p.Letters) == 0
}

// row is one row, in both copies. A Version of 0 is that of a row that is not there.
type row struct {
	Key       events.RowKey
	Hot, Cold verify.Copy
	Dirty     events.Version // 0 where it has no mark
	Differs   bool
	Verdict   verify.Verdict // of a row that differs, where the stream was asked
}

// openContext is a context that the character is in.
type openContext struct {
	Context game.Context
	ID      string
	Session game.Session
}

// event is one of the timeline.
type event struct {
	events.Stored
	Said string
	Dead uint64 // sequence of its dead letter, or 0
}

func (c *Console) character(ctx context.Context, char events.CharID) *characterPage {
	page := &characterPage{Char: char}
	var (
		of       asked
		timeline []events.Stored
		letters  []events.DeadLetter
		found    []verify.Difference
		compared bool
	)
	of.ask(ctx, events.PostgreSQL, askTimeout, func(ctx context.Context) (err error) {
		page.Fights, err = c.Cold.Fights(ctx, char, math.MaxInt64, newestEvents)
		return err
	})
	of.ask(ctx, events.NATS, askTimeout, func(ctx context.Context) error {
		return c.Stream.Letters(ctx, "", char, func(l events.DeadLetter) bool {
			letters = lastOf(append(letters, l), newestEvents)
			return true
		})
	})
	of.ask(ctx, events.NATS, readTimeout, func(ctx context.Context) error {
		err := c.Stream.History(ctx, []events.CharID{char}, func(e events.Stored) {
			page.Read++
			if timeline = append(timeline, e); len(timeline) > 20*newestEvents {
				timeline = lastOf(timeline, newestEvents)
			}
		})
		if page.Part = page.Read > 0 && errors.Is(err, context.DeadlineExceeded); page.Part {
			return nil
		}
		return err
	})
	of.group.Go(func() { found, compared = c.compare(ctx, &of, page) })
	of.wait()
	if page.Part {
		timeline = nil
		of.askNow(ctx, events.NATS, askTimeout, func(ctx context.Context) (err error) {
			timeline, err = c.newestEvents(ctx, char, page.newest())
			return err
		})
	}
	page.Away = of.wait()

	slices.Reverse(letters)
	page.Letters = read(letters)
	page.addEvents(lastOf(timeline, newestEvents), letters)
	page.addRows(found, compared)
	page.addContexts()
	return page
}

// newest is when the character was last changed.
func (p *characterPage) newest() time.Time {
	var v events.Version
	if p.Hot != nil {
		v = p.Hot.Version
	}
	if p.Cold != nil {
		v = max(v, p.Cold.Version)
	}
	if v == 0 {
		return time.Now()
	}
	return v.Time()
}

// newestEvents reads the newest events of a character that has more than can be read in a
// moment: those of ever more time before its last change, until these are enough.
func (c *Console) newestEvents(ctx context.Context, char events.CharID, last time.Time) (kept []events.Stored, err error) {
	for span := time.Minute; len(kept) < newestEvents; span *= 8 {
		var found []events.Stored
		err := c.Stream.Retained(ctx, char, last.Add(-span), func(e *events.StateChanged) {
			found = lastOf(append(found, events.Stored{StateChanged: *e}), newestEvents)
		})
		if err != nil && len(kept) > 0 {
			break // fewer, and the newest
		}
		if err != nil {
			return nil, err
		}
		kept = found
	}
	return kept, nil
}

// compare loads both copies and compares them, with the stream where that answers. What
// does not answer in time leaves the rest to be shown.
func (c *Console) compare(ctx context.Context, of *asked, page *characterPage) (found []verify.Difference, compared bool) {
	h, s := &hotCopy{Hot: c.Hot}, &coldCopy{Cold: c.Cold}
	run := func(stream verify.Stream) (done bool) {
		new(asked).askNow(ctx, "", readTimeout, func(ctx context.Context) error {
			v := verify.Verifier{Hot: h, Cold: s, Stream: stream, Selection: verify.Selection{Chars: []events.CharID{page.Char}}}
			report, err := v.Run(ctx, 0)
			if done = err == nil; done {
				found = report.Differences
			}
			return err
		})
		return done
	}
	compared = run(c.Stream) || h.err == nil && s.err == nil && run(nil)
	if s.state == nil && s.err == nil { // Redis was asked first
		of.askNow(ctx, events.PostgreSQL, askTimeout, func(ctx context.Context) error {
			_, err := s.LoadMany(ctx, []events.CharID{page.Char})
			return err
		})
	}
	note := func(server string, err error) {
		of.askNow(ctx, server, askTimeout, func(context.Context) error { return err })
	}
	note(events.Redis, h.err)
	note(events.PostgreSQL, s.err)
	page.Hot, page.Cold = h.loaded, s.state
	return found, compared
}

// hotCopy remembers what was loaded.
type hotCopy struct {
	Hot
	loaded *game.Loaded
	err    error
}

// Load implements verify.Hot.
func (h *hotCopy) Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	loaded, err := h.Hot.Load(ctx, char, want)
	if h.err = err; err == nil {
		h.loaded = loaded
	}
	return loaded, err
}

// coldCopy remembers what was loaded.
type coldCopy struct {
	Cold
	state *game.State
	err   error
}

// LoadMany implements verify.Cold, for one.
func (s *coldCopy) LoadMany(ctx context.Context, chars []events.CharID) (map[events.CharID]*game.State, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	states, err := s.Cold.LoadMany(ctx, chars)
	if s.err = err; err == nil {
		s.state = states[chars[0]]
	}
	return states, err
}

func (p *characterPage) addEvents(timeline []events.Stored, letters []events.DeadLetter) {
	dead := make(map[int64]uint64, len(letters)) // by when the stream stored them
	for _, l := range letters {
		dead[l.Stored.UnixNano()] = l.Sequence
	}
	for _, e := range slices.Backward(timeline) {
		p.Events = append(p.Events, event{e, say(&e.StateChanged), dead[e.StoredAt.UnixNano()]})
	}
}

// addRows puts the rows of both copies side by side, those that differ first.
func (p *characterPage) addRows(found []verify.Difference, compared bool) {
	rows := make(map[events.RowKey]*row)
	at := func(key events.RowKey) *row {
		if rows[key] == nil {
			rows[key] = &row{Key: key}
		}
		return rows[key]
	}
	if p.Hot != nil {
		for key, said := range describe(&p.Hot.State) {
			at(key).Hot = said
		}
		for key, version := range p.Hot.Dirty {
			at(key).Dirty = version
		}
	}
	for key, said := range describe(p.Cold) {
		at(key).Cold = said
	}
	for _, d := range found {
		r := at(d.Row)
		r.Hot, r.Cold, r.Differs, r.Verdict = bare(d.Hot), bare(d.Cold), true, d.Verdict
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		p.Rows = append(p.Rows, *rows[key])
	}
	if !compared {
		p.Differ = unknownCount
	} else {
		p.Differ = len(found)
	}
	slices.SortStableFunc(p.Rows, func(a, b row) int { return cmp.Compare(rank(a), rank(b)) })
	if len(p.Rows) > mostRows {
		p.Rows, p.More = p.Rows[:mostRows], len(p.Rows)-mostRows
	}
}

// unknownCount is of what could not be compared.
const unknownCount = -1

// rank is lower for what somebody should look at.
func rank(r row) int {
	switch {
	case r.Differs:
		return 0
	case r.Dirty > 0:
		return 1
	}
	return 2
}

// describe says the rows of a copy.
func describe(s *game.State) map[events.RowKey]verify.Copy {
	out := make(map[events.RowKey]verify.Copy)
	if s == nil {
		return out
	}
	texts := s.Describe()
	for key, version := range s.Rows() {
		out[key] = bare(verify.Copy{Text: texts[key], Version: version})
	}
	return out
}

// bare leaves out the version, which has its own place.
func bare(c verify.Copy) verify.Copy {
	c.Text = strings.TrimSuffix(c.Text, fmt.Sprintf("version %d", c.Version))
	c.Text = strings.TrimSuffix(c.Text, ", ")
	if c.Version == 0 {
		c.Text = ""
	}
	return c
}

func (p *characterPage) addContexts() {
	if p.Hot == nil {
		return
	}
	for _, context := range game.AllContexts {
		if id, open := p.Hot.Contexts.Active[context]; open {
			p.Contexts = append(p.Contexts, openContext{context, id.String(), p.Hot.Sessions[id]})
		}
	}
}
