package bus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Headers of a dead letter. The body is the original one, byte for byte.
const (
	HeaderReason   = "Savepoint-Reason"   // why it cannot be saved
	HeaderSubject  = "Savepoint-Subject"  // the subject it was stored under
	HeaderSequence = "Savepoint-Sequence" // its sequence in the stream of changes
	HeaderTime     = "Savepoint-Time"     // when that stream stored it, RFC 3339
)

// Bury keeps msg among the dead letters with its reason, and returns when it is
// stored. Burying the same message twice within two minutes keeps it once.
// char is 0 where it is not known.
func (b *Bus) Bury(ctx context.Context, msg jetstream.Msg, scope events.Scope, char events.CharID, reason string) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("bury: %w", err)
	}
	letter := nats.NewMsg(events.DeadLetterSubject(scope, char))
	letter.Data = msg.Data()
	if trace := msg.Headers().Get(HeaderTrace); trace != "" {
		letter.Header.Set(HeaderTrace, trace)
	}
	sequence := strconv.FormatUint(meta.Sequence.Stream, 10)
	letter.Header.Set(HeaderReason, headerText(reason))
	letter.Header.Set(HeaderSubject, msg.Subject())
	letter.Header.Set(HeaderSequence, sequence)
	letter.Header.Set(HeaderTime, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	if _, err := b.js.PublishMsg(ctx, letter, jetstream.WithMsgID(meta.Stream+"/"+sequence)); err != nil {
		return fmt.Errorf("bury event %s of %s: %w", sequence, meta.Stream, unavailable(err))
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
