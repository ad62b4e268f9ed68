package program_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/internal/program"
)

// Every thread gives way, those to come among them.
func TestGiveWayIsOfEveryThread(t *testing.T) {
	if err := program.GiveWay(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for range 8 { // goroutines that sit in system calls make the runtime start threads
		go func() {
			_, _ = os.ReadFile("/proc/self/status")
			<-done
		}()
	}
	defer close(done)
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) < 2 {
		t.Fatalf("%d threads, %v", len(stats), err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		// Behind the name in brackets, the nice value is the 17th field.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if nice := fields[16]; nice != "10" {
			t.Errorf("%s: nice %s, want 10", path, nice)
		}
	}
}
