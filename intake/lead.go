package intake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
)

// lead is what the leader of a catch-up knows: it began it, and moves the scope's
// consumer.
type lead struct {
	reports *nats.Subscription
	calls   *nats.Subscription // what comes of calls

	board   *board
	helpers map[string]*helper

	before    *batch    // what this saver has got from the consumer
	settled   uint64    // the consumer is here
	strangers int       // so often in a row somebody else had drawn from it
	overSince time.Time // when this saver had nothing to do any more, or zero
}

// A helper is another saver that reads from the same reader.
type helper struct {
	heard      time.Time
	called     time.Time
	answers    string // where it gets its answers, as long as its connection lives
	gone       bool   // nobody listens there any more
	over, lost bool
}

const (
	// readerLife is for how long the server keeps a reader that nobody reads from.
	readerLife = 10 * time.Second
	// readerTimeout is how long a reader may take to answer: some of those whose server
	// is away must leave time to make another one.
	readerTimeout = tryTimeout / 5
	// silentAfter is for how long nothing is heard of a saver before it is taken for
	// gone. A report is due every reportEvery, but where many savers share few processors
	// one takes half a second and more, and all that they have in hand is saved again
	// where one is taken for gone that is not.
	silentAfter = 5 * time.Second
	// callAfter is for how long nothing is heard of a saver before it is asked whether
	// its connection is still there: of one that was killed the server knows at once.
	callAfter = 500 * time.Millisecond
	// patience is for how long savers that are done wait for the others: fresh events
	// wait meanwhile, but so they would behind what is saved again.
	patience = 3 * time.Second
	// mostStrangers is how many moves in a row may find that somebody who takes no part
	// has drawn from the consumer: a saver that comes does, before it takes part.
	mostStrangers = 3
	// readerName is how many letters (of 32) a reader has of its own: 50 bits. Each of
	// its messages carries its whole name.
	readerName = 10
)

// errGone means that a saver which took part is gone: what it had in hand comes again.
var errGone = errors.New("a saver that took part is gone")

// reportSubject is where the leader gets the reports of helpers.
func reportSubject(reader string) string { return "savepoint." + reader }

// oldestReader finds the reader of a catch-up that goes on; nil for none.
func (in *Intake) oldestReader(ctx context.Context, of jetstream.Consumer) (oldest jetstream.Consumer, err error) {
	stream, err := in.js.Stream(ctx, of.CachedInfo().Stream)
	if err != nil {
		return nil, err
	}
	names, err := bus.Readers(ctx, stream, of.CachedInfo().Name)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		asking, cancel := context.WithTimeout(ctx, readerTimeout)
		reader, err := stream.Consumer(asking, name)
		cancel()
		// What does not answer is gone, or its server is, and it with it.
		if err == nil && (oldest == nil || reader.CachedInfo().Created.Before(oldest.CachedInfo().Created)) {
			oldest = reader
		}
	}
	return oldest, ctx.Err()
}

// errOvertaken means that another saver has made a reader at the same time.
var errOvertaken = errors.New("another reader is older")

// beginCatchUp leads one. The error is errOvertaken where another saver does so at the
// same time.
func (in *Intake) beginCatchUp(ctx context.Context, of jetstream.Consumer, mine holding, limit int) (*catchUp, error) {
	info, err := of.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("catch up: %w", err)
	}
	c := in.newCatchUp(of)
	c.begun = beginsAfter(info, mine)
	c.lead = &lead{before: mine.unacked, settled: c.begun, board: newBoard(c.begun), helpers: make(map[string]*helper)}
	name := bus.ReaderPrefix(of.CachedInfo().Name) + rand.Text()[:readerName]
	// Whoever finds the reader finds somebody who listens.
	if err = c.listen(name); err == nil {
		err = c.openReader(ctx, name, limit)
	}
	if err != nil {
		c.stopListening()
		return nil, fmt.Errorf("catch up: %w", err)
	}
	in.catchUps.Go(c.keepSettling)
	return c, nil
}

// beginsAfter is where a reader begins: behind what this saver holds, where nobody else
// holds anything; else where all is settled, since what a saver lost as it stopped to
// read is settled by nobody.
func beginsAfter(info *jetstream.ConsumerInfo, mine holding) uint64 {
	if info.NumAckPending <= mine.pending {
		return mine.last
	}
	return info.AckFloor.Stream
}

// openReader makes the reader and begins to read, unless there is another one.
func (c *catchUp) openReader(ctx context.Context, name string, limit int) error {
	of := c.of.CachedInfo()
	var err error
	c.reader, err = c.in.js.CreateConsumer(ctx, of.Stream, jetstream.ConsumerConfig{
		Name:          name,
		FilterSubject: of.Config.FilterSubject, FilterSubjects: of.Config.FilterSubjects,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: c.begun + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: readerLife,
	})
	if err != nil {
		return err
	}
	oldest, err := c.in.oldestReader(ctx, c.of)
	switch {
	case err != nil:
	case oldest == nil || oldest.CachedInfo().Name != name:
		err = errOvertaken
	default:
		c.reading, err = c.in.read(c.reader, limit)
	}
	if err != nil {
		c.in.deleteReader(c.reader)
	}
	return err
}

func (c *catchUp) listen(reader string) (err error) {
	if c.lead.reports, err = c.in.nc.Subscribe(reportSubject(reader), c.receiveReport); err != nil {
		return err
	}
	c.lead.calls, err = c.in.nc.Subscribe(c.in.nc.NewRespInbox()+".*", c.called)
	return err
}

func (c *catchUp) stopListening() {
	for _, s := range []*nats.Subscription{c.lead.reports, c.lead.calls} {
		if s != nil {
			_ = s.Unsubscribe() // of a connection that is closed, nothing is left
		}
	}
}

// isShared reports whether messages may have gone to others.
func (c *catchUp) isShared() bool {
	if c.lead == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lead.helpers) > 0
}

// receiveReport takes in a report, and answers it: so a helper counts before it gets its
// first message.
func (c *catchUp) receiveReport(msg *nats.Msg) {
	r, err := decodeReport(msg.Data)
	var answer string
	if err == nil {
		answer, err = c.noteReport(r, msg.Reply, time.Now())
	}
	if err != nil {
		c.in.log.Warn("report not understood", "subject", msg.Subject, "err", err)
		return
	}
	if r.ended {
		c.stop()
	}
	c.wake()
	_ = msg.Respond([]byte(answer)) // who gets no answer sends it again
}

// noteReport notes a helper's report, and returns the answer.
func (c *catchUp) noteReport(r *report, answers string, now time.Time) (answer string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.lead.board.note(r); err != nil {
		return "", err
	}
	h := c.lead.helpers[r.saver]
	if h == nil {
		h = new(helper)
		c.lead.helpers[r.saver] = h
	}
	h.heard, h.answers, h.over, h.lost = now, answers, r.over, h.lost || r.lost
	if c.ended {
		return heardEnough, nil
	}
	return heardMore, nil
}

// What a leader answers: go on, or the backlog is at its end.
const (
	heardMore   = "more"
	heardEnough = "enough"
)

// call asks the server for the connections of helpers of which nothing is heard.
func (c *catchUp) call(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inbox := strings.TrimSuffix(c.lead.calls.Subject, "*")
	for name, h := range c.lead.helpers {
		if !h.over && now.Sub(h.heard) > callAfter && now.Sub(h.called) > callAfter {
			h.called = now // what it cannot ask now it asks the next time
			_ = c.in.nc.PublishRequest(h.answers, inbox+hex.EncodeToString([]byte(name)), nil)
		}
	}
}

// noResponders is the status by which the server says that nobody listens.
const noResponders = "503"

// called hears that a call found nobody; a client drops one that finds it.
func (c *catchUp) called(msg *nats.Msg) {
	name, err := hex.DecodeString(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
	if err != nil || msg.Header.Get("Status") != noResponders {
		return
	}
	c.mu.Lock()
	if h := c.lead.helpers[string(name)]; h != nil {
		h.gone = true
	}
	c.mu.Unlock()
	c.wake()
}

// others says how far the helpers are: whether all are done, and whether one of them
// will never be.
func (c *catchUp) others(now time.Time) (over bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	over = true
	for _, h := range c.lead.helpers {
		switch {
		case h.lost:
			return false, errGivenBack
		case !h.over && (h.gone || now.Sub(h.heard) > c.in.silentAfter):
			return false, errGone
		}
		over = over && h.over
	}
	return over, nil
}

// progress notes what this saver has saved, and returns up to which sequence of the
// stream all is, and whether nothing is left to be done. The error means that it will
// not become more.
func (c *catchUp) progress(now time.Time) (saved uint64, over bool, err error) {
	r, err := c.takeReport()
	if err != nil {
		return c.lead.settled, false, err
	}
	othersOver, err := c.others(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	err = errors.Join(err, c.lead.board.note(r))
	if c.back || r.lost && !r.ended {
		err = errors.Join(err, errGivenBack)
	}
	if !r.over {
		return c.lead.board.saved, false, err
	}
	if c.lead.overSince.IsZero() {
		c.lead.overSince = now
	}
	return c.lead.board.saved, othersOver || now.Sub(c.lead.overSince) >= patience, err
}
