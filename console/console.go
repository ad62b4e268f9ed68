// Package console shows whoever is on call what goes on: a page of flow and lag, and
// one of each character. It only reads, and works with whatever answers.
package console

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/verify"
)

// Hot is the hot state; see hot.Store.
type Hot interface {
	verify.Hot
	CountUnsaved(ctx context.Context, limit int) (*hot.Unsaved, error)
}

// Cold is the saved state; see cold.Store.
type Cold interface {
	verify.Cold
	Fights(ctx context.Context, char events.CharID, before events.Version, limit int32) ([]game.FightRecord, error)
}

// Stream is what waits, what was said, and what cannot be saved; see bus.Bus.
type Stream interface {
	verify.Stream
	Retained(ctx context.Context, char events.CharID, since time.Time, yield func(*events.StateChanged)) error
	Backlog(ctx context.Context, scope events.Scope) (bus.Backlog, error)
	DeadLetters(ctx context.Context, scope events.Scope) (uint64, error)
	Letters(ctx context.Context, scope events.Scope, char events.CharID, yield func(events.DeadLetter) bool) error
	LettersFrom(ctx context.Context, from uint64, limit int) (letters []events.DeadLetter, next uint64, err error)
}

// A Check asks a server whether it answers.
type Check struct {
	Name string
	Ping func(ctx context.Context) error
}

// Console is an http.Handler of /console and what is below it.
type Console struct {
	Hot    Hot
	Cold   Cold
	Stream Stream
	// Ask asks JetStream's API, for what Stream does not count.
	Ask    func(ctx context.Context, subject string) ([]byte, error)
	Checks []Check
	Log    *slog.Logger

	mu   sync.Mutex
	last *sample // of the last look
}

const (
	// askTimeout is how long a server may take for one thing: the page comes within two
	// seconds, whoever is away.
	askTimeout = time.Second
	// readTimeout is how long the past of a character may take.
	readTimeout = 1500 * time.Millisecond
)

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		c.problem(w, http.StatusMethodNotAllowed, "The console only shows", "Nothing is changed here.")
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		c.render(w, http.StatusOK, "overview", c.overview(r.Context()))
	})
	mux.HandleFunc("GET /console/characters", c.find)
	mux.HandleFunc("GET /console/characters/{char_id}", c.showCharacter)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		c.problem(w, http.StatusNotFound, "No such page", "The console has an overview and a page of each character.")
	})
	mux.ServeHTTP(w, r)
}

// find goes to the page of the character whose number was typed in.
func (c *Console) find(w http.ResponseWriter, r *http.Request) {
	if char, ok := c.charID(w, r.FormValue("char_id")); ok {
		http.Redirect(w, r, "/console/characters/"+char.String(), http.StatusSeeOther)
	}
}

func (c *Console) showCharacter(w http.ResponseWriter, r *http.Request) {
	char, ok := c.charID(w, r.PathValue("char_id"))
	if !ok {
		return
	}
	page := c.character(r.Context(), char)
	if page.Unknown() {
		c.problem(w, http.StatusNotFound, "No character "+char.String(),
			"Neither Redis nor PostgreSQL has it, and there is no event and no dead letter of it.")
		return
	}
	c.render(w, http.StatusOK, "character", page)
}

// charID reads a character's number, or answers that it is none.
func (c *Console) charID(w http.ResponseWriter, text string) (events.CharID, bool) {
	char, err := events.ParseCharID(text)
	if err != nil {
		c.problem(w, http.StatusBadRequest, "char_id is wrong", err.Error())
	}
	return char, err == nil
}

//go:embed console.html
var source string

var pages = template.Must(template.New("").Funcs(words).Parse(source))

type problemPage struct{ Title, Detail string }

func (c *Console) problem(w http.ResponseWriter, status int, title, detail string) {
	c.render(w, status, "problem", problemPage{title, detail})
}

// render writes a page, whole or not at all.
func (c *Console) render(w http.ResponseWriter, status int, name string, data any) {
	nonce := rand.Text()
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, struct {
		Nonce string
		Now   time.Time
		Page  any
	}{nonce, time.Now(), data}); err != nil {
		c.Log.Error("console page", "page", name, "err", err)
		http.Error(w, "a bug in the console, see the log of the gateway", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-"+nonce+
		"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// asked gathers the answers to questions that are asked at once.
type asked struct {
	group sync.WaitGroup
	mu    sync.Mutex // guards away
	away  map[string]string
}

// ask asks a server something. Where it does not answer, that is noted.
func (a *asked) ask(ctx context.Context, server string, timeout time.Duration, question func(ctx context.Context) error) {
	a.group.Go(func() { a.askNow(ctx, server, timeout, question) })
}

var errPanicked = errors.New("a bug in the console")

// askNow is ask for who waits for the answer. A bug costs the answer, not the program.
func (a *asked) askNow(ctx context.Context, server string, timeout time.Duration, question func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", errPanicked, p)
			}
		}()
		return question(ctx)
	}()
	if err == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away == nil {
		a.away = make(map[string]string)
	}
	if a.away[server] == "" {
		a.away[server] = err.Error()
	}
}

// wait returns, by server, what was wrong.
func (a *asked) wait() map[string]string {
	a.group.Wait()
	return a.away
}
