package console_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/console"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
	"github.com/savepoint-games/savepoint/verify"
)

func TestMain(m *testing.M) {
	hot.LogTo(quiet)
	os.Exit(stacktest.Main(m))
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// rig is the product on real servers, with a console.
type rig struct {
	t       *testing.T
	hot     *hot.Store
	bus     *bus.Bus
	pool    *pgxpool.Pool
	cold    *cold.Store
	game    *gateway.Service
	console *console.Console
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t}
	r.hot = r.openHot(stacktest.Redis(t))
	r.bus = r.connect(stacktest.NATS(t).URL())
	stacktest.Eventually(t, "a connection to NATS", r.bus.Conn().IsConnected)
	r.must(r.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour}))
	r.pool, r.cold = r.openCold(stacktest.Database(t))
	r.game = gateway.New(gateway.Config{
		Hot: r.hot, Stream: r.bus, Mirror: r.bus.Mirror(), Cold: r.cold, Log: quiet,
		PublishTimeout: 5 * time.Second, ActionTimeout: 20 * time.Second, PublishBy: 20 * time.Second, Fence: time.Millisecond,
	})
	t.Cleanup(r.game.Close)
	r.console = &console.Console{Log: quiet}
	r.point(r.hot, r.bus, r.cold)
	return r
}

// point has the console ask these servers.
func (r *rig) point(h *hot.Store, b *bus.Bus, s *cold.Store) {
	r.console.Hot, r.console.Stream, r.console.Cold = h, b, s
	r.console.Ask = func(ctx context.Context, subject string) ([]byte, error) {
		answer, err := b.Conn().RequestWithContext(ctx, subject, nil)
		if err != nil {
			return nil, err
		}
		return answer.Data, nil
	}
	r.console.Checks = []console.Check{{Name: "redis", Ping: h.Ping}, {Name: "nats", Ping: b.Ping}, {Name: "postgresql", Ping: s.Ping}}
}

func (r *rig) openHot(url string) *hot.Store {
	r.t.Helper()
	store, err := hot.Open(url)
	r.must(err)
	r.t.Cleanup(func() { _ = store.Close() })
	return store
}

func (r *rig) connect(url string) *bus.Bus {
	r.t.Helper()
	b, err := bus.Connect(url, r.t.Name(), quiet)
	r.must(err)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b.Close(ctx)
	})
	return b
}

func (r *rig) openCold(url string) (*pgxpool.Pool, *cold.Store) {
	r.t.Helper()
	pool, err := cold.OpenPool(context.Background(), url, 8)
	r.must(err)
	r.t.Cleanup(pool.Close)
	return pool, cold.New(pool)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// save runs a saver of each scope until the returned function is called.
func (r *rig) save() (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in := intake.New(r.bus, quiet)
	var group sync.WaitGroup
	for _, saver := range []savers.Saver{
		savers.CombatStateSaver{}, savers.InventoryStateSaver{}, savers.VitalsStateSaver{}, savers.ScenarioStateSaver{},
	} {
		source, err := in.Source(ctx, saver.Scope())
		r.must(err)
		worker := &savers.Worker{Saver: saver, Source: source, DB: r.pool, Dead: r.bus, Marks: r.hot, Log: quiet}
		group.Go(func() {
			if err := worker.Run(ctx); err != nil {
				r.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		ending, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		in.Close(ending)
	})
	r.t.Cleanup(stop)
	return stop
}

// settle returns when hot and cold agree and nothing is dirty.
func (r *rig) settle() {
	r.t.Helper()
	report, err := (&verify.Verifier{Hot: r.hot, Cold: r.cold}).Run(r.t.Context(), time.Minute)
	r.must(err)
	if !report.Equal() {
		r.t.Fatal(report, report.Differences)
	}
}

func (r *rig) setVitals(char events.CharID, hp int32) {
	r.t.Helper()
	_, err := r.game.SetVitals(r.t.Context(), char, events.Vitals{HP: hp, Energy: 5, Location: events.Location{Zone: "harbor"}}, gateway.Options{})
	r.must(err)
}

func (r *rig) give(char events.CharID, item string) {
	r.t.Helper()
	_, err := r.game.ChangeItems(r.t.Context(), char, []game.ItemDelta{{ItemID: item, Delta: 3}}, gateway.Options{})
	r.must(err)
}

// bury publishes what is no event, and returns when it is a dead letter.
func (r *rig) bury(subject, body string) {
	r.t.Helper()
	before, err := r.bus.DeadLetters(r.t.Context(), events.ScopeVitals)
	r.must(err)
	r.must(r.bus.Conn().Publish(subject, []byte(body)))
	stacktest.Eventually(r.t, "a dead letter", func() bool {
		now, err := r.bus.DeadLetters(r.t.Context(), events.ScopeVitals)
		return err == nil && now > before
	})
}

// page is an answer of the console.
type page struct {
	status int
	body   string
	header http.Header
}

func (r *rig) get(path string) page {
	r.t.Helper()
	answer := httptest.NewRecorder()
	r.console.ServeHTTP(answer, httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, path, nil))
	return page{answer.Code, answer.Body.String(), answer.Header()}
}

var tags = regexp.MustCompile(`<style>(?s:.*?)</style>|<[^>]*>|\s+`)

// text is what a reader sees, on one line.
func (p page) text() string {
	return html.UnescapeString(strings.Join(strings.Fields(tags.ReplaceAllString(p.body, " ")), " "))
}

// shows wants texts on the page.
func (r *rig) shows(p page, texts ...string) {
	r.t.Helper()
	for _, want := range texts {
		if !strings.Contains(p.text(), want) {
			r.t.Errorf("no %q on the page (status %d):\n%s", want, p.status, p.text())
		}
	}
}

func TestOverviewShowsBacklogAndDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shows(r.get("/console"), "redis answers nats answers postgresql answers", "Everything that was published is saved",
		"No character has a change that PostgreSQL does not have.", "Dead letters None.")

	stop := r.save()
	r.bury("sync.vitals.42", `{"schema":1,"<b>":2}`)
	r.settle()
	stop()
	r.give(7, "potion")
	r.give(8, "potion")

	overview := r.get("/console")
	r.shows(overview, "2 events are not saved, the oldest for ", "2 characters have changes that PostgreSQL does not have",
		"inventory 2 0 ", "nobody asks for events", // no saver runs
		"1 vitals 42 ", "<b>: unknown field", `{"schema":1,"<b>":2}`)
	if strings.Contains(overview.body, "<b>:") || !strings.Contains(overview.body, `href="/console/characters/42"`) {
		t.Errorf("the dead letter is not escaped, or leads nowhere:\n%s", overview.body)
	}
	if csp := overview.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}

	r.save()
	r.settle()
	stacktest.Eventually(t, "a page that says all is saved", func() bool {
		text := r.get("/console").text()
		return strings.Contains(text, "Everything that was published is saved") && strings.Contains(text, " asking")
	})
}

// However many dead letters there are, the newest are shown, newest first.
func TestOverviewShowsTheNewestDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.save()
	for range 130 {
		r.must(r.bus.Conn().Publish("sync.vitals", []byte("none")))
	}
	stacktest.Eventually(t, "all dead letters", func() bool {
		n, err := r.bus.DeadLetters(t.Context(), events.ScopeVitals)
		return err == nil && n == 130
	})
	stop()
	for seq := uint64(60); seq <= 128; seq++ { // a gap, with few behind it
		r.must(r.bus.DropLetter(t.Context(), seq))
	}

	text := r.get("/console").text()

	var at []int
	for _, letter := range []string{"130", "129", "59", "58", "57", "56", "55", "54", "53", "52"} {
		at = append(at, strings.Index(text, " "+letter+" vitals not known "))
	}
	for i := range at {
		if at[i] < 0 || i > 0 && at[i] < at[i-1] {
			t.Fatalf("not the newest, or in another order: %v\n%s", at, text)
		}
	}
	if strings.Contains(text, " 51 vitals ") {
		t.Errorf("more than the newest:\n%s", text)
	}
}

func TestCharacterShowsWhereHotAndColdDiffer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.save()
	r.setVitals(42, 80)
	r.give(42, "<script>alert(1)</script>")
	r.bury("sync.vitals.42", "no event")
	fight, err := r.game.Enter(t.Context(), 42, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	r.must(err)
	_, err = r.game.FinishCombat(t.Context(), 42, fight.SessionID, game.Result{Outcome: "victory", XP: 20}, gateway.Options{})
	r.must(err)
	r.settle()
	before := r.get("/console/characters/42")
	r.shows(before, "Redis and PostgreSQL agree.", "In no context.", "hp 80, energy 5, at harbor", "settled",
		"<script>alert(1)</script> +3 → 3", "victory 0 +20", "no event")
	if strings.Contains(before.body, "<script>alert") {
		t.Errorf("an item's name is not escaped:\n%s", before.body)
	}

	stop()
	tag, err := r.pool.Exec(t.Context(), "UPDATE items SET quantity = 77 WHERE char_id = 42")
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	r.setVitals(42, 79)
	_, err = r.game.Enter(t.Context(), 42, game.Entry{Context: game.ContextScenario, ScenarioID: "old-road"}, gateway.Options{})
	r.must(err)

	after := r.get("/console/characters/42")
	r.shows(after, "3 rows differ.", "quantity 3", "quantity 77", "cold-wrong : one version, two values",
		"hp 79", "hp 80", "pending : cold is behind", "vitals dirty", "in scenario old-road", "waits")
}

// A character that Redis has evicted is shown from PostgreSQL.
func TestCharacterThatOnlyPostgreSQLHasIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	r.setVitals(42, 80)
	r.settle()
	stay, err := r.hot.EvictMany(t.Context(), []events.CharID{42}, time.Now().Add(time.Hour))
	if err != nil || len(stay) > 0 {
		t.Fatal(stay, err)
	}
	r.shows(r.get("/console/characters/42"), "Redis does not have the character", "hp 80", "agree")
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/console/characters/42":              {http.StatusNotFound, "No character 42"},
		"/console/characters/x":               {http.StatusBadRequest, "char_id is wrong"},
		"/console/characters/0":               {http.StatusBadRequest, "char_id is wrong"},
		"/console/characters?char_id=%3Cb%3E": {http.StatusBadRequest, `"<b>"`},
		"/console/else":                       {http.StatusNotFound, "No such page"},
	} {
		got := r.get(path)
		if r.shows(got, want.text); got.status != want.status {
			t.Errorf("%s: status %d, want %d", path, got.status, want.status)
		}
	}
	if got := r.get("/console/characters?char_id=42"); got.header.Get("Location") != "/console/characters/42" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
	answer := httptest.NewRecorder()
	r.console.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/console", nil))
	if answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", answer.Code)
	}
}

// Whichever server is away, or takes connections and never answers, both pages come, name
// it, and show what the others say.
func TestPagesComeWithoutAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.setVitals(42, 80)
	for _, c := range []struct {
		server string
		point  func(addr string)
		shows  []string // by the page of the character
	}{
		{"redis", func(addr string) { r.point(r.openHot("redis://"+addr), r.bus, r.cold) }, []string{"Not compared.", "hp 80, energy 5, at harbor", "waits"}},
		{"nats", func(addr string) { r.point(r.hot, r.connect("nats://"+addr), r.cold) }, []string{"One row differs", "unknown : the stream was not asked", "vitals dirty"}},
		{"postgresql", func(addr string) {
			_, s := r.openCold("postgres://" + addr + "/none?sslmode=disable")
			r.point(r.hot, r.bus, s)
		}, []string{"Not compared.", "hp 80, energy 5, at harbor", "vitals dirty", "waits"}},
	} {
		for how, addr := range map[string]string{"away": "127.0.0.1:1", "silent": silent(t)} {
			t.Run(c.server+" is "+how, func(t *testing.T) {
				c.point(addr)
				overview := r.get("/console")
				r.shows(overview, c.server+" does not answer")
				for _, other := range []string{"redis", "nats", "postgresql"} {
					if other != c.server {
						r.shows(overview, other+" answers")
					}
				}
				character := r.get("/console/characters/42")
				if r.shows(character, append(c.shows, c.server+" did not answer")...); character.status != http.StatusOK {
					t.Errorf("status %d", character.status)
				}
				if unknown := r.get("/console/characters/43"); unknown.status != http.StatusOK {
					t.Errorf("status %d of a character that %s may know", unknown.status, c.server)
				}
			})
		}
	}
}

// silent is the address of a server that takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return listener.Addr().String()
}
