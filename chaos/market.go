package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// The market is a handful of characters that all clients trade with at once. No
// client knows what they have; what counts is the sum, which no trade changes.

const (
	marketSize  = 6
	marketFirst = 500_001
	marketEach  = 1000
	marketItem  = "coin"
)

func marketChars() []int64 {
	chars := make([]int64, marketSize)
	for i := range chars {
		chars[i] = marketFirst + int64(i)
	}
	return chars
}

// market is what clients know of it together.
type market struct {
	mu sync.Mutex
	// floor holds the highest version that a firm answer said, by character.
	floor map[int64]events.Version
	// seen is how many transfers PostgreSQL has, as the watcher last saw it.
	seen int64
}

// unsavedTrades bounds how many transfers may wait for PostgreSQL before clients
// stop trading on the market. With more of them the gateway would refuse trades
// (docs/decisions/0006-trades.md), and a client would wait rather than play.
const unsavedTrades = 200

// buy trades on the market. It does something else while too much waits.
func (c *client) buy(m *model) error {
	c.market.mu.Lock()
	seen := c.market.seen
	c.market.mu.Unlock()
	if c.ledger.carriedOut()-seen > unsavedTrades {
		return c.move(m)
	}
	from := c.Random.IntN(marketSize)
	to := (from + 1 + c.Random.IntN(marketSize-1)) % marketSize
	t := traded{id: c.newID(), from: marketFirst + int64(from), to: marketFirst + int64(to), item: marketItem, n: int64(1 + c.Random.IntN(marketEach/3))}
	below := c.market.floors(t.from, t.to)
	if _, err := c.exchanged(&t, ""); err != nil {
		return err
	}
	c.ledger.add(&t)
	if !t.done() {
		c.counts.refused.Add(1)
		if t.status != http.StatusConflict {
			c.report(Violation{Where: "answer", What: "transfer " + t.body(), When: t.answered, Got: fmt.Sprint("status ", t.status), Want: "200 or 409"})
		}
		return nil
	}
	c.counts.trades.Add(1)
	c.counts.acked.Add(1)
	if t.durability == "hot" {
		c.counts.hot.Add(1)
	}
	for i, v := range []events.Version{t.version, t.toVersion} {
		if v <= below[i] {
			c.report(Violation{
				Where: "answer", What: "version of " + t.String(), When: t.answered,
				Got: fmt.Sprint(v), Want: fmt.Sprintf("above %d, which was answered before", below[i]),
			})
		}
	}
	c.market.raise(&t)
	return nil
}

func (m *market) floors(chars ...int64) []events.Version {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]events.Version, len(chars))
	for i, char := range chars {
		out[i] = m.floor[char]
	}
	return out
}

func (m *market) raise(t *traded) {
	if !t.firm() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.floor == nil {
		m.floor = make(map[int64]events.Version)
	}
	m.floor[t.from] = max(m.floor[t.from], t.version)
	m.floor[t.to] = max(m.floor[t.to], t.toVersion)
}

// openMarket gives each of its characters what they trade with, saved.
func (r *run) openMarket() error {
	for _, char := range marketChars() {
		reply, err := r.clients[0].Do(char, "POST", "inventory?durability=cold", fmt.Sprintf(`{"changes":[{"item_id":%q,"delta":%d}]}`, marketItem, marketEach))
		if err == nil && reply.Status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", reply.Status, reply.Body)
		}
		if err != nil {
			return fmt.Errorf("open the market: %w", err)
		}
	}
	return nil
}

// A marketLook is one look at the market in PostgreSQL.
type marketLook struct {
	at     time.Time
	sum    int64
	trades int64    // rows of the table transfers, of anybody
	has    []string // what each character has, and what is in escrow
}

// lookAtMarket is one statement, so that it sees one moment.
const lookAtMarket = `
	WITH holding AS (
		SELECT 'character ' || char_id || ' has ' || quantity || ', version ' || version AS line, quantity
		FROM items WHERE item_id = 'coin'
		UNION ALL
		SELECT 'transfer ' || transfer_id || ' holds ' || (i->>'quantity') || ', version ' || version, (i->>'quantity')::bigint
		FROM transfers, jsonb_array_elements(items) i WHERE to_version = 0 AND i->>'item_id' = 'coin'
	)
	SELECT coalesce(sum(quantity), 0)::bigint, (SELECT count(*) FROM transfers), coalesce(array_agg(line ORDER BY line), '{}') FROM holding`

// watchEvery is the pause between two looks of the watcher.
const watchEvery = 10 * time.Millisecond

// watch adds the market up in PostgreSQL until ctx is done. The caller waits for it.
func (r *run) watch(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	var last marketLook
	for found := 0; ctx.Err() == nil; pause(ctx, watchEvery) {
		look, err := r.watchOnce(ctx, &conn)
		if err != nil {
			continue // PostgreSQL is away
		}
		r.looks.Add(1)
		r.market.mu.Lock()
		r.market.seen = look.trades
		r.market.mu.Unlock()
		if look.sum != marketSize*marketEach && found < storiesTold && r.marketIsWhole() {
			found++
			r.report(Violation{
				Where: "cold", What: "sum of the market while it runs", When: look.at, Got: fmt.Sprint(look.sum),
				Want: fmt.Sprint(marketSize * marketEach), Story: r.tellMarket(&last, look),
			})
		}
		last = *look
	}
}

func (r *run) watchOnce(ctx context.Context, conn **pgx.Conn) (_ *marketLook, err error) {
	ctx, cancel := context.WithTimeout(ctx, promiseTimeout)
	defer cancel()
	if *conn == nil {
		if *conn, err = pgx.Connect(ctx, r.servers.DatabaseURL); err != nil {
			*conn = nil
			return nil, err
		}
	}
	look := &marketLook{at: time.Now()}
	err = (*conn).QueryRow(ctx, lookAtMarket).Scan(&look.sum, &look.trades, &look.has)
	if err != nil {
		err = errors.Join(err, (*conn).Close(context.WithoutCancel(ctx)))
		*conn = nil
	}
	return look, err
}

// marketIsWhole reports whether nothing has happened that may take from the
// market what was answered hot, or from PostgreSQL what it had.
func (r *run) marketIsWhole() bool {
	return !slices.ContainsFunc(r.faults.during(r.began, time.Now()), func(s span) bool {
		return losesCold(s.name)
	})
}

// tellMarket says what changed between two looks, and which trades did it.
func (r *run) tellMarket(before, now *marketLook) string {
	var b strings.Builder
	changed := func(has, other []string, sign string) {
		for _, line := range has {
			if !slices.Contains(other, line) {
				fmt.Fprintf(&b, "    %s %s\n", sign, line)
			}
		}
	}
	fmt.Fprintf(&b, "  between the looks at %.3fs (sum %d) and %.3fs:\n", before.at.Sub(r.began).Seconds(), before.sum, now.at.Sub(r.began).Seconds())
	changed(before.has, now.has, "-")
	changed(now.has, before.has, "+")
	all := strings.Join(append(slices.Clone(before.has), now.has...), "\n") + "\n"
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	for _, t := range r.ledger.trades {
		for _, v := range []events.Version{t.version, t.toVersion} {
			if v > 0 && strings.Contains(all, fmt.Sprintf("version %d\n", v)) {
				fmt.Fprintf(&b, "    %9.3fs  %s\n", t.answered.Sub(r.began).Seconds(), &t)
				break
			}
		}
	}
	for _, s := range r.faults.during(now.at.Add(-aftermath), now.at) {
		fmt.Fprintf(&b, "    %9.3fs  fault %s\n", s.from.Sub(r.began).Seconds(), s.name)
	}
	return b.String()
}

// checkMarket adds the market up, hot and cold, when all is mended and saved.
func (r *run) checkMarket(ctx context.Context, _ *mended) error {
	if !r.marketIsWhole() {
		return nil
	}
	var conn *pgx.Conn
	look, err := r.watchOnce(ctx, &conn)
	if err != nil {
		return fmt.Errorf("market in PostgreSQL: %w", err)
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	var live int64
	var has []string
	for _, char := range marketChars() {
		v, err := r.lookAt(ctx, char)
		if err != nil {
			return err
		}
		n := v.cells()[events.RowItem(marketItem)].n
		live += n
		has = append(has, fmt.Sprint("character ", char, " has ", n))
	}
	for where, sum := range map[string]int64{"hot": live, "cold": look.sum} {
		if sum != marketSize*marketEach {
			r.report(Violation{
				Where: where, What: "sum of the market", Got: fmt.Sprint(sum), Want: fmt.Sprint(marketSize * marketEach),
				Story: fmt.Sprintf("  hot: %s\n  cold: %s\n", strings.Join(has, "; "), strings.Join(look.has, "; ")),
			})
		}
	}
	return nil
}
