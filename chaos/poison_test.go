package chaos

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// What is published as poison cannot be saved, in any of its forms, and what it
// was made of can.
func TestPoisonIsBad(t *testing.T) {
	for _, scope := range events.Scopes() {
		e := goodEvent(scope, poisonFirst+1, time.Now())
		text, err := events.Encode(&e)
		if err != nil {
			t.Fatalf("%s: %v", scope, err)
		}
		for how := range spoilings {
			body, err := spoiled(text, how, e.CharID)
			if err != nil {
				t.Fatal(err)
			}
			bad, err := events.Decode(body)
			if err == nil {
				err = bad.CheckDelivery(scope, e.CharID, time.Now())
			}
			if err == nil {
				t.Errorf("%s, way %d is good: %s", scope, how, body)
			}
			t.Logf("%s, way %d: %v", scope, how, err)
		}
	}
}
