package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Headers of a dead letter. The body is the original one, byte for byte, unless
// HeaderCut is there.
const (
	HeaderReason   = "Savepoint-Reason"   // why it cannot be saved
	HeaderSubject  = "Savepoint-Subject"  // the subject it was stored under
	HeaderSequence = "Savepoint-Sequence" // its sequence in the stream of changes
	HeaderTime     = "Savepoint-Time"     // when that stream stored it, RFC 3339
	HeaderCut      = "Savepoint-Cut"      // how long the body was, where it is left out: see cutOff
)

// longestTrace is more than any trace context takes. What is longer is none.
const longestTrace = 256

// Bury keeps msg among the dead letters with its reason, and returns when it is
// stored. Burying the same message twice within two minutes keeps it once. Older
// letters of the same character go where this one says as much of their rows, and is
// none that savers never take, so that a row that is refused again and again keeps one
// letter. char is 0 where it is not known. The error is events.ErrGone where a message
// was released and the stream has it no more.
func (b *Bus) Bury(ctx context.Context, msg jetstream.Msg, scope events.Scope, char events.CharID, reason string) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("bury: %w", err)
	}
	original, err := b.original(ctx, msg, meta)
	if err != nil {
		return fmt.Errorf("bury: %w", err)
	}
	letter := nats.NewMsg(events.DeadLetterSubject(scope, char))
	letter.Data = original.Data
	if trace := original.Header.Get(HeaderTrace); trace != "" && len(trace) <= longestTrace {
		letter.Header.Set(HeaderTrace, trace)
	}
	sequence := strconv.FormatUint(meta.Sequence.Stream, 10)
	letter.Header.Set(HeaderReason, headerText(reason))
	letter.Header.Set(HeaderSubject, original.Subject)
	letter.Header.Set(HeaderSequence, sequence)
	letter.Header.Set(HeaderTime, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	id := jetstream.WithMsgID(letterID(meta))
	ack, err := b.js.PublishMsg(ctx, letter, id)
	if errors.Is(err, nats.ErrMaxPayload) {
		cutOff(letter)
		ack, err = b.js.PublishMsg(ctx, letter, id)
	}
	if err != nil {
		return fmt.Errorf("bury event %s of %s: %w", sequence, meta.Stream, Unavailable(err))
	}
	b.log.Warn("event is in the dead letters", "scope", scope, "sequence", sequence, "char_id", char, "reason", reason)
	kept := events.DeadLetter{Sequence: ack.Sequence, Scope: scope, Char: char, Stored: meta.Timestamp, Body: letter.Data}
	if err := b.dropCovered(ctx, kept); err != nil {
		b.log.Debug("older dead letters stay", "subject", letter.Subject, "err", err)
	}
	return nil
}

// A releasable message may have let go of its bytes.
type releasable interface{ Released() bool }

// original returns a message as the stream has it: from the stream, where its bytes
// were let go of. The error is events.ErrGone where that has it no more.
func (b *Bus) original(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) (*jetstream.RawStreamMsg, error) {
	if m, ok := msg.(releasable); !ok || !m.Released() {
		return &jetstream.RawStreamMsg{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data()}, nil
	}
	stored, err := b.get(ctx, meta.Stream, atSequence(meta.Sequence.Stream))
	if err != nil {
		return nil, err
	}
	// A stream that has lost its end, or was made anew, has another one there.
	if stored == nil || !stored.Time.Equal(meta.Timestamp) {
		return nil, fmt.Errorf("%s has no message %d of %s: %w", meta.Stream, meta.Sequence.Stream, meta.Timestamp, events.ErrGone)
	}
	return stored, nil
}

// cutOff leaves out the body of a letter that is larger than the server takes: what
// came as large as it may be has no room for the headers. Without a letter it would come
// again for ever. The stream of changes has the original as long as it keeps it.
func cutOff(letter *nats.Msg) {
	letter.Header.Set(HeaderCut, strconv.Itoa(len(letter.Data)))
	letter.Data = nil
}

// letterID tells messages apart also where a stream was created anew and counts
// from 1 again.
func letterID(meta *jetstream.MsgMetadata) string {
	return fmt.Sprintf("%s/%d/%d", meta.Stream, meta.Sequence.Stream, meta.Timestamp.UnixNano())
}

// dropCovered drops letters before l that say nothing that l does not say as new or
// newer. It looks at the oldest few hundred of the character, and at none where l says
// nothing, or what no saver ever takes: the older may be the only copy then, and many
// that are no events would each read them all.
func (b *Bus) dropCovered(ctx context.Context, l events.DeadLetter) error {
	e, err := events.Decode(l.Body)
	if err != nil || l.Char == 0 || e.CheckDelivery(l.Scope, l.Char, l.Stored) != nil {
		return nil
	}
	older, _, err := b.page(ctx, StreamDead, events.DeadLetterSubject(l.Scope, l.Char), position{}, readMessages)
	if err != nil {
		return err
	}
	for i := range older {
		if older[i].Sequence < l.Sequence && covers(&e, older[i].Data) {
			if err := b.DropLetter(ctx, older[i].Sequence); err != nil {
				return err
			}
		}
	}
	return nil
}

// headerText is text that fits a header: one line, at most 1 KiB.
func headerText(text string) string {
	clean := []byte(text)
	for i, c := range clean {
		if c < ' ' {
			clean[i] = ' '
		}
	}
	return string(clean[:min(len(clean), 1024)])
}

// covers reports whether everything that an older event says of the rows of its
// character is also said, as new or newer, by another.
func covers(newer *events.StateChanged, older []byte) bool {
	e, err := events.Decode(older)
	if err != nil || e.CharID != newer.CharID {
		return false
	}
	said := make(events.RowVersions)
	said.Add(newer.Rows()...)
	return said.Has(e.Rows()...)
}
