package hot_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/hot"
)

// lines has what is logged, line by line; what nobody takes is dropped.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// One log has all that a program says, also what its Redis client says by itself.
func TestWhatTheClientSaysIsLogged(t *testing.T) {
	said := make(lines, 100)
	hot.LogTo(slog.New(slog.NewJSONHandler(said, nil)))
	store, err := hot.Open("redis://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err == nil {
		t.Fatal("somebody answers at port 1")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case line := <-said:
			if strings.Contains(line, "failed to dial") && strings.Contains(line, `"level":"WARN"`) {
				return
			}
		default:
			t.Fatal("a pool that cannot connect was not logged")
		}
	}
}
