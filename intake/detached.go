package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Detached returns the message for who has it in hand for long, instead of this one. The
// client's messages (nats.go 1.55) lead from each to what came behind it: whoever holds
// one holds the bytes of all those.
func (d *delivery) Detached() jetstream.Msg {
	if !d.batch.acked {
		return d
	}
	own := detached{
		released: released{reply: d.Reply()}, nc: d.batch.nc,
		subject: d.Subject(), header: d.header, body: d.Data(),
	}
	return &delivery{Msg: own, batch: d.batch, header: d.header}
}

// A detached message has what the client's has, and settles as that does.
type detached struct {
	released
	nc      *nats.Conn
	subject string
	header  nats.Header
	body    []byte
}

func (m detached) Subject() string      { return m.subject }
func (m detached) Headers() nats.Header { return m.header }
func (m detached) Data() []byte         { return m.body }

func (m detached) Ack() error        { return m.answer("+ACK") }
func (m detached) Nak() error        { return m.answer("-NAK") }
func (m detached) InProgress() error { return m.answer("+WPI") }
func (m detached) Term() error       { return m.answer("+TERM") }

func (m detached) NakWithDelay(delay time.Duration) error {
	return m.answer(fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds()))
}

func (m detached) TermWithReason(reason string) error { return m.answer("+TERM " + reason) }

func (m detached) DoubleAck(ctx context.Context) error {
	_, err := m.nc.RequestWithContext(ctx, m.reply, []byte("+ACK"))
	return err
}

func (m detached) answer(text string) error { return m.nc.Publish(m.reply, []byte(text)) }
