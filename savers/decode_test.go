package savers_test

import (
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// An event of a newer schema is good: it waits for a saver that can read it.
func TestEventOfNewerSchemaIsNotBuriedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(2, 1)
	newer := strings.Replace(string(encode(t, &history[0])), `"schema":1`, `"schema":2,"extra":true`, 1)
	r.publish("sync.vitals.1", []byte(newer))
	r.publishAll(history[1:])
	r.start(savers.VitalsStateSaver{}, 10)
	stacktest.Eventually(t, "the good event is saved", func() bool { return len(r.vitalsVersions()) == 1 })
	backlog, err := r.bus.Backlog(t.Context(), events.ScopeVitals)
	if err != nil || backlog.Unsaved() != 1 {
		t.Errorf("backlog %+v, %v: the newer event must stay in the stream", backlog, err)
	}
	if letters := r.letters(); len(letters) != 0 {
		t.Errorf("dead letters: %v", letters)
	}
}
