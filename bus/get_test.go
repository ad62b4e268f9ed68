package bus_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/bus"
)

// An answer that cannot be read is not taken for "there is none".
func TestOnlyTheServerSaysThatThereIsNone(t *testing.T) {
	t.Parallel()
	for body, fails := range map[string]bool{
		`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`:                false,
		`{"error":{"code":503,"err_code":10008,"description":"JetStream not available"}}`:         true,
		`{"message":{"subject":"a","seq":1,"hdrs":"bm9uc2Vuc2U=","time":"2026-01-01T00:00:00Z"}}`: true,
		`{}`: true,
		``:   true,
	} {
		if msg, err := bus.DecodeGot([]byte(body)); msg != nil || (err != nil) != fails {
			t.Errorf("%s: %v, %v", body, msg, err)
		}
	}
}

func FuzzGot(f *testing.F) {
	f.Add([]byte(`{"message":{"subject":"sync.vitals.42","seq":7,"hdrs":"TkFUUy8xLjANCkE6IGINCg0K","data":"e30=","time":"2026-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"error":{"code":404,"err_code":10037}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if msg, err := bus.DecodeGot(body); err != nil && msg != nil {
			t.Errorf("a message %v beside %v", msg, err)
		}
	})
}
