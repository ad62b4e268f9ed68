package verify

import (
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// The verdict about a row says which copy is right, by versions first, and by what the
// stream holds where versions are equal.
func TestVerdict(t *testing.T) {
	t.Parallel()
	const none = ""
	at := func(version events.Version, text string) Copy { return Copy{text, version} }
	settled, pending := Event{Sequence: 1, Settled: true}, Event{Sequence: 1}
	for name, c := range map[string]struct {
		row
		differs bool
		want    Verdict
	}{
		"cold is behind, its event waits":        {row{asked: true, hot: at(2, "b"), stream: at(2, "b"), cold: at(1, "a"), event: pending}, true, Pending},
		"cold is behind, its event is settled":   {row{asked: true, hot: at(2, "b"), stream: at(2, "b"), cold: at(1, "a"), event: settled}, true, Unstored},
		"cold is behind, and there is no event":  {row{asked: true, hot: at(2, "b"), stream: at(1, "a"), cold: at(1, "a")}, true, Unpublished},
		"cold has nothing":                       {row{asked: true, hot: at(2, "b")}, true, Unpublished},
		"cold is behind, nobody was asked":       {row{hot: at(2, "b"), cold: at(1, "a")}, true, Unknown},
		"hot is behind cold":                     {row{asked: true, hot: at(1, "a"), cold: at(2, "b")}, true, HotBehind},
		"hot is behind the stream and cold":      {row{asked: true, hot: at(1, "a"), stream: at(2, "b"), cold: at(2, "b"), event: settled}, true, HotBehind},
		"hot and cold are behind, it waits":      {row{asked: true, hot: at(1, "a"), stream: at(2, "b"), cold: at(1, "a"), event: pending}, true, Pending},
		"two values, the stream says hot":        {row{asked: true, hot: at(1, "a"), stream: at(1, "a"), cold: at(1, "x")}, true, ColdWrong},
		"two values, the stream says cold":       {row{asked: true, hot: at(1, "x"), stream: at(1, "a"), cold: at(1, "a")}, true, HotWrong},
		"two values, the stream says a third":    {row{asked: true, hot: at(1, "x"), stream: at(1, "a"), cold: at(1, "y")}, true, Undecided},
		"two values, the stream has an older":    {row{asked: true, hot: at(2, "x"), stream: at(1, "a"), cold: at(2, "y")}, true, Undecided},
		"two values, nobody was asked":           {row{hot: at(1, "x"), cold: at(1, "y")}, true, Unknown},
		"all are equal":                          {row{asked: true, hot: at(1, "a"), stream: at(1, "a"), cold: at(1, "a")}, false, none},
		"the stream has forgotten what is saved": {row{asked: true, hot: at(1, "a"), cold: at(1, "a")}, false, none},
	} {
		c.known, c.key = true, events.RowItem("gem")
		if got := c.row.differs(); got != c.differs {
			t.Errorf("%s: differs: %t", name, got)
		}
		if got := c.verdict(); c.differs && got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A fight is in Redis while it is not saved, and no longer.
func TestVerdictAboutAFight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hot, cold events.Version
		differs   bool
		want      Verdict
	}{
		"not saved":                   {1, 0, true, Unpublished},
		"saved, and Redis has it yet": {1, 1, true, Leftover},
		"saved":                       {0, 1, false, ""},
	} {
		r := row{key: events.RowFight(uuid.New()), known: true, asked: true, hot: Copy{"", c.hot}, cold: Copy{"", c.cold}}
		if got := r.differs(); got != c.differs {
			t.Errorf("%s: differs: %t", name, got)
		}
		if got := r.verdict(); c.differs && got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
