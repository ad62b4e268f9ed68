package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
	"github.com/savepoint-games/savepoint/verify"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m, serverTimers...)) }

// serverTimers are what fasthttp leaves behind a server for some seconds, and one for
// good. Both only sleep.
var serverTimers = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// system is the product on real servers, within a test.
type system struct {
	t      *testing.T
	hot    *hot.Store
	redis  redis.UniversalClient
	bus    *bus.Bus
	intake *intake.Intake
	js     jetstream.JetStream
	pool   *pgxpool.Pool
	cold   *cold.Store
	// stream is the way to the savers, with a switch.
	stream *cutStream
	// gateways are two of them, as HTTP servers.
	gateways []served
}

// cutStream is the real stream, which can be cut off: what a gateway that dies
// between commit and publish leaves undone.
type cutStream struct {
	gateway.Stream
	cut  atomic.Bool // nothing is published
	away atomic.Bool // nothing is published or read
}

var errCut = events.Unavailable(events.NATS, errors.New("cut off by the test"))

func (s *cutStream) Tails(ctx context.Context) (func(context.Context, events.CharID) (game.Tail, error), error) {
	if s.away.Load() {
		return nil, errCut
	}
	return s.Stream.Tails(ctx)
}

func (s *cutStream) Send(origin game.Origin, batch ...events.StateChanged) (func(context.Context) error, error) {
	if s.cut.Load() || s.away.Load() {
		return nil, errCut
	}
	return s.Stream.Send(origin, batch...)
}

func newSystem(t *testing.T) *system {
	t.Helper()
	return newSystemOn(t, stacktest.Redis(t))
}

func newSystemOn(t *testing.T, redisURL string) *system {
	t.Helper()
	s := &system{t: t}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.hot, err = hot.Open(redisURL)
	must()
	s.redis, err = newRedis(redisURL)
	must()
	s.bus, err = bus.Connect(stacktest.NATS(t).URL(), t.Name(), quiet)
	must()
	s.intake = intake.New(s.bus, quiet)
	s.js, err = jetstream.New(s.bus.Conn())
	must()
	err = s.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour})
	must()
	s.pool, err = cold.OpenPool(t.Context(), stacktest.Database(t), 16)
	must()
	s.cold = cold.New(s.pool)
	s.stream = &cutStream{Stream: s.bus}
	t.Cleanup(s.close)
	for range 2 {
		s.gateways = append(s.gateways, s.serve(s.service()))
	}
	return s
}

// newRedis is a client of the test's own, to look behind the product's back.
func newRedis(url string) (redis.UniversalClient, error) {
	if strings.Contains(url, ",") {
		addrs := strings.Split(strings.ReplaceAll(url, "redis://", ""), ",")
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs}), nil
	}
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(opts), nil
}

func (s *system) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.intake.Close(ctx)
	s.bus.Close(ctx)
	s.pool.Close()
	_ = s.redis.Close()
	_ = s.hot.Close()
}

func (s *system) service() *gateway.Service { return s.serviceOn(s.stream) }

func (s *system) serviceOn(stream gateway.Stream) *gateway.Service {
	return gateway.New(gateway.Config{
		Hot: s.hot, Stream: stream, Mirror: s.bus.Mirror(), Cold: s.cold, Log: quiet,
		// The machine may be slow; these tests are not about deadlines.
		PublishTimeout: 5 * time.Second, ActionTimeout: 20 * time.Second, ColdTimeout: 20 * time.Second,
		PublishBy: 20 * time.Second, Fence: time.Millisecond,
	})
}

// served is a gateway over HTTP.
type served struct{ URL string }

// serve is a gateway over HTTP, until the test ends.
func (s *system) serve(service *gateway.Service) served { return serve(s.t, service.Handler()) }

// serve answers by h on an address of its own, until the test ends.
func serve(t *testing.T, h fasthttp.RequestHandler) served {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- gateway.Serve(ctx, listener, quiet, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	return served{"http://" + listener.Addr().String()}
}

// save runs a saver of each scope until the returned function is called.
func (s *system) save() (stop func()) {
	s.t.Helper()
	return s.saveWith(savers.CombatStateSaver{}, savers.InventoryStateSaver{}, savers.VitalsStateSaver{}, savers.ScenarioStateSaver{})
}

func (s *system) saveWith(all ...savers.Saver) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, saver := range all {
		source, err := s.intake.Source(ctx, saver.Scope())
		if err != nil {
			s.t.Fatal(err)
		}
		worker := &savers.Worker{Saver: saver, Source: source, DB: s.pool, Dead: s.bus, Marks: s.hot, Log: quiet}
		group.Go(func() {
			if err := worker.Run(ctx); err != nil {
				s.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	s.t.Cleanup(stop)
	return stop
}

func (s *system) cleanup(grace time.Duration) *savers.CleanupStateSaver {
	service := s.service()
	service.Cause = events.CauseCleanup
	return &savers.CleanupStateSaver{Hot: s.hot, Cold: s.cold, Stream: s.bus, Game: service, Log: quiet, Grace: grace}
}

// sweep does one round of cleanup as it would be after some time has passed. To
// the stream it is as late as it is: marks are overdue at once.
func (s *system) sweep(later time.Duration) {
	s.t.Helper()
	if err := s.cleanup(time.Nanosecond).Sweep(s.t.Context(), time.Now().Add(later)); err != nil {
		s.t.Fatal(err)
	}
}

// wantEqual waits until hot and cold agree and nothing is dirty.
func (s *system) wantEqual() {
	s.t.Helper()
	verifier := verify.Verifier{Hot: s.hot, Cold: s.cold}
	report, err := verifier.Run(s.t.Context(), 20*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	if report.Characters == 0 {
		s.t.Error("nothing was compared")
	}
	for _, d := range report.Differences {
		s.t.Error(d)
	}
	if !report.Equal() {
		s.t.Error(report)
	}
}

// reply is an answer of a gateway.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// into decodes the body; the test ends where it cannot.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), v); err != nil {
		t.Fatalf("%d %s: %v", r.Status, r.Body, err)
	}
}

// do sends one request to the nth gateway; header is a list of names and values.
func (s *system) do(n int, method, path, body string, header ...string) reply {
	s.t.Helper()
	out, err := s.try(n, method, path, body, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *system) try(n int, method, path, body string, header ...string) (reply, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.gateways[n].URL+"/v1/characters/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(text)}, err
}

// want is do for a request that must succeed with a status.
func (s *system) want(status int, method, path, body string, header ...string) gateway.Answer {
	s.t.Helper()
	r := s.do(0, method, path, body, header...)
	if r.Status != status {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, r.Status, r.Body, status)
	}
	var answer gateway.Answer
	r.into(s.t, &answer)
	return answer
}

func (s *system) look(char int, from string) gateway.View {
	s.t.Helper()
	var view gateway.View
	r := s.do(0, http.MethodGet, fmt.Sprintf("%d?from=%s", char, from), "")
	if r.Status != http.StatusOK {
		s.t.Fatalf("character %d from %s: %d %s", char, from, r.Status, r.Body)
	}
	r.into(s.t, &view)
	return view
}

// published returns all events in the stream, oldest first.
func (s *system) published() (out []events.StateChanged) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), bus.StreamChanges)
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(s.t.Context(), seq)
		if err != nil {
			s.t.Fatal(err)
		}
		e, err := events.Decode(msg.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func sessionBody(id uuid.UUID, rest string) string {
	return fmt.Sprintf(`{"session_id":%q%s}`, id, rest)
}

const harbor = `{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}`

// TestDayOfPlayIsSavedAndLeavesNothingBehind plays every request once and finds it saved.
func TestDayOfPlayIsSavedAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	t.Run("on a single Redis", func(t *testing.T) { playADay(t, newSystem(t)) })
	t.Run("on Redis Cluster", func(t *testing.T) { playADay(t, newSystemOn(t, stacktest.RedisCluster(t).URL())) })
}

func playADay(t *testing.T, s *system) {
	s.save()

	// A traveller arrives, picks things up, and takes a road.
	s.want(200, "PUT", "42/vitals", harbor)
	bag := s.want(200, "POST", "42/inventory", `{"changes":[{"item_id":"potion","delta":3},{"item_id":"rope","delta":1}]}`)
	if len(bag.Items) != 2 || bag.Items[0] != (gateway.Quantity{ItemID: "potion", Quantity: 3}) || bag.Durability != "stream" {
		t.Errorf("bag: %+v", bag)
	}
	road := s.want(201, "POST", "42/contexts/scenario", `{"scenario_id":"old-road"}`)
	s.want(200, "PATCH", "42/contexts/scenario", sessionBody(road.SessionID, `,"step":3,"data":{"seen":["<mill>"]}`))

	// Opening the bag pre-empts the road; closing it leaves no context.
	look := s.want(201, "POST", "42/contexts/inventory", "")
	if len(look.Preempted) != 1 || look.Preempted[0] != (game.Preempted{Context: "scenario", SessionID: road.SessionID}) {
		t.Errorf("pre-empted: %+v", look.Preempted)
	}
	s.want(200, "PATCH", "42/contexts/inventory", sessionBody(look.SessionID, ""))
	s.want(200, "POST", "42/contexts/inventory/finish", sessionBody(look.SessionID, ""))

	// A fight is fought and won, saved before the answer.
	fight := s.want(201, "POST", "42/contexts/combat", "")
	s.want(200, "PATCH", "42/contexts/combat", sessionBody(fight.SessionID, `,"round":2,"data":{"wolf":3}`))
	won := s.want(200, "POST", "42/contexts/combat/finish?durability=cold",
		sessionBody(fight.SessionID, `,"outcome":"victory","xp":120,"loot":[{"item_id":"sword","quantity":1},{"item_id":"rope","quantity":2}]`))
	if won.XP == nil || *won.XP != 120 || won.Durability != "cold" || won.Items[1].Quantity != 3 {
		t.Errorf("won: %+v", won)
	}
	var fights []game.FightRecord
	s.do(0, "GET", "42/combats?limit=10", "").into(t, &fights)
	if len(fights) != 1 || fights[0].SessionID != fight.SessionID || fights[0].Rounds != 2 || fights[0].XPGained != 120 {
		t.Errorf("history: %+v", fights)
	}

	// The road is taken up where it was left, and finished.
	road = s.want(201, "POST", "42/contexts/scenario", `{"scenario_id":"old-road"}`)
	s.want(200, "POST", "42/contexts/scenario/finish?durability=cold", sessionBody(road.SessionID, ""))

	s.wantEqual()
	hotView, coldView := s.look(42, "hot"), s.look(42, "cold")
	if p := coldView.Scenarios; len(p) != 1 || p[0].Step != 3 || p[0].Status != "completed" || string(p[0].Data) != `{"seen":["<mill>"]}` {
		t.Errorf("scenario: %+v", p)
	}
	if len(hotView.Contexts) != 0 || len(hotView.Dirty) != 0 {
		t.Errorf("left over: %+v %+v", hotView.Contexts, hotView.Dirty)
	}
	hotView.Contexts, hotView.Dirty, hotView.Version, coldView.Version = nil, nil, 0, 0
	if diff := cmp.Diff(hotView, coldView); diff != "" {
		t.Errorf("hot and cold differ:\n%s", diff)
	}
	for _, id := range []uuid.UUID{road.SessionID, look.SessionID, fight.SessionID} {
		if s.redis.Exists(t.Context(), "{ac:42}:session:"+id.String()).Val() != 0 {
			t.Errorf("session %s is left in Redis", id)
		}
	}
	// The sweeper finds nothing to do, on either kind of Redis.
	published := len(s.published())
	s.sweep(time.Minute)
	if n := len(s.published()); n != published {
		t.Errorf("the sweeper dispatched %d events", n-published)
	}
	s.sweep(3 * time.Hour)
	if s.redis.Exists(t.Context(), "ac:42").Val() != 0 {
		t.Error("the character was not forgotten after three idle hours")
	}
}
