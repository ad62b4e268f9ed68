package intake

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A released message is what is left of one whose bytes were let go of: where it is in the
// stream. Nothing is to be settled of it.
type released struct {
	jetstream.Msg
	reply string
}

func (r released) Metadata() (*jetstream.MsgMetadata, error) {
	// The client reads metadata for messages of a subscription, whichever it is.
	old, err := (&nats.Msg{Reply: r.reply, Sub: new(nats.Subscription)}).Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Stream: old.Sequence.Stream, Consumer: old.Sequence.Consumer},
		NumDelivered: old.NumDelivered, NumPending: old.NumPending, Timestamp: old.Timestamp,
		Stream: old.Stream, Consumer: old.Consumer, Domain: old.Domain,
	}, nil
}

func (r released) Reply() string      { return r.reply }
func (released) Subject() string      { return "" }
func (released) Headers() nats.Header { return nil }
func (released) Data() []byte         { return nil }
