package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Check asks a dependency how it is.
type Check struct {
	Name string
	// Required: without it the program is not ready. Without the others it
	// works on, as the fault table says, and only tells.
	Required bool
	Ping     func(ctx context.Context) error
}

const (
	checkTimeout = time.Second
	// toldTimeout is for checks that are not required: whoever asks usually gives up
	// after a second, and must not take their silence for the program's.
	toldTimeout = checkTimeout / 2
)

// Health answers /healthz (the program runs) and /readyz (what it lacks).
func Health(checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		readiness := ask(r.Context(), checks)
		out, _ := json.Marshal(readiness)
		w.Header().Set("Content-Type", "application/json")
		if !readiness.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(append(out, '\n'))
	})
	return mux
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready   bool              `json:"ready"`
	Missing []string          `json:"missing"` // the dependencies that do not answer
	Checks  map[string]string `json:"checks"`  // each dependency: ok, or what is wrong
}

// ask asks all dependencies at once.
func ask(ctx context.Context, checks []Check) readiness {
	answers := make([]error, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() {
			timeout := toldTimeout
			if check.Required {
				timeout = checkTimeout
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			answers[i] = check.Ping(ctx)
		})
	}
	group.Wait()
	out := readiness{Ready: true, Missing: []string{}, Checks: map[string]string{}}
	for i, check := range checks {
		err := answers[i]
		if err == nil {
			out.Checks[check.Name] = "ok"
			continue
		}
		out.Checks[check.Name] = err.Error()
		out.Missing = append(out.Missing, check.Name)
		out.Ready = out.Ready && !check.Required
	}
	return out
}

// NewMetrics returns a registry that has the process's own metrics.
func NewMetrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Admin is the handler of the admin address: health, metrics, and profiles of the
// running program.
func Admin(reg *prometheus.Registry, checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Health(checks))
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

const drainTimeout = 10 * time.Second

// Listen takes a TCP address.
func Listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (is another one running? choose another address)", addr, err)
	}
	return listener, nil
}

// Serve answers on addr until ctx is done, then lets the requests under way
// finish, and returns.
func Serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := Listen(addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		stopped <- server.Shutdown(drain)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve %s: %w", addr, err)
	}
	return <-stopped
}
