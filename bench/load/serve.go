package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/internal/program"
)

// Serve runs a generator in this process for a Remote, until ctx is done.
func Serve(ctx context.Context, addr string) error {
	var mu sync.Mutex
	generator := New()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var window Window
		if err := json.NewDecoder(r.Body).Decode(&window); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// The window ends when who asked for it is gone.
		result, err := generator.Run(r.Context(), window)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(result) // an error means that the caller is gone
	})
	return program.Serve(ctx, addr, mux)
}

// A Remote is a generator in a process of its own.
type Remote struct{ Addr string }

// Run is Generator.Run over there.
func (r Remote) Run(ctx context.Context, w Window) (result Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.For+4*answerTimeout)
	defer cancel()
	body, err := json.Marshal(w)
	if err != nil {
		return result, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Addr+"/run", bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return result, fmt.Errorf("load generator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return result, fmt.Errorf("load generator: %s", bytes.TrimSpace(text))
	}
	if err := json.NewDecoder(resp.Body).Decode(&result); err != nil {
		return result, fmt.Errorf("load generator: %w", err)
	}
	return result, nil
}

const readyPoll = 5 * time.Millisecond

// AwaitReady returns when a server answers GET /readyz with 200, or ctx is done.
func AwaitReady(ctx context.Context, addr string) error {
	for {
		err := ready(ctx, addr)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(readyPoll):
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", addr, ctx.Err(), err)
		}
	}
}

func ready(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
