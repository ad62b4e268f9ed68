package chaos

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
)

// replayed bounds how many stored events streamReplay publishes again.
const replayed = 500

// replayTimeout bounds the whole fault: where NATS is away, it does nothing.
const replayTimeout = 10 * time.Second

// streamReplay publishes a random sample of the stored events again, bytes unchanged, in random order: whoever stores results by version takes
// no harm.
func streamReplay(ctx context.Context, r *rig, x *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout)
	defer cancel()
	js, leave, err := r.nats.jetStream()
	if err != nil {
		return nil // NATS is away, by another fault
	}
	defer leave()
	stream, err := js.Stream(ctx, streamChanges)
	if err != nil {
		return nil // as above
	}
	state := stream.CachedInfo().State
	for range min(replayed, state.Msgs) {
		msg, err := stream.GetMsg(ctx, state.FirstSeq+x.Uint64N(state.LastSeq-state.FirstSeq+1))
		if err != nil {
			continue // it was dropped, or NATS is away
		}
		if e, err := events.Decode(msg.Data); err != nil || e.CharID > poisonFirst {
			continue // poison
		}
		again := &nats.Msg{Subject: msg.Subject, Header: own(msg.Header), Data: msg.Data}
		if _, err := js.PublishMsgAsync(again); err != nil {
			return nil // as above
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
	}
	return nil
}

// own leaves out what the server adds when it hands a message out: stored, it
// would tell every reader a wrong sequence.
func own(all nats.Header) nats.Header {
	kept := nats.Header{}
	for name, values := range all {
		if !strings.HasPrefix(name, "Nats-") {
			kept[name] = values
		}
	}
	return kept
}
