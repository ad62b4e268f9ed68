package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/recent"
)

// Mirror is the bucket AC: the active contexts of each character, for the
// context switch to look at first and for other services to watch. Redis is the
// authority; the mirror only ever moves forwards.
type Mirror struct {
	b      *Bus
	recent *recent.Map[events.CharID, shown]
}

// shown is what the mirror shows of a character.
type shown struct {
	contexts game.Contexts
	revision uint64 // of the value, or of the mark of its deletion; 0 for neither
}

// mirrorPrefix begins the subjects of the bucket's stream; the character follows.
const mirrorPrefix = "$KV." + BucketMirror + "."

// kvOperation is the header of a key's deletion; values have none.
const kvOperation = "KV-Operation"

// mostRecent is how many characters a Mirror remembers, in about 500 bytes each.
const mostRecent = 65_536

// Mirror returns the mirror.
func (b *Bus) Mirror() *Mirror {
	return &Mirror{b: b, recent: recent.NewMap[events.CharID, shown](mostRecent)}
}

// mirrorValue is a value of the bucket: the hash ac:<char_id> as JSON.
type mirrorValue struct {
	CharID    events.CharID  `json:"char_id"`
	Version   events.Version `json:"version"`
	Combat    *uuid.UUID     `json:"combat_session_id,omitempty"`
	Inventory *uuid.UUID     `json:"inventory_session_id,omitempty"`
	Scenario  *uuid.UUID     `json:"scenario_session_id,omitempty"`
}

func (v *mirrorValue) slots() map[game.Context]**uuid.UUID {
	return map[game.Context]**uuid.UUID{
		game.ContextCombat: &v.Combat, game.ContextInventory: &v.Inventory, game.ContextScenario: &v.Scenario,
	}
}

// Get returns what the mirror shows; version 0 where it has no such character.
// The error wraps an *events.UnavailableError.
func (m *Mirror) Get(ctx context.Context, char events.CharID) (game.Contexts, error) {
	s, err := m.get(ctx, char)
	return s.contexts, err
}

// Recent is Get for those whom an outdated answer does not harm: it asks only
// where nothing was put or asked for lately.
func (m *Mirror) Recent(ctx context.Context, char events.CharID) (game.Contexts, error) {
	if s, ok := m.recent.Get(char); ok {
		return s.contexts, nil
	}
	s, err := m.get(ctx, char)
	if err == nil {
		m.recent.Put(char, s)
	}
	return s.contexts, err
}

func (m *Mirror) get(ctx context.Context, char events.CharID) (s shown, err error) {
	s.contexts.Active = map[game.Context]uuid.UUID{}
	entry, err := m.b.get(ctx, StreamMirror, lastOf(mirrorPrefix+char.String()))
	if err != nil {
		return s, fmt.Errorf("mirror of character %d: %w", char, err)
	}
	if entry == nil {
		return s, nil
	}
	s.revision = entry.Sequence
	if entry.Header.Get(kvOperation) != "" { // it was deleted
		return s, nil
	}
	if contexts, ok := readMirror(entry.Data); ok {
		s.contexts = contexts // else it is somebody else's; the next Put corrects it
	}
	return s, nil
}

func readMirror(body []byte) (game.Contexts, bool) {
	var value mirrorValue
	if json.Unmarshal(body, &value) != nil {
		return game.Contexts{}, false
	}
	contexts := game.Contexts{Version: value.Version, Active: map[game.Context]uuid.UUID{}}
	for context, id := range value.slots() {
		if *id != nil {
			contexts.Active[context] = **id
		}
	}
	return contexts, true
}

// InSessions returns those of up to limit characters of the mirror, from a position
// on, that it shows in a context; and the position that goes on after them, 0 at
// the end.
func (b *Bus) InSessions(ctx context.Context, from uint64, limit int) (chars []events.CharID, next uint64, err error) {
	page, _, err := b.page(ctx, StreamMirror, mirrorPrefix+"*", position{sequence: from}, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("who is in a session: %w", err)
	}
	for i := range page {
		char, err := events.ParseCharID(strings.TrimPrefix(page[i].Subject, mirrorPrefix))
		contexts, ok := readMirror(page[i].Data)
		if err == nil && ok && len(contexts.Active) > 0 {
			chars = append(chars, char)
		}
		next = page[i].Sequence + 1
	}
	return chars, next, nil
}

// Put shows contexts in the mirror, unless it shows a version as high already. Where the
// server refuses them, as when the bucket is full, the error wraps a *jetstream.APIError,
// else an *events.UnavailableError.
func (m *Mirror) Put(ctx context.Context, char events.CharID, contexts game.Contexts) error {
	body, err := writeMirror(char, contexts)
	if err != nil {
		return err
	}
	for {
		s, remembered := m.recent.Get(char)
		if !remembered || s.contexts.Version >= contexts.Version {
			// That it was shown does not mean that it still is: NATS may have lost it.
			s, err = m.get(ctx, char)
		}
		if err != nil || s.contexts.Version >= contexts.Version {
			return err
		}
		if s.revision, err = m.update(ctx, char, body, s.revision); err == nil {
			m.recent.Put(char, shown{contexts, s.revision})
			return nil
		}
		m.recent.Forget(char)
		switch {
		case movedOn(err):
		case isRefusal(err):
			return fmt.Errorf("mirror of character %d: %w", char, err)
		default:
			return fmt.Errorf("mirror of character %d: %w", char, Unavailable(m.b.SuspectIfGone(err)))
		}
	}
}

// update is Update of the bucket, and with revision 0 Create, by the way that events take
// to their stream: context switches wait for it (decision 14).
func (m *Mirror) update(ctx context.Context, char events.CharID, body []byte, revision uint64) (uint64, error) {
	sent, err := m.b.acks.request(m.b.nc, &nats.Msg{
		Subject: mirrorPrefix + char.String(), Data: body,
		Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(revision, 10)}},
	})
	if err != nil {
		return 0, err
	}
	return sent.wait(ctx)
}

// PutFirst is Put for a character that was in no context before, as its caller
// has it: it does not look first what the mirror shows. Where the mirror knows
// better it costs a round trip.
func (m *Mirror) PutFirst(ctx context.Context, char events.CharID, contexts game.Contexts) error {
	if _, remembered := m.recent.Get(char); !remembered {
		m.recent.Put(char, shown{})
	}
	return m.Put(ctx, char, contexts)
}

func writeMirror(char events.CharID, contexts game.Contexts) ([]byte, error) {
	value := mirrorValue{CharID: char, Version: contexts.Version}
	for context, id := range value.slots() {
		if open := contexts.Active[context]; open != uuid.Nil {
			*id = &open
		}
	}
	return json.Marshal(value)
}

// movedOn reports whether somebody else wrote the key meanwhile. A replicated
// bucket has a code of its own for it.
func movedOn(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isRefusal reports whether the stream is there, and did not take what was put.
func isRefusal(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api)
}

// MirrorCreated is when the bucket was created: a new one is empty, whatever the
// old one showed.
func (b *Bus) MirrorCreated(ctx context.Context) (time.Time, error) {
	stream, err := b.stream(ctx, StreamMirror)
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", BucketMirror, err)
	}
	return stream.CachedInfo().Created, nil
}
