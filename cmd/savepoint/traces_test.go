package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A span is what a collector was told, in hexadecimal.
type span struct {
	program, name, status string
	trace, id, parent     string
	from, to              uint64 // ns since 1970
	events                []string
}

// traces is a collector of traces, as programs see one: OTLP over HTTP.
type traces struct {
	*httptest.Server
	mu    sync.Mutex
	spans []span
}

func newCollector(t *testing.T) *traces {
	t.Helper()
	c := new(traces)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told collector.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &told)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("collector: %s %v", r.URL, err)
		}
		c.take(&told)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *traces) take(told *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range told.ResourceSpans {
		program := ""
		for _, a := range of.Resource.Attributes {
			if a.Key == "service.name" {
				program = a.Value.GetStringValue()
			}
		}
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				one := span{
					program: program, name: s.Name, status: s.Status.GetMessage(),
					trace: hex.EncodeToString(s.TraceId), id: hex.EncodeToString(s.SpanId), parent: hex.EncodeToString(s.ParentSpanId),
					from: s.StartTimeUnixNano, to: s.EndTimeUnixNano,
				}
				for _, e := range s.Events {
					one.events = append(one.events, e.Name)
				}
				c.spans = append(c.spans, one)
			}
		}
	}
}

// of returns the spans of a trace by their name, the newest of each.
func (c *traces) of(trace string) map[string]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[string]span)
	for _, s := range c.spans {
		if s.trace == trace {
			found[s.name] = s
		}
	}
	return found
}

// wantOneTrace acts as a caller that traces what it does: its trace goes on to the commit
// in PostgreSQL. One that has decided not to is not traced.
func (m *machine) wantOneTrace(c *traces) {
	m.t.Helper()
	const (
		untraced = "0af7651916cd43dd8448eb211c80319c"
		traced   = "4bf92f3577b34da6a3ce929d0e0e4736"
		caller   = "00f067aa0ba902b7"
		route    = "PUT /v1/characters/{char_id}/vitals"
	)
	for _, traceparent := range []string{"00-" + untraced + "-" + caller + "-00", "00-" + traced + "-" + caller + "-01"} {
		request, err := http.NewRequestWithContext(m.t.Context(), http.MethodPut, "http://"+m.gateway+"/v1/characters/43/vitals?durability=cold",
			strings.NewReader(`{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}`))
		if err != nil {
			m.t.Fatal(err)
		}
		request.Header.Set("traceparent", traceparent)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			m.t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
			m.t.Fatalf("status %d", answer.StatusCode)
		}
	}
	var all map[string]span
	m.eventually("the collector has heard of the answer and of the save", func() bool {
		all = c.of(traced)
		return all[route].id != "" && all["save vitals"].id != ""
	})
	request := all[route]
	if request.parent != caller || request.program != "savepoint-gateway" || request.status != "" {
		m.t.Errorf("%+v", request)
	}
	for name, program := range map[string]string{"redis commit": "savepoint-gateway", "nats publish": "savepoint-gateway", "save vitals": "savepoint-saver"} {
		if s := all[name]; s.parent != request.id || s.program != program || s.status != "" || s.from < request.from {
			m.t.Errorf("%s: %+v, of %+v", name, s, request)
		}
	}
	if save := all["save vitals"]; len(save.events) != 1 || save.events[0] != "stored" || save.to < all["redis commit"].to {
		m.t.Errorf("%+v", save)
	}
	if others := c.of(untraced); len(others) > 0 {
		m.t.Errorf("a request whose caller does not trace: %+v", others)
	}
}
