package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Redis was emptied, and is complete again, when NATS goes away: that alone knows which
// requests of the last minute were answered. Who has to be loaded waits rather than do
// again what it has done.
func TestNobodyForgetsARequestWhereNATSIsAway(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	key := []string{"Idempotency-Key", uuid.NewString()}
	s.want(200, "POST", "1/inventory?durability=cold", fiveGems, key...)
	s.settled(events.ScopeInventory)
	s.flush()
	note, _, err := s.hot.BeginNote(t.Context())
	if err == nil {
		err = s.hot.NoteComplete(t.Context(), note)
	}
	if err != nil {
		t.Fatal(err)
	}

	s.stream.away.Store(true)
	if r := s.do(0, "POST", "1/inventory", fiveGems, key...); r.Status != 503 {
		t.Errorf("repeated while NATS is away: %d %s, want 503", r.Status, r.Body)
	}
	s.want(200, "POST", "2/inventory", fiveGems) // nobody knows it
	s.stream.away.Store(false)
	s.want(200, "POST", "1/inventory", fiveGems, key...)
	if n := s.quantity(1, "hot", "gem"); n != 5 {
		t.Errorf("%d gems, want 5: the request was carried out again", n)
	}
}

// keptFor has Redis know what it was told for so long.
func (s *system) keptFor(age time.Duration) {
	s.t.Helper()
	if _, _, err := s.hot.Beginning(s.t.Context(), 1); err != nil {
		s.t.Fatal(err)
	}
	note, err := s.redis.Get(s.t.Context(), "beginning").Result()
	at := strings.LastIndexByte(note, ':')
	if err != nil || at < 0 {
		s.t.Fatalf("beginning %q: %v", note, err)
	}
	since, err := strconv.ParseInt(note[at+1:], 10, 64)
	if err == nil {
		err = s.redis.Set(s.t.Context(), "beginning", fmt.Sprint(note[:at+1], since-age.Microseconds()), 0).Err()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
