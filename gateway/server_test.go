package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/gateway"
)

// A gateway that ends answers what it has begun, and takes nothing new.
func TestServeEndsWhenWhatIsUnderWayIsAnswered(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	entered, leave, stopped := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		stopped <- gateway.Serve(ctx, listener, quiet, func(r *fasthttp.RequestCtx) {
			close(entered)
			<-leave
			r.SetBodyString("done")
		})
	}()
	answer := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = r.Body.Close() }()
		text, _ := io.ReadAll(r.Body)
		answer <- string(text)
	}()
	<-entered
	stop()
	select {
	case err := <-stopped:
		t.Errorf("ended (%v) with a request under way", err)
	default:
	}
	close(leave)
	if text := <-answer; text != "done" {
		t.Errorf("the request under way got %q", text)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a connection was taken after the end")
	}
}

// What is no request gets a problem document, too, and its connection ends.
func TestUnreadableRequestsGetAProblem(t *testing.T) {
	t.Parallel()
	server := serve(t, func(r *fasthttp.RequestCtx) { t.Errorf("%s was answered", r.RequestURI()) })
	const head = "PUT /v1/characters/5/vitals HTTP/1.1\r\nHost: a\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no HTTP":              {"hello\r\n\r\n", 400},
		"large headers":        {head + "X: " + strings.Repeat("x", 9<<10) + "\r\n\r\n", 431},
		"large body":           {head + "Content-Length: 99999999\r\n\r\n{", 413},
		"no length":            {head + "Content-Length: x\r\n\r\n{", 400},
		"wrong size of chunks": {head + "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var p gateway.Problem
		err = json.NewDecoder(r.Body).Decode(&p)
		if err != nil || r.StatusCode != c.status || p.Status != c.status || p.Detail == "" || !r.Close ||
			r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v %+v (%v), want a problem of status %d, and the end", name, r.StatusCode, r.Header, p, err, c.status)
		}
		_ = conn.Close()
	}
}

// Who sends a body that is too large gets an answer, though it sends on: the connection is
// closed when it has ended.
func TestTooLargeBodyGetsAnAnswer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	server := serve(t, s.service().Handler())
	for _, size := range []int{1<<20 + 1, 2 << 20, 20 << 20} {
		for range 10 {
			request, err := http.NewRequest("PUT", server.URL+"/v1/characters/5/vitals", strings.NewReader(strings.Repeat(" ", size)))
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			_ = r.Body.Close()
			if r.StatusCode != 413 {
				t.Fatalf("%d bytes: %s", size, r.Status)
			}
		}
	}
}

// The mistake in one request is its own.
func TestPanicEndsOneRequestAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	broken := s.service()
	broken.Now = nil // called for each version
	server := serve(t, broken.Handler())
	s.gateways[1] = server
	for range 2 {
		r := s.do(1, "PUT", "5/vitals", harbor)
		if r.Status != 500 || !strings.Contains(r.Body, `"status":500`) {
			t.Errorf("%d %s, want a problem", r.Status, r.Body)
		}
	}
	if r := s.do(1, "GET", "5", ""); r.Status != 404 {
		t.Errorf("the next request: %d %s", r.Status, r.Body)
	}
}

// A connection's memory serves all of its requests; what the gateway remembers of one
// is its own: each finish shows the data that the step before it brought.
func TestRememberedDataOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const characters = 5
	sessions := make([]uuid.UUID, characters+1)
	data := func(char int) string { return fmt.Sprintf(`{"scene":"%d"}`, char) }
	for char := 1; char <= characters; char++ {
		sessions[char] = s.want(201, "POST", fmt.Sprintf("%d/contexts/scenario", char), `{"scenario_id":"a"}`).SessionID
	}
	for char := 1; char <= characters; char++ {
		s.want(200, "PATCH", fmt.Sprintf("%d/contexts/scenario", char), sessionBody(sessions[char], `,"step":1,"data":`+data(char)))
	}
	for char := 1; char <= characters; char++ {
		s.want(200, "POST", fmt.Sprintf("%d/contexts/scenario/finish", char), sessionBody(sessions[char], ""))
		view := s.look(char, "hot")
		if len(view.Scenarios) != 1 || string(view.Scenarios[0].Data) != data(char) {
			t.Errorf("character %d: %+v, want %s", char, view.Scenarios, data(char))
		}
	}
}

func TestAnswersOfTheInterfaceItself(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "5/vitals", harbor)
	if r := s.do(0, "DELETE", "5", ""); r.Status != 405 || !strings.Contains(r.Header.Get("Allow"), "GET") {
		t.Errorf("DELETE: %d, Allow %q", r.Status, r.Header.Get("Allow"))
	}
	if r := s.do(0, "HEAD", "5", ""); r.Status != 200 || r.Body != "" {
		t.Errorf("HEAD: %d %q", r.Status, r.Body)
	}
	if r := s.do(0, "PUT", "5/vitals/", harbor); r.Status != 404 {
		t.Errorf("another path: %d %s", r.Status, r.Body)
	}
}

// A gateway that is to end before it has begun does so.
func TestServeThatIsStoppedBeforehandEnds(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	stopped := make(chan error, 1)
	go func() { stopped <- gateway.Serve(ctx, listener, quiet, func(*fasthttp.RequestCtx) {}) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it still serves")
	}
}
