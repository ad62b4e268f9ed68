package events_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// The golden messages are good for ever, byte for byte as they were published.
// A change of the format adds files beside them and edits none.
func goldens(t testing.TB) map[string][]byte { return files(t, "testdata/*.json") }

func files(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files like %s: %v", pattern, err)
	}
	out := make(map[string][]byte, len(paths))
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(path), ".json")] = body
	}
	return out
}

func golden(t testing.TB, name string) string {
	t.Helper()
	body, ok := goldens(t)[name]
	if !ok {
		t.Fatalf("no golden message %q", name)
	}
	return string(body)
}

func mustDecode(t testing.TB, body []byte) events.StateChanged {
	t.Helper()
	e, err := events.Decode(body)
	if err != nil {
		t.Fatalf("decode %s: %v", body, err)
	}
	return e
}

func mustEncode(t testing.TB, e *events.StateChanged) []byte {
	t.Helper()
	body, err := events.Encode(e)
	if err != nil {
		t.Fatalf("encode %+v: %v", *e, err)
	}
	return body
}

func TestGoldenMessagesComeBackByteForByte(t *testing.T) {
	for name, body := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			e := mustDecode(t, body)
			if diff := cmp.Diff(string(body), string(mustEncode(t, &e))); diff != "" {
				t.Errorf("decoded and encoded it reads otherwise (-golden +again):\n%s", diff)
			}
		})
	}
}

func TestGoldenMessagesShowEachScopeAndCause(t *testing.T) {
	seen := map[string]bool{}
	for _, body := range goldens(t) {
		e := mustDecode(t, body)
		seen[string(e.Scope)], seen[string(e.Cause)] = true, true
	}
	for _, want := range []string{
		"combat", "inventory", "vitals", "scenario",
		"action", "explicit", "preempted", "cleanup", "dispatch", "restore", "transfer",
	} {
		if !seen[want] {
			t.Errorf("no golden message with %q", want)
		}
	}
}

// What New makes of the same change is what was published.
func TestGoldenMessagesAreWhatNewMakes(t *testing.T) {
	for name, body := range goldens(t) {
		e := mustDecode(t, body)
		again := events.New(e.CharID, e.Version, e.Cause, e.SessionID, e.Scope, e.Data)
		if diff := cmp.Diff(e, again); diff != "" {
			t.Errorf("%s (-golden +New):\n%s", name, diff)
		}
	}
}

// ids.txt pins ids and subjects: a build that derived another id would make a
// second event of a change that was published before it.
func TestIDsAndSubjectsNeverChange(t *testing.T) {
	text, err := os.ReadFile("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			checkID(t, line)
		}
	}
}

func checkID(t *testing.T, line string) {
	t.Helper()
	var (
		scope                events.Scope
		char                 events.CharID
		version              events.Version
		session, subject, id string
	)
	if _, err := fmt.Sscan(line, &scope, &char, &version, &session, &subject, &id); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	var in uuid.UUID
	if session != "-" {
		in = uuid.MustParse(session)
	}
	if e := events.New(char, version, events.CauseAction, in, scope, nil); e.ID.String() != id {
		t.Errorf("%s has the id %s", line, e.ID)
	}
	if got := events.Subject(scope, char); got != subject {
		t.Errorf("%s has the subject %s", line, got)
	}
}

// The id says which change it is. Of a fight the session alone does: it ends
// once. Why an event was published does not matter.
func TestSameChangeHasTheSameID(t *testing.T) {
	fight, other := uuid.New(), uuid.New()
	id := func(c events.CharID, v events.Version, cause events.Cause, session uuid.UUID, s events.Scope) uuid.UUID {
		return events.New(c, v, cause, session, s, nil).ID
	}
	same := [][2]uuid.UUID{
		{id(1, 5, events.CauseAction, uuid.Nil, "vitals"), id(1, 5, events.CauseDispatch, other, "vitals")},
		{id(1, 5, events.CauseExplicit, fight, "combat"), id(1, 6, events.CauseCleanup, fight, "combat")},
	}
	for i, pair := range same {
		if pair[0] != pair[1] {
			t.Errorf("pair %d: %s and %s for one change", i, pair[0], pair[1])
		}
	}
	distinct := []uuid.UUID{
		same[0][0], same[1][0],
		id(2, 5, events.CauseAction, uuid.Nil, "vitals"),
		id(1, 6, events.CauseAction, uuid.Nil, "vitals"),
		id(1, 5, events.CauseAction, uuid.Nil, "inventory"),
		id(1, 5, events.CauseExplicit, other, "combat"),
		id(1, 5, events.CauseExplicit, uuid.Nil, "combat"),
		id(11, 5, events.CauseAction, uuid.Nil, "vitals"),
	}
	slices.SortFunc(distinct, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	if n := len(slices.Compact(distinct)); n != 8 {
		t.Errorf("8 changes have %d ids", n)
	}
}

// A body belongs to whoever read it: the network may use its memory again.
func TestDecodeKeepsNoPartOfTheBody(t *testing.T) {
	for name, body := range goldens(t) {
		e := mustDecode(t, body)
		before := string(mustEncode(t, &e))
		for i := range body {
			body[i] = 'x'
		}
		if after := string(mustEncode(t, &e)); after != before {
			t.Errorf("%s became %s when its body was overwritten", name, after)
		}
	}
}

// The messages that docs/events.md shows are good ones, as Encode writes them.
func TestDocumentedMessagesAreGood(t *testing.T) {
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "{") {
			shown++
			e := mustDecode(t, []byte(line))
			if diff := cmp.Diff(strings.TrimSpace(line), string(mustEncode(t, &e))); diff != "" {
				t.Error(diff)
			}
			again := events.New(e.CharID, e.Version, e.Cause, e.SessionID, e.Scope, e.Data)
			if again.ID != e.ID || !again.OccurredAt.Equal(e.OccurredAt) {
				t.Errorf("id %s and time %s should be %s and %s", e.ID, e.OccurredAt, again.ID, again.OccurredAt)
			}
		}
	}
	if shown < 4 {
		t.Errorf("%d messages are shown, want one of each scope", shown)
	}
}
