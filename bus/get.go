package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A getRequest asks for a stored message by the direct or the leader's API, as JSON.
type getRequest map[string]any

// anySubject is a filter that every message passes.
const anySubject = ">"

// next asks for the messages of a subject from a position on.
func (p position) next(subject string) getRequest {
	q := getRequest{"next_by_subj": subject}
	if p.time.IsZero() {
		q["seq"] = max(p.sequence, 1)
	} else {
		q["start_time"] = p.time.UTC()
	}
	return q
}

// atSequence asks for the message with a sequence.
func atSequence(sequence uint64) getRequest { return getRequest{"seq": sequence} }

// lastOf asks for the newest message of a subject.
func lastOf(subject string) getRequest { return getRequest{"last_by_subj": subject} }

// get returns the one message that is asked for; nil for none. It asks the server that leads
// the stream: a message that has been acknowledged is there (decision 16).
func (b *Bus) get(ctx context.Context, stream string, q getRequest) (*jetstream.RawStreamMsg, error) {
	if !b.nc.IsConnected() {
		return nil, Unavailable(ErrNotConnected)
	}
	request, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	answer, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, Unavailable(b.SuspectIfGone(err))
	}
	msg, err := decodeGot(answer.Data)
	if err != nil {
		return nil, Unavailable(b.SuspectIfGone(err))
	}
	return msg, nil
}

// errNoAnswer is the reason where a server says neither what it has nor why not.
var errNoAnswer = errors.New("neither a message nor an error")

// decodeGot reads the answer to a getRequest for one message; nil where the server says
// that there is none.
func decodeGot(body []byte) (*jetstream.RawStreamMsg, error) {
	var said struct {
		Error   *jetstream.APIError
		Message *struct {
			Subject string
			Seq     uint64
			Hdrs    []byte
			Data    []byte
			Time    time.Time
		}
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, fmt.Errorf("a stored message: %w", err)
	}
	switch {
	case said.Error != nil && said.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case said.Error != nil:
		return nil, said.Error
	case said.Message == nil:
		return nil, fmt.Errorf("a stored message: %w", errNoAnswer)
	}
	m := said.Message
	msg := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Seq, Time: m.Time, Data: m.Data}
	if len(m.Hdrs) > 0 {
		var err error
		if msg.Header, err = nats.DecodeHeadersMsg(m.Hdrs); err != nil {
			return nil, fmt.Errorf("headers of stored message %d: %w", m.Seq, err)
		}
	}
	return msg, nil
}
