package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readMessages and readBytes bound one answer, so that it stays below what
	// a subscription may hold.
	readMessages = 500
	readBytes    = 4 << 20
	// aroundMessage is more than what the server counts beside a message and its headers:
	// the subject that it has, and the one for its ack.
	aroundMessage = 16 << 10
	// readTimeout bounds the wait for the next message of an answer.
	readTimeout = 5 * time.Second
	// replicaTimeout is how long a replica may take to begin an answer. One whose server
	// hangs is asked for up to minutes, until the others drop it.
	replicaTimeout = 500 * time.Millisecond

	statusHeader  = "Status"
	statusEnd     = "204" // no more in this answer
	statusNothing = "404"
)

// RequestBytes bounds what one request to a consumer brings, usually to so many bytes. It
// is no less than the largest message that the server takes: one that no request can
// bring, and all that is behind it, never comes.
func (b *Bus) RequestBytes(usual int) int { return max(usual, int(b.nc.MaxPayload())+aroundMessage) }

// A position is where in a stream reading begins: at a sequence, or at a time.
type position struct {
	sequence uint64
	time     time.Time
}

// page reads up to limit stored messages of a subject, which may have
// wildcards, from a position on; fewer where the answer would be too large. end tells that
// there are no more: the server that leads the stream says so.
func (b *Bus) page(ctx context.Context, stream, subject string, from position, limit int) (page []jetstream.RawStreamMsg, end bool, err error) {
	page, err = b.replicaPage(ctx, stream, subject, from, limit)
	if err != nil || len(page) >= limit {
		return page, false, err
	}
	if len(page) > 0 {
		from = after(page)
	}
	next, err := b.get(ctx, stream, from.next(subject))
	if err != nil || next == nil {
		return page, err == nil, err
	}
	return append(page, *next), false, nil
}

// replicaPage is page in one request: one by one would cost a round trip each, a consumer
// a place in the server's list. Any server with a replica of the stream may answer, and
// one may be behind: it has the beginning, and no end. (nats-server 2.15 lets a replica
// answer that has nine tenths of the stream.) One that says nothing has nothing.
func (b *Bus) replicaPage(ctx context.Context, stream, subject string, from position, limit int) ([]jetstream.RawStreamMsg, error) {
	if !b.nc.IsConnected() {
		return nil, Unavailable(ErrNotConnected)
	}
	q, batch := from.next(subject), max(2, min(limit, readMessages)) // with one the server leaves out the end
	q["batch"], q["max_bytes"] = batch, readBytes
	request, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	inbox := b.nc.NewRespInbox()
	// SubscribeSync would make room for 65,536 answers, half a megabyte.
	answers := make(chan *nats.Msg, batch+1)
	subscription, err := b.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, Unavailable(err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // the connection may be gone
	if err := b.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, request); err != nil {
		return nil, Unavailable(err)
	}
	page, err := collectPage(ctx, answers)
	return page[:min(len(page), limit)], err
}

// collectPage takes a replica's answers until it says that these are all. One that has
// said nothing within replicaTimeout has nothing.
func collectPage(ctx context.Context, answers <-chan *nats.Msg) (page []jetstream.RawStreamMsg, err error) {
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	first, cancelFirst := context.WithTimeout(reading, replicaTimeout)
	defer cancelFirst()
	for waiting := first; ; waiting = reading {
		var answer *nats.Msg
		select {
		case answer = <-answers:
		case <-waiting.Done():
			if waiting == first && reading.Err() == nil {
				return nil, nil
			}
			return nil, Unavailable(reading.Err())
		}
		switch status := answer.Header.Get(statusHeader); status {
		case statusEnd, statusNothing:
			return page, nil
		case "":
		default:
			return nil, Unavailable(errors.New(status + " " + answer.Header.Get("Description")))
		}
		msg, err := readStored(answer)
		if err != nil {
			return nil, err
		}
		page = append(page, msg)
	}
}

// readStored takes an answer apart. The server puts what it says behind the
// message's own headers, among which may be the same names: those of a message
// that somebody has copied.
func readStored(answer *nats.Msg) (msg jetstream.RawStreamMsg, err error) {
	said := func(name string) string {
		values := answer.Header.Values(name)
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	msg = jetstream.RawStreamMsg{Subject: said(jetstream.SubjectHeader), Header: answer.Header, Data: answer.Data}
	if msg.Sequence, err = strconv.ParseUint(said(jetstream.SequenceHeader), 10, 64); err != nil {
		return msg, fmt.Errorf("sequence of a stored message: %w", err)
	}
	if msg.Time, err = time.Parse(time.RFC3339Nano, said(jetstream.TimeStampHeaer)); err != nil {
		return msg, fmt.Errorf("time of stored message %d: %w", msg.Sequence, err)
	}
	return msg, nil
}

// pages calls yield with each stored message of a subject from a position on, in
// the order of the sequences, until it returns false.
func (b *Bus) pages(ctx context.Context, stream, subject string, from position, yield func(*jetstream.RawStreamMsg) bool) error {
	for {
		page, end, err := b.page(ctx, stream, subject, from, readMessages)
		if err != nil {
			return err
		}
		for i := range page {
			if !yield(&page[i]) {
				return nil
			}
		}
		if end {
			return nil
		}
		from = after(page)
	}
}

// after is the position behind a page.
func after(page []jetstream.RawStreamMsg) position {
	return position{sequence: page[len(page)-1].Sequence + 1}
}
