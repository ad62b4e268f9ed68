package load_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/bench/load"
)

// Percentile is what counting says: at least so many percent are not above it,
// and fewer are not above anything smaller.
func TestPercentileIsTheSmallestThatHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Map(rapid.Int64Range(0, 50), func(n int64) time.Duration { return time.Duration(n) }), 1, 60).Draw(t, "latencies")
		percent := rapid.SampledFrom([]float64{0, 1, 50, 80, 99, 99.9, 100}).Draw(t, "percent")
		holds := func(limit time.Duration) bool {
			n := 0
			for _, v := range values {
				if v <= limit {
					n++
				}
			}
			return float64(n) >= percent/100*float64(len(values))
		}
		candidates := slices.Sorted(slices.Values(values))
		want := candidates[slices.IndexFunc(candidates, holds)]
		if got := load.Percentile(values, percent); got != want {
			t.Fatalf("p%v of %v is %d, not %d", percent, values, got, want)
		}
	})
}

// stub is a gateway that knows nothing.
func stub(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// A server that stalls is seen by everything that should have been sent
// meanwhile, whether or not there was a connection to send it over.
func TestStallShowsInAllThatWaited(t *testing.T) {
	const (
		stall = 400 * time.Millisecond
		rate  = 1000
	)
	for _, conns := range []int{2, 64} {
		var (
			count atomic.Int64
			mu    sync.RWMutex
		)
		addr := stub(t, func(http.ResponseWriter, *http.Request) {
			if count.Add(1) == 50 {
				mu.Lock()
				time.Sleep(stall)
				mu.Unlock()
				return
			}
			mu.RLock()
			defer mu.RUnlock()
		})

		result, err := load.New().Run(t.Context(), load.Window{
			Addr: addr, Story: "vitals", Characters: 5000, Rate: rate, Conns: conns, For: time.Second, Seed: 3,
		})

		if err != nil {
			t.Fatal(err)
		}
		waited := 0
		for _, latency := range result.All() {
			if latency >= stall/2 {
				waited++
			}
		}
		// Of those that were due in the first half of the stall each waited for
		// the other half: rate × stall/2 of them, give or take the dice.
		if want := int(rate * (stall / 2).Seconds() * 0.8); waited < want {
			t.Errorf("%d connections: %d of %d answers waited for half of the stall, at least %d should have", conns, waited, result.Answers(), want)
		}
	}
}

// All that the schedule holds is sent, however slow the answers are, and the same
// seed is the same schedule.
func TestOpenLoopSendsWhatTheScheduleHolds(t *testing.T) {
	counts := make([]int, 2)
	for i, pause := range []time.Duration{0, 20 * time.Millisecond} {
		addr := stub(t, func(http.ResponseWriter, *http.Request) { time.Sleep(pause) })
		result, err := load.New().Run(t.Context(), load.Window{
			Addr: addr, Story: "vitals", Characters: 1000, Rate: 500, Conns: 3, For: 600 * time.Millisecond, Seed: 9,
		})
		if err != nil {
			t.Fatal(err)
		}
		counts[i] = result.Answers()
	}
	if counts[0] != counts[1] || counts[0] < 200 || counts[0] > 400 {
		t.Errorf("%v answers to 500 a second for 0.6 s", counts)
	}
}

// Hot characters are asked for as often as the skew says, while earlier requests
// of them are not answered.
func TestHotCharactersDoNotWaitForThemselves(t *testing.T) {
	var (
		mu      sync.Mutex
		asked   = map[string]int{}
		both    = make(chan struct{})
		hottest = "/v1/characters/1/vitals"
	)
	addr := stub(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		n := asked[r.URL.Path]
		mu.Unlock()
		if r.URL.Path == hottest && n == 2 {
			close(both)
		}
		if r.URL.Path == hottest {
			<-both
		}
	})
	w := load.Window{Addr: addr, Story: "vitals", Characters: 1000, Zipf: 1.2, Rate: 1000, Conns: 64, For: time.Second, Seed: 5}
	result, err := load.New().Run(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if n := asked[hottest]; n < result.Answers()/10 || n > result.Answers()/3 {
		t.Errorf("the hottest character has %d of %d requests", n, result.Answers())
	}
	w.Story = "combat"
	if _, err := load.New().Run(t.Context(), w); err == nil {
		t.Error("the steps of fights came in any order")
	}
}

// Nobody has seen a newcomer before.
func TestNewcomersAreNew(t *testing.T) {
	var (
		mu   sync.Mutex
		seen = map[string]bool{}
	)
	addr := stub(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if seen[r.URL.Path] {
			t.Errorf("%s was asked for again", r.URL.Path)
		}
		seen[r.URL.Path] = true
	})
	players := load.New()
	answers := 0
	for range 2 {
		result, err := players.Run(t.Context(), load.Window{Addr: addr, Story: "newcomers", Characters: 5, Conns: 3, For: time.Minute, Each: 3})
		if err != nil {
			t.Fatal(err)
		}
		answers += result.Answers()
	}
	if answers != 30 || len(seen) != answers {
		t.Errorf("%d characters in %d answers, want 30 in as many", len(seen), answers)
	}
}

// The steps of a story come in order for each character, with the session that
// its first step was told; what is left of a story is finished.
func TestStoriesAreToldInOrder(t *testing.T) {
	var (
		mu       sync.Mutex
		sessions = map[string]string{} // by character
		wrong    []string
		opened   int
	)
	addr := stub(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		char := strings.Split(r.URL.Path, "/")[3]
		open, body := sessions[char], make([]byte, r.ContentLength)
		_, _ = io.ReadFull(r.Body, body)
		switch step := r.Method + strings.TrimPrefix(r.URL.Path, "/v1/characters/"+char); step {
		case "POST/contexts/combat":
			if open != "" {
				wrong = append(wrong, step)
			}
			opened++
			sessions[char] = fmt.Sprintf("00000000-0000-0000-0000-%012d", opened)
			_, _ = fmt.Fprintf(w, `{"session_id":"%s"}`, sessions[char])
		case "PATCH/contexts/combat":
			if open == "" || !strings.Contains(string(body), open) {
				wrong = append(wrong, step+string(body))
			}
		case "POST/contexts/combat/finish":
			if open == "" || !strings.Contains(string(body), open) {
				wrong = append(wrong, step+string(body))
			}
			delete(sessions, char)
		default:
			wrong = append(wrong, step)
		}
	})
	generator := load.New()
	fights := load.Window{Addr: addr, Story: "combat", Characters: 20, Conns: 8, For: 100 * time.Millisecond, Seed: 1}

	first, err := generator.Run(t.Context(), fights)
	if err != nil {
		t.Fatal(err)
	}
	fights.Finish, fights.For = true, time.Minute
	if _, err := generator.Run(t.Context(), fights); err != nil {
		t.Fatal(err)
	}

	if len(wrong) > 0 || len(sessions) > 0 {
		t.Errorf("out of order: %.3q; %d sessions are open", wrong, len(sessions))
	}
	for _, step := range load.Steps("combat") {
		if len(first.Latencies[step]) == 0 {
			t.Errorf("no latency of %s", step)
		}
	}
}

// Each character takes so many steps and no more; long answers in chunks and
// refusals are understood.
func TestAnswersOfAllFormsAreRead(t *testing.T) {
	var count atomic.Int64
	addr := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		switch count.Add(1) % 3 {
		case 0:
			http.Error(w, "no", http.StatusConflict)
		case 1:
			_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("long ", 20_000) + `"}`))
		}
	})

	result, err := load.New().Run(t.Context(), load.Window{
		Addr: addr, Story: load.StoryMake, Characters: 30, Conns: 4, For: time.Minute, Each: 2,
	})

	if err != nil || count.Load() != 60 || result.Answers() != 40 || result.Refused[http.StatusConflict] != 20 || result.Refusal != "no\n" {
		t.Errorf("%d requests, %d answers, refused %v %q, %v", count.Load(), result.Answers(), result.Refused, result.Refusal, err)
	}
}

func TestClosedConnectionIsAnError(t *testing.T) {
	addr := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})
	_, err := load.New().Run(t.Context(), load.Window{Addr: addr, Story: "vitals", Characters: 5, Conns: 2, For: time.Second})
	if err == nil {
		t.Error("no error for a connection that the server has closed")
	}
	if _, err := load.New().Run(t.Context(), load.Window{Addr: addr, Story: "none", Characters: 1, Conns: 1}); err == nil {
		t.Error("no error for a story that does not exist")
	}
}

// Programs that are compared have characters of their own.
func TestCharactersAreThoseOfTheWindow(t *testing.T) {
	var (
		mu    sync.Mutex
		chars = map[int64]bool{}
		wrong []string
	)
	addr := stub(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		var trade struct{ From, To int64 }
		if err := json.Unmarshal(body, &trade); err != nil || trade.From == trade.To {
			wrong = append(wrong, string(body))
		}
		chars[trade.From], chars[trade.To] = true, true
	})

	_, err := load.New().Run(t.Context(), load.Window{
		Addr: addr, Story: "transfers", Characters: 3, FirstChar: 700, Conns: 2, For: time.Minute, Each: 50,
	})

	if want := map[int64]bool{700: true, 701: true, 702: true}; err != nil || len(wrong) > 0 || !maps.Equal(chars, want) {
		t.Errorf("characters %v, want %v; wrong %q, %v", chars, want, wrong, err)
	}
}
