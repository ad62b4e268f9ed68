package bus_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// Publishes that nobody answers, and whose caller does not wait, as with
// durability=hot, take the places of others for a while only.
func TestUnansweredPublishesGiveTheirPlacesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))
	_, err := r.js.Conn().SubscribeSync("sync.>") // hears, and is silent
	r.must(err)
	r.must(r.js.Conn().Flush())

	for range bus.MostUnacked {
		_, err := r.bus.Send(game.Origin{}, r.vitals(42))
		r.must(err)
	}
	_, err = r.bus.Send(game.Origin{}, r.vitals(42))
	isUnavailable(t, err)

	stacktest.Eventually(t, "a place for another publish", func() bool {
		_, err := r.bus.Send(game.Origin{}, r.vitals(42))
		return err == nil
	})
}

func TestAckTellsWhetherTheEventIsStored(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		`{"stream":"SYNC","seq":1}`:                               nil,
		`{"stream":"SYNC","domain":"a","seq":7,"duplicate":true}`: nil,
		`{"seq":1}`:              jetstream.ErrInvalidJSAck,
		`{"stream":"","seq":1}`:  jetstream.ErrInvalidJSAck,
		`{"stream":1}`:           jetstream.ErrInvalidJSAck,
		`{"stream":"SYNC"`:       jetstream.ErrInvalidJSAck,
		``:                       jetstream.ErrInvalidJSAck,
		`[]`:                     jetstream.ErrInvalidJSAck,
		`{"error":{"code":"x"}}`: jetstream.ErrInvalidJSAck,
		`{"error":{"code":503,"err_code":10077,"description":"maximum b"}}`: &jetstream.APIError{ErrorCode: 10077},
		`{"error":{"code":400,"err_code":10071},"stream":"SYNC","seq":0}`:   &jetstream.APIError{ErrorCode: 10071},
	} {
		if _, err := bus.DecodeAck([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
}

// Only an answer that names its stream, and no error, says that an event is stored.
func FuzzAck(f *testing.F) {
	f.Add([]byte(`{"stream":"SYNC","seq":1}`))
	f.Add([]byte(`{"error":{"code":503,"err_code":10077},"seq":0}`))
	f.Add([]byte(`{"error":null,"stream":"S"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		sequence, err := bus.DecodeAck(body)
		if err != nil {
			return
		}
		var said map[string]json.RawMessage // a struct would match Stream, too
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatalf("%q is taken for an ack: %v", body, err)
		}
		if name := string(said["stream"]); name == "" || name == `""` || said["error"] != nil && string(said["error"]) != "null" {
			t.Errorf("%q is taken for an ack", body)
		}
		if seq := said["seq"]; seq != nil && string(seq) != strconv.FormatUint(sequence, 10) {
			t.Errorf("%q is at sequence %d", body, sequence)
		}
	})
}
