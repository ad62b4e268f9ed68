package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// A traded is one transfer that was answered for good.
type traded struct {
	id       uuid.UUID
	from, to int64
	item     string
	n        int64
	sent     time.Time
	answered time.Time
	status   int
	attempts int
	// What the answer says, where the transfer was carried out.
	version, toVersion events.Version
	fromHas, toHas     int64
	durability         string
}

func (t *traded) firm() bool { return t.durability == "stream" || t.durability == "cold" }

func (t *traded) done() bool { return t.status == http.StatusOK }

func (t *traded) body() string {
	return fmt.Sprintf(`{"transfer_id":%q,"from":%d,"to":%d,"items":[{"item_id":%q,"quantity":%d}]}`, t.id, t.from, t.to, t.item, t.n)
}

func (t *traded) String() string {
	return fmt.Sprintf("transfer %s of %d %s from %d (version %d, then %d) to %d (version %d, then %d), %s",
		t.id, t.n, t.item, t.from, t.version, t.fromHas, t.to, t.toVersion, t.toHas, t.durability)
}

// exchanged asks for a transfer until it is answered, and reads the answer.
func (c *Caller) exchanged(t *traded, query string) (*Reply, error) {
	reply, err := c.Trade(query, t.body())
	if err != nil {
		return nil, err
	}
	t.sent, t.answered, t.status, t.attempts = reply.Sent, reply.Answered, reply.Status, reply.Attempts
	if !t.done() {
		return reply, nil
	}
	var a struct {
		Version    events.Version             `json:"version"`
		ToVersion  events.Version             `json:"to_version"`
		Durability string                     `json:"durability"`
		FromItems  []struct{ Quantity int64 } `json:"from_items"`
		ToItems    []struct{ Quantity int64 } `json:"to_items"`
	}
	if err := json.Unmarshal(reply.Body, &a); err != nil || len(a.FromItems) != 1 || len(a.ToItems) != 1 {
		return nil, fmt.Errorf("answer to transfer %s: %s: %w", t.id, reply.Body, err)
	}
	t.version, t.toVersion, t.durability = a.Version, a.ToVersion, a.Durability
	t.fromHas, t.toHas = a.FromItems[0].Quantity, a.ToItems[0].Quantity
	return reply, nil
}

// ledger is every transfer that was answered, of all clients.
type ledger struct {
	mu     sync.Mutex
	trades map[uuid.UUID]traded
	done   int64
}

func (l *ledger) add(t *traded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trades == nil {
		l.trades = make(map[uuid.UUID]traded)
	}
	if t.done() && !l.known(t.id) {
		l.done++
	}
	l.trades[t.id] = *t
}

func (l *ledger) known(id uuid.UUID) bool {
	t, ok := l.trades[id]
	return ok && t.done()
}

// carriedOut is how many transfers were answered as done.
func (l *ledger) carriedOut() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// checkTrades compares the table transfers with what was answered: each
// acknowledged trade is there once, completed, and nothing else is.
func (r *run) checkTrades(ctx context.Context, _ *mended) error {
	saved, err := r.savedTrades(ctx)
	if err != nil {
		return err
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	for id, t := range r.ledger.trades {
		got, there := saved[id]
		delete(saved, id)
		mayBeLost := !t.firm() && r.faults.lostHotSince(t.sent)
		switch {
		case t.done() && there && got == (savedTrade{t.from, t.to, t.version, t.toVersion}), !t.done() && !there, mayBeLost && got.toVersion > 0 == there:
			continue
		}
		r.report(Violation{
			Where: "cold", What: "transfer", When: t.answered, Got: got.String(there),
			Want: fmt.Sprintf("as answered with status %d: %s", t.status, &t),
		})
	}
	for id, got := range saved {
		r.report(Violation{Where: "cold", What: "transfer", Got: id.String() + ": " + got.String(true), Want: "nothing: nobody asked for it"})
	}
	return nil
}

// savedTrade is a row of the table transfers.
type savedTrade struct {
	from, to           int64
	version, toVersion events.Version
}

func (s savedTrade) String(there bool) string {
	if !there {
		return "absent"
	}
	return fmt.Sprintf("from %d, version %d, to %d, version %d", s.from, s.version, s.to, s.toVersion)
}

func (r *run) savedTrades(ctx context.Context) (map[uuid.UUID]savedTrade, error) {
	rows, err := r.pool.Query(ctx, "SELECT transfer_id, from_char, to_char, version, to_version FROM transfers")
	if err != nil {
		return nil, fmt.Errorf("saved transfers: %w", err)
	}
	saved := make(map[uuid.UUID]savedTrade)
	var (
		id uuid.UUID
		s  savedTrade
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &s.from, &s.to, &s.version, &s.toVersion}, func() error {
		saved[id] = s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("saved transfers: %w", err)
	}
	return saved, nil
}

// checkEscrow: no trade is on its way at the end.
func (r *run) checkEscrow(ctx context.Context, _ *mended) error {
	chars := marketChars()
	for _, m := range r.models {
		chars = append(chars, m.char)
	}
	for _, char := range chars {
		v, err := r.lookAt(ctx, char)
		if err != nil {
			return err
		}
		if len(v.Escrow) > 0 {
			r.report(Violation{Where: "hot", What: "escrow of " + strconv.FormatInt(char, 10), Got: fmt.Sprint(v.Escrow), Want: "none"})
		}
	}
	return nil
}
