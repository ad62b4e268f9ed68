package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/verify"
)

// The streams and the bucket, as docs/architecture.md names them.
const (
	streamChanges = "SYNC"
	streamDead    = "SYNC_DLQ"
	bucketMirror  = "AC"
)

// mended is the system at the end, with what is needed to look at it.
type mended struct {
	store *hot.Store
	cold  *cold.Store
	nc    *nats.Conn
	js    jetstream.JetStream
}

func (r *run) open() (*mended, error) {
	store, err := hot.Open(r.servers.RedisURL)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(r.servers.NATSURL)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	js, err := jetstream.New(nc)
	return &mended{store: store, cold: cold.New(r.pool), nc: nc, js: js}, err
}

func (m *mended) close() {
	m.nc.Close()
	_ = m.store.Close()
}

// check compares the mended system with the models: PostgreSQL by SQL, Redis by
// the gateway, and both with each other row by row.
func (r *run) check(ctx context.Context) error {
	if err := r.rig.awaitGateways(ctx); err != nil {
		return err
	}
	// A copy that Redis brought back older is joined on first touch.
	for _, m := range r.models {
		if _, err := r.look(ctx, m); err != nil {
			return err
		}
	}
	for _, char := range marketChars() {
		if _, err := r.lookAt(ctx, char); err != nil {
			return err
		}
	}
	end, err := r.open()
	if err != nil {
		return err
	}
	defer end.close()
	for _, step := range []func(context.Context, *mended) error{
		r.settle, r.checkCopies, r.checkItems, r.checkTrades, r.checkMarket, r.checkEscrow, r.checkMirror, r.checkDead, r.checkPlayers,
	} {
		if err := step(ctx, end); err != nil {
			return err
		}
	}
	slices.SortStableFunc(r.result.Violations, byTime)
	return r.tell(ctx, end)
}

// look reads a character's hot copy; a gateway that cannot answer now is asked
// again for a while.
func (r *run) look(ctx context.Context, m *model) (*view, error) { return r.lookAt(ctx, m.char) }

func (r *run) lookAt(ctx context.Context, char int64) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		v, err := readHot(ctx, http.DefaultClient, r.servers.Gateways[0], char)
		if err == nil || !errors.Is(err, errNotNow) || ctx.Err() != nil {
			return v, err
		}
		pause(ctx, retryPause)
	}
}

// settle waits until nothing is dirty and nothing waits in the stream: from
// then on nothing changes any more. Then hot must be equal to cold.
func (r *run) settle(ctx context.Context, end *mended) error {
	waiting, cancel := context.WithTimeout(ctx, r.cfg.Settle)
	defer cancel()
	var dirty int64
	var pending uint64
	for {
		var err error
		dirty, pending, err = unsettled(ctx, end)
		if err != nil && waiting.Err() != nil {
			return fmt.Errorf("wait until all is saved: %w", err)
		}
		// Servers that were emptied last may not have their streams again yet.
		if err == nil && (dirty == 0 && pending == 0 || waiting.Err() != nil) {
			break
		}
		pause(waiting, 100*time.Millisecond)
	}
	if pending > 0 {
		r.report(Violation{Where: "stream", What: "events that wait", Got: fmt.Sprint(pending), Want: "none"})
	}
	// What is pooled may be of a server that was stopped since.
	r.pool.Reset()
	verifier := verify.Verifier{Hot: end.store, Cold: end.cold}
	report, err := verifier.Run(ctx, verifyPatience)
	if err != nil {
		return err
	}
	for _, d := range report.Differences {
		r.report(Violation{Char: int64(d.Char), Where: "cold", What: string(d.Row), Got: d.Cold.Text, Want: "as hot: " + d.Hot.Text})
	}
	if report.Dirty > 0 {
		r.report(Violation{Where: "hot", What: "dirty characters", Got: fmt.Sprint(report.Dirty), Want: "none"})
	}
	return nil
}

// verifyPatience is for an ack that reaches the stream before its marks go.
const verifyPatience = time.Second

// unsettled counts the characters that are dirty and the events that savers
// have not settled.
func unsettled(ctx context.Context, end *mended) (dirty int64, pending uint64, err error) {
	if dirty, err = end.store.CountDirty(ctx); err != nil {
		return 0, 0, err
	}
	stream, err := end.js.Stream(ctx, streamChanges)
	if err != nil {
		return 0, 0, err
	}
	consumers := stream.ListConsumers(ctx)
	for info := range consumers.Info() {
		if strings.HasPrefix(info.Name, "saver-") {
			pending += info.NumPending + uint64(info.NumAckPending)
		}
	}
	return dirty, pending, consumers.Err()
}

// checkCopies compares both copies with the models.
func (r *run) checkCopies(ctx context.Context, _ *mended) error {
	for _, m := range r.models {
		saved, err := readCold(ctx, r.pool, m.char)
		if err != nil {
			return err
		}
		live, err := r.look(ctx, m)
		if err != nil {
			return err
		}
		for _, v := range append(m.compare("cold", saved, inCold), m.compare("hot", live.cells(), inHot)...) {
			r.report(v)
		}
		won, have := sumOfFights(saved), saved[events.RowProgress].n
		if have < won || have > won+m.lostFights(saved) {
			r.report(Violation{
				Char: m.char, Where: "cold", What: string(events.RowProgress), value: saved[events.RowProgress].value,
				Got: fmt.Sprint(have), Want: fmt.Sprintf("%d, the sum of its fights", won),
			})
		}
	}
	return nil
}

func sumOfFights(saved map[events.RowKey]cell) (total int64) {
	for key, c := range saved {
		if strings.HasPrefix(string(key), "fight:") {
			total += c.n
		}
	}
	return total
}

// lostFights is the experience of the fights that were answered hot and lost
// with Redis. A later fight may have carried it on: events say results.
func (m *model) lostFights(saved map[events.RowKey]cell) (xp int64) {
	for key := range m.rows {
		if _, kept := saved[key]; kept || !strings.HasPrefix(string(key), "fight:") {
			continue
		}
		if can := m.possible(key); slices.Contains(can, value{}) {
			for _, v := range can {
				xp += v.n
			}
		}
	}
	return xp
}

// checkItems: all that there is of an item was granted by an answer. Where
// Redis has lost its memory, what was answered hot may be missing.
func (r *run) checkItems(ctx context.Context, _ *mended) error {
	if !r.faults.lastLoss().IsZero() {
		return nil
	}
	granted := make(map[events.RowKey]int64)
	for _, m := range r.models {
		for key, n := range m.granted {
			granted[key] += n
		}
	}
	for key, want := range granted {
		id := strings.TrimPrefix(string(key), "item:")
		var have int64
		err := r.pool.QueryRow(ctx, "SELECT coalesce(sum(quantity), 0)::bigint FROM items WHERE item_id = $1", id).Scan(&have)
		if err != nil {
			return fmt.Errorf("sum of item %s: %w", id, err)
		}
		if have != want {
			r.report(Violation{Where: "cold", What: "sum of " + string(key), Got: fmt.Sprint(have), Want: fmt.Sprint(want)})
		}
	}
	return nil
}

// lettersPatience is how long the sweeper may take to drop the dead letters that
// newer saves have made up for.
const lettersPatience = 15 * time.Second

// checkDead: the dead letters are what the faults put into the stream on
// purpose. One that was published twice, or delivered twice, may be there twice.
func (r *run) checkDead(ctx context.Context, end *mended) error {
	want := int(r.rig.poisoned.Load())
	patience, cancel := context.WithTimeout(ctx, lettersPatience)
	defer cancel()
	for {
		reasons, err := deadLetters(ctx, end)
		if err != nil {
			return err
		}
		if len(reasons) >= want && len(reasons) <= want+int(r.rig.unsure.Load()) {
			return nil
		}
		if len(reasons) < want || patience.Err() != nil {
			r.report(Violation{
				Where: "stream", What: "dead letters", Got: fmt.Sprint(len(reasons)), Want: fmt.Sprint(want), Story: someLetters(reasons),
			})
			return nil
		}
		pause(patience, time.Second)
	}
}

// deadLetters returns the reasons by subject and body.
func deadLetters(ctx context.Context, end *mended) (map[string]string, error) {
	stream, err := end.js.Stream(ctx, streamDead)
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	reasons := make(map[string]string)
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("dlq.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return reasons, nil
		}
		if err != nil {
			return nil, fmt.Errorf("dead letter %d: %w", seq, err)
		}
		seq = msg.Sequence + 1
		reasons[msg.Subject+" "+string(msg.Data)] = msg.Header.Get(headerReason)
	}
}

// headerReason is what a dead letter says why.
const headerReason = "Savepoint-Reason"

// someLetters tells the first dead letters, those of good characters first.
func someLetters(reasons map[string]string) string {
	var lines []string
	for letter, reason := range reasons {
		subject, body, _ := strings.Cut(letter, " ")
		lines = append(lines, fmt.Sprintf("  %s: %s: %.300q\n", subject, reason, body))
	}
	slices.SortFunc(lines, func(a, b string) int { // short subjects are those of characters that are played
		return cmp.Or(cmp.Compare(strings.Index(a, ":"), strings.Index(b, ":")), strings.Compare(a, b))
	})
	return strings.Join(lines[:min(len(lines), storyActions)], "")
}

func (r *run) checkPlayers(ctx context.Context, _ *mended) error {
	for _, p := range r.cfg.Players {
		if err := p.Check(ctx, r.servers, r.report); err != nil {
			return err
		}
	}
	return nil
}
