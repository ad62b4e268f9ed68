package intake

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A reading is a standing request for messages.
type reading struct {
	msgs    chan ready
	bytes   atomic.Int64  // of all that lies ready
	room    chan struct{} // has a value when it has become less than readyBytes
	errs    chan error    // the last one that nobody has heard of
	consume jetstream.ConsumeContext
	ended   <-chan struct{}
	left    chan struct{} // closed when nobody reads msgs any more
	leave   func()        // closes it
}

// A ready message can be fetched.
type ready struct {
	jetstream.Msg
	bytes int
}

// errEnded is the reason where the server has ended a reading, as when its
// consumer is deleted.
var errEnded = errors.New("the consumer does not hand out any more")

const (
	// requestExpiry is how long a request stands before it is made anew. It bounds
	// for how long the server hands messages to a process that is stopped.
	requestExpiry = 2 * time.Second
	// usualRequest bounds what one request brings, in bytes, however large events are;
	// see bus.RequestBytes.
	usualRequest = 2 << 20
	// mostReady is how many messages lie ready to be fetched, beside those that
	// the client has not handed over. The larger the pieces of a backlog, the fewer
	// goroutines wake each other, and the larger a paced saver's transactions.
	mostReady = 1024
	// readyBytes is how large these are together, where they are large; the last one may
	// be more. As much again is on its way, or with the client.
	readyBytes = usualRequest
)

// read begins to read, up to limit messages ahead.
//
// The client asks for more when a tenth has come, not half: it does not ask while
// the last request is being written, and looks again at the next message only.
// Where nothing is left to come by then, see Source.askAgain.
func (in *Intake) read(consumer jetstream.Consumer, limit int) (*reading, error) {
	r := newReading()
	var err error
	r.consume, err = consumer.Consume(
		r.handle,
		jetstream.PullMaxMessagesWithBytesLimit(limit, in.bus.RequestBytes(usualRequest)),
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

func newReading() *reading {
	r := &reading{
		msgs: make(chan ready, mostReady),
		room: make(chan struct{}, 1),
		errs: make(chan error, 1),
		left: make(chan struct{}),
	}
	r.leave = sync.OnceFunc(func() { close(r.left) })
	return r
}

// handle lets a message lie ready as soon as there is room for it. The client has one
// goroutine that calls it, and brings nothing more meanwhile.
func (r *reading) handle(msg jetstream.Msg) {
	for r.bytes.Load() >= readyBytes {
		select {
		case <-r.room: // or there was, before
		case <-r.left:
			return
		}
	}
	m := ready{msg, sizeOf(msg)}
	r.bytes.Add(int64(m.bytes))
	select {
	case r.msgs <- m:
	case <-r.left:
	}
}

// taken makes room: whoever takes messages out of msgs says how large they were.
func (r *reading) taken(bytes int) {
	now := r.bytes.Add(-int64(bytes))
	if now >= readyBytes || now+int64(bytes) < readyBytes {
		return // there is none yet, or there was before
	}
	select {
	case r.room <- struct{}{}:
	default: // there is one that says so
	}
}

// sizeOf is about how large a message is in memory, where it is large.
func sizeOf(msg jetstream.Msg) int {
	bytes := len(msg.Data())
	for _, values := range msg.Headers() {
		for _, value := range values {
			bytes += len(value)
		}
	}
	return bytes
}

// note keeps err for the next Fetch.
func (r *reading) note(err error) {
	select {
	case r.errs <- err:
	default: // there is one that says enough
	}
}

// more returns first and what lies ready. There is room for more only when it returns, so
// that is no more than may lie ready.
func (r *reading) more(first ready, limit int) []jetstream.Msg {
	msgs, bytes := append(make([]jetstream.Msg, 0, min(limit, len(r.msgs)+1)), first.Msg), first.bytes
	defer func() { r.taken(bytes) }()
	for len(msgs) < limit {
		select {
		case msg := <-r.msgs:
			msgs, bytes = append(msgs, msg.Msg), bytes+msg.bytes
		default:
			return msgs
		}
	}
	return msgs
}

const (
	// drainTimeout is how long drain waits for what the server has sent already. A
	// server that is away has sent nothing, but the client waits for its answer.
	drainTimeout = 2 * time.Second
	// quiet is how long nothing comes before it is asked whether more will.
	quiet = 2 * time.Millisecond
)

// drain ends the reading and lets keep have what it brings until then. It returns
// sooner where nothing has come for a moment and that was all: the client
// (nats.go 1.55) looks every 100 ms whether it is done, which is long for a saver
// that has a backlog to save.
func (r *reading) drain(keep func(jetstream.Msg), all func() bool) {
	defer r.leave()
	take := func(msg ready) {
		r.taken(msg.bytes) // what is still to come has to get past handle
		keep(msg.Msg)
	}
	r.consume.Drain()
	timeout := time.After(drainTimeout)
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

// never is for a drain that takes all that may still come.
func never() bool { return false }

// stop ends the reading at once, however often it is called. What it has brought is
// dropped.
func (r *reading) stop() {
	r.leave()
	r.consume.Stop()
}
