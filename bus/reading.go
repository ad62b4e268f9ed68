package bus

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A reading is a standing request for messages.
type reading struct {
	msgs    chan jetstream.Msg
	errs    chan error // the last one that nobody has heard of
	consume jetstream.ConsumeContext
	ended   <-chan struct{}
	left    chan struct{} // closed when nobody reads msgs any more
	leave   func()        // closes it
}

// errEnded is the reason where the server has ended a reading, as when its
// consumer is deleted.
var errEnded = errors.New("the consumer does not hand out any more")

const (
	// requestExpiry is how long a request stands before it is made anew. It bounds
	// for how long the server hands messages to a process that is stopped.
	requestExpiry = 2 * time.Second
	// usualRequest bounds what one request brings, in bytes, however large events are;
	// see requestBytes.
	usualRequest = 2 << 20
	// aroundMessage is more than what the server counts beside a message and its headers:
	// the subject that it has, and the one for its ack.
	aroundMessage = 16 << 10
	// readAhead is how many messages lie ready to be fetched, beside those that
	// the client has not handed over. The larger the pieces of a backlog, the fewer
	// goroutines wake each other, and the larger a paced saver's transactions.
	readAhead = 1024
)

// requestBytes bounds what one request brings. It is no less than the largest message that
// the server takes: one that no request can bring, and all that is behind it, never comes.
func (b *Bus) requestBytes() int { return max(usualRequest, int(b.nc.MaxPayload())+aroundMessage) }

// read begins to read, up to limit messages ahead.
//
// The client asks for more when a tenth has come, not half: it does not ask while
// the last request is being written, and looks again at the next message only.
// Where nothing is left to come by then, see Source.askAgain.
func (b *Bus) read(consumer jetstream.Consumer, limit int) (*reading, error) {
	r := &reading{
		msgs: make(chan jetstream.Msg, readAhead),
		errs: make(chan error, 1),
		left: make(chan struct{}),
	}
	r.leave = sync.OnceFunc(func() { close(r.left) })
	var err error
	r.consume, err = consumer.Consume(
		r.handle,
		jetstream.PullMaxMessagesWithBytesLimit(limit, b.requestBytes()),
		jetstream.PullThresholdMessages(limit-limit/10),
		jetstream.PullExpiry(requestExpiry),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { r.note(err) }),
	)
	if err != nil {
		return nil, err
	}
	r.ended = r.consume.Closed()
	return r, nil
}

func (r *reading) handle(msg jetstream.Msg) {
	select {
	case r.msgs <- msg:
	case <-r.left:
	}
}

// note keeps err for the next Fetch.
func (r *reading) note(err error) {
	select {
	case r.errs <- err:
	default: // there is one that says enough
	}
}

// more returns first and what lies ready.
func (r *reading) more(first jetstream.Msg, limit int) []jetstream.Msg {
	msgs := append(make([]jetstream.Msg, 0, min(limit, len(r.msgs)+1)), first)
	for len(msgs) < limit {
		select {
		case msg := <-r.msgs:
			msgs = append(msgs, msg)
		default:
			return msgs
		}
	}
	return msgs
}

const (
	// giveUpTimeout is how long giveUp waits for what the server has sent already. A
	// server that is away has sent nothing, but the client waits for its answer.
	giveUpTimeout = 2 * time.Second
	// quiet is how long nothing comes before it is asked whether more will.
	quiet = 2 * time.Millisecond
)

// giveUp ends the reading and gives back what nobody has fetched.
func (r *reading) giveUp(back func(jetstream.Msg)) {
	r.drain(back, func() bool { return false })
}

// drain ends the reading and lets take have what it brings until then. It returns
// sooner where nothing has come for a moment and that was all: the client
// (nats.go 1.55) looks every 100 ms whether it is done, which is long for a saver
// that has a backlog to save.
func (r *reading) drain(take func(jetstream.Msg), all func() bool) {
	defer r.leave()
	r.consume.Drain()
	timeout := time.After(giveUpTimeout)
	for ended := false; !ended; {
		select {
		case msg := <-r.msgs:
			take(msg)
		case <-r.ended:
			ended = true
		case <-timeout:
			ended = true
		case <-time.After(quiet):
			ended = all()
		}
	}
	for {
		select {
		case msg := <-r.msgs:
			take(msg)
		default:
			return
		}
	}
}

// stop ends the reading at once, however often it is called. What it has brought is
// dropped.
func (r *reading) stop() {
	r.leave()
	r.consume.Stop()
}
