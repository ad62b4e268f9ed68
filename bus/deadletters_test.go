package bus_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// bury takes the next vitals event and buries it.
func (r *rig) bury(char events.CharID, reason string) jetstream.Msg {
	r.t.Helper()
	msg := r.take(r.source(events.ScopeVitals), 1)[0]
	r.must(r.bus.Bury(r.t.Context(), msg, events.ScopeVitals, char, reason))
	return msg
}

// letters lists the dead letters.
func (r *rig) letters(scope events.Scope, char events.CharID) (letters []events.DeadLetter) {
	r.t.Helper()
	r.must(r.bus.Letters(r.t.Context(), scope, char, func(l events.DeadLetter) bool {
		letters = append(letters, l)
		return true
	}))
	return letters
}

// stored is a message of the stream of dead letters.
func (r *rig) stored(sequence uint64) *jetstream.RawStreamMsg {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamDead)
	r.must(err)
	msg, err := stream.GetMsg(r.t.Context(), sequence)
	r.must(err)
	return msg
}

func TestDeadLetterHasTheOriginalBodyAndItsReason(t *testing.T) {
	t.Parallel()
	const body, trace = "{\"a\":\x00 1}\r\n\xff", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := newRig(t, seldom)
	r.put("sync.vitals.7", "first")
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	msg := nats.NewMsg("sync.vitals.42")
	msg.Data = []byte(body)
	msg.Header.Set("traceparent", trace)
	_, err := r.js.PublishMsg(t.Context(), msg)
	r.must(err)

	buried := r.bury(42, "hp: must not be below zero")

	letter := r.stored(1)
	if string(letter.Data) != body {
		t.Errorf("body %q, want %q", letter.Data, body)
	}
	if letter.Subject != "dlq.vitals.42" {
		t.Errorf("subject %q", letter.Subject)
	}
	meta, err := buried.Metadata()
	r.must(err)
	for header, want := range map[string]string{
		"Savepoint-Reason": "hp: must not be below zero", "Savepoint-Subject": "sync.vitals.42",
		"Savepoint-Sequence": "2", "Savepoint-Time": meta.Timestamp.UTC().Format(time.RFC3339Nano),
		"traceparent": trace,
	} {
		if got := letter.Header.Get(header); got != want {
			t.Errorf("header %s is %q, want %q", header, got, want)
		}
	}
}

// The character is not known where nothing could be decoded.
func TestDeadLetterOfNobodyIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.put("sync.vitals", "{")

	r.bury(0, "unexpected end")

	if subject := r.stored(1).Subject; subject != "dlq.vitals.any" {
		t.Errorf("subject %q", subject)
	}
	if l := r.letters("", 0); len(l) != 1 || l[0].Char != 0 || l[0].Subject != "sync.vitals.any" {
		t.Errorf("letters %+v", l)
	}
}

// A saver that dies between burying and acknowledging buries again.
func TestEventBuriedTwiceIsOneLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.put("sync.vitals.42", "same")
	r.put("sync.vitals.42", "same")
	msgs := r.take(r.source(events.ScopeVitals), 2)

	for range 2 {
		for _, msg := range msgs {
			r.must(r.bus.Bury(t.Context(), msg, events.ScopeVitals, 42, "bad"))
		}
	}

	// Two events with one body are two letters.
	if n, err := r.bus.DeadLetters(t.Context(), events.ScopeVitals); err != nil || n != 2 {
		t.Errorf("%d dead letters (%v), want 2", n, err)
	}
}

// An error's text may hold anything; a header may not.
func TestReasonFitsAHeader(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for range 2 {
		r.put("sync.vitals.42", "x")
	}

	r.bury(42, "line 1\r\nSavepoint-Sequence: 99\n\ttabs \x00")
	r.bury(42, strings.Repeat("long ", 1000))

	if got, want := r.stored(1).Header.Get("Savepoint-Reason"), "line 1  Savepoint-Sequence: 99  tabs"; strings.TrimSpace(got) != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	if got := r.stored(1).Header.Get("Savepoint-Sequence"); got != "1" {
		t.Errorf("sequence %q, want 1", got)
	}
	if n := len(r.stored(2).Header.Get("Savepoint-Reason")); n > 1024 || n < 1000 {
		t.Errorf("reason of %d bytes, want the first 1024", n)
	}
}

func TestDeadLettersAreCountedByScope(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for _, subject := range []string{"sync.vitals.1", "sync.vitals.1", "sync.vitals.2", "sync.vitals"} {
		r.put(subject, "x")
	}
	for i, msg := range r.take(r.source(events.ScopeVitals), 4) {
		r.must(r.bus.Bury(t.Context(), msg, events.ScopeVitals, events.CharID(i), "bad"))
	}
	r.put("sync.inventory.1", "x")
	r.must(r.bus.Bury(t.Context(), r.take(r.source(events.ScopeInventory), 1)[0], events.ScopeInventory, 1, "bad"))

	for scope, want := range map[events.Scope]uint64{
		events.ScopeVitals: 4, events.ScopeInventory: 1, events.ScopeCombat: 0,
	} {
		if n, err := r.bus.DeadLetters(t.Context(), scope); err != nil || n != want {
			t.Errorf("%d dead letters of %s (%v), want %d", n, scope, err, want)
		}
	}
}

func TestBuryWithoutAServerIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.put("sync.vitals.42", "x")
	msg := r.take(r.source(events.ScopeVitals), 1)[0]

	stop(t, r.server)

	within(t, "the end of the burial", func() {
		isUnavailable(t, r.bus.Bury(t.Context(), msg, events.ScopeVitals, 42, "bad"))
	})
}

func TestLettersAreListedByScopeAndCharacter(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for _, char := range []events.CharID{1, 2, 1} {
		r.put(events.Subject(events.ScopeVitals, char), char.String())
		r.bury(char, "reason of "+char.String())
	}
	r.put("sync.inventory.1", "bag")
	r.must(r.bus.Bury(t.Context(), r.take(r.source(events.ScopeInventory), 1)[0], events.ScopeInventory, 1, "bad"))

	for _, c := range []struct {
		scope events.Scope
		char  events.CharID
		want  []uint64
	}{
		{"", 0, []uint64{1, 2, 3, 4}}, {events.ScopeVitals, 0, []uint64{1, 2, 3}}, {events.ScopeVitals, 1, []uint64{1, 3}},
		{"", 1, []uint64{1, 3, 4}}, {events.ScopeCombat, 0, nil}, {"", 9, nil},
	} {
		var got []uint64
		for _, l := range r.letters(c.scope, c.char) {
			got = append(got, l.Sequence)
		}
		equal(t, "letters of "+string(c.scope)+" "+c.char.String(), got, c.want)
	}
	letter := r.letters("", 0)[1]
	if letter.Stored.IsZero() {
		t.Error("no time")
	}
	letter.Stored = time.Time{}
	equal(t, "letter", letter, events.DeadLetter{
		Sequence: 2, Scope: events.ScopeVitals, Char: 2, Reason: "reason of 2", Subject: "sync.vitals.2", Original: 2, Body: []byte("2"),
	})
	first := 0
	r.must(r.bus.Letters(t.Context(), "", 0, func(events.DeadLetter) bool { first++; return false }))
	if first != 1 {
		t.Errorf("%d letters after the first was enough", first)
	}
}

// A letter goes back where it came from: also one that came without a character.
func TestRetriedLetterIsPublishedAgainAndGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for _, subject := range []string{"sync.vitals.42", "sync.vitals"} {
		stored := r.put(subject, "body of "+subject)
		msg := r.bury(0, "bad")
		r.ack(msg)
		letters := r.letters("", 0)
		if len(letters) != 1 {
			t.Fatalf("%d letters", len(letters))
		}

		r.must(r.bus.RetryLetter(t.Context(), letters[0]))

		again := r.take(r.source(events.ScopeVitals), 1)[0]
		if again.Subject() != msg.Subject() || string(again.Data()) != string(msg.Data()) || sequence(t, again) <= stored {
			t.Errorf("%s with %q came again as %s with %q", msg.Subject(), msg.Data(), again.Subject(), again.Data())
		}
		r.ack(again)
		if left := r.letters("", 0); len(left) > 0 {
			t.Errorf("left are %+v", left)
		}
	}
}

func TestDroppedLetterIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for n := range 2 {
		r.put("sync.vitals.42", strconv.Itoa(n))
		r.bury(42, "bad")
	}

	r.must(r.bus.DropLetter(t.Context(), 1))

	if _, err := r.bus.Letter(t.Context(), 1); !errors.Is(err, bus.ErrNoLetter) {
		t.Errorf("got %v, want ErrNoLetter", err)
	}
	if l, err := r.bus.Letter(t.Context(), 2); err != nil || string(l.Body) != "1" {
		t.Errorf("the other letter: %q, %v", l.Body, err)
	}
	if n, err := r.bus.DeadLetters(t.Context(), events.ScopeVitals); err != nil || n != 1 {
		t.Errorf("%d dead letters (%v), want 1", n, err)
	}
}

// unlimited takes away the limit of the stream of changes on what it stores, as one of
// an older build had none.
func (r *rig) unlimited() {
	r.t.Helper()
	cfg := r.config(bus.StreamChanges)
	cfg.MaxMsgSize = -1
	_, err := r.js.UpdateStream(r.t.Context(), cfg)
	r.must(err)
}

// With its headers the letter would be larger than the server takes, for ever.
func TestLetterThatIsTooLargeIsKeptWithoutItsBody(t *testing.T) {
	t.Parallel()
	const size = 1<<20 - 100
	r := newRig(t, seldom)
	r.unlimited()
	r.put("sync.vitals.42", strings.Repeat("x", size))

	msg := r.bury(42, "no event")

	letter := r.letters("", 0)[0]
	if letter.Stored.IsZero() {
		t.Error("no time")
	}
	if len(letter.Body) > 0 {
		t.Errorf("a body of %d bytes", len(letter.Body))
	}
	letter.Stored, letter.Body = time.Time{}, nil
	equal(t, "letter", letter, events.DeadLetter{
		Sequence: 1, Scope: events.ScopeVitals, Char: 42, Reason: "no event", Subject: "sync.vitals.42",
		Original: sequence(t, msg), Cut: size,
	})
	if got := r.stored(1).Header.Get("Savepoint-Cut"); got != strconv.Itoa(size) {
		t.Errorf("header %q", got)
	}
	if err := r.bus.RetryLetter(t.Context(), letter); !errors.Is(err, bus.ErrCut) {
		t.Errorf("retried: %v, want ErrCut", err)
	}
	if n := r.stream(bus.StreamChanges).State.Msgs; n != 1 {
		t.Errorf("%d events, want the original alone", n)
	}
	if n := len(r.letters("", 0)); n != 1 {
		t.Errorf("%d letters are left, want 1", n)
	}
}

// Who publishes may write anything into a header.
func TestLetterHasNoTraceThatIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	msg := nats.NewMsg("sync.vitals.42")
	msg.Header.Set("traceparent", strings.Repeat("x", 60<<10))
	_, err := r.js.PublishMsg(t.Context(), msg)
	r.must(err)

	r.bury(42, "bad")

	if got := r.stored(1).Header.Get("traceparent"); got != "" {
		t.Errorf("a trace of %d bytes", len(got))
	}
}

// Garbage of one character would read all of its letters, up to four megabytes, for each
// that is buried.
func TestWhatSaysNothingDoesNotReadOlderLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	asked, err := r.nc.SubscribeSync("$JS.API.*.GET." + bus.StreamDead)
	r.must(err)
	r.must(r.nc.Flush())
	questions := func() int {
		r.must(r.nc.FlushTimeout(patience)) // what was asked before is here
		n, _, err := asked.Pending()
		r.must(err)
		return n
	}
	bury := func(body string) {
		r.put("sync.vitals.42", body)
		r.ack(r.bury(42, "bad"))
	}

	for range 3 {
		bury("garbage")
	}
	if n := questions(); n > 0 {
		t.Errorf("%d questions for what garbage covers", n)
	}

	event := r.vitals(42)
	body, err := events.Encode(&event)
	r.must(err)
	bury(string(body))
	if questions() == 0 {
		t.Error("no question for what an event covers: the test hears nothing")
	}
}

// The older letter may be the only copy of a change, and what no saver ever takes does
// not make up for it. What one may take does.
func TestRefusedLetterPushesOutNoOlder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		char  events.CharID
		ahead time.Duration
		want  int
	}{
		"as it should be":    {42, 0, 1},
		"ahead by a day":     {42, 24 * time.Hour, 2},
		"of somebody else's": {7, 0, 2},
	} {
		r := newRig(t, seldom)
		bury := func(char events.CharID, version time.Time) {
			e := events.New(char, events.Version(version.UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeVitals,
				events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}})
			body, err := events.Encode(&e)
			r.must(err)
			r.put("sync.vitals.42", string(body))
			r.ack(r.bury(42, "bad"))
		}

		bury(c.char, time.Now())
		bury(c.char, time.Now().Add(c.ahead))

		if n := len(r.letters("", 0)); n != c.want {
			t.Errorf("%s: %d letters, want %d", name, n, c.want)
		}
	}
}

func TestDroppingALetterAgainIsNoError(t *testing.T) {
	r := newRig(t, seldom)
	r.put("sync.vitals.42", "x")
	r.bury(42, "bad")
	for range 2 {
		r.must(r.bus.DropLetter(t.Context(), 1))
	}
}
