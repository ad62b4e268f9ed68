package main

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
)

// watch shows how far a scope is, and returns when it is done.
func (r *replay) watch(ctx context.Context, scope events.Scope, source *intake.Source) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for first := true; ; first = false {
		left, settled, err := source.Left(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			r.total.Add(int64(left))
		}
		if settled >= r.target {
			left = 0
		}
		r.show(scope, int64(left))
		if left == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *replay) show(scope events.Scope, left int64) {
	r.left.Store(scope, left)
	r.mu.Lock()
	defer r.mu.Unlock()
	done, total := r.done()
	share := 1.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	rate := float64(done) / time.Since(r.began).Seconds()
	eta := "?"
	if rate > 0 {
		eta = time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	const width = 30
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = '.'
		if float64(i) < share*width {
			bar[i] = '#'
		}
	}
	r.progress.Show(fmt.Sprintf("[%s] %3.0f%%  %d of %d events, %.0f/s, %s left", bar, share*100, done, total, rate, eta))
}

func (r *replay) done() (done, total int64) {
	total = r.total.Load()
	done = total
	r.left.Range(func(_, left any) bool {
		done -= left.(int64)
		return true
	})
	return max(done, 0), total
}

func (r *replay) summary(complete bool) string {
	done, _ := r.done()
	text := fmt.Sprintf("replayed %d events in %s", max(0, done-r.passed.Load()), time.Since(r.began).Round(time.Millisecond))
	if n := r.unsaved.noEvents.Load(); n > 0 {
		text += fmt.Sprintf("; %d are no events and were left alone", n)
	}
	if n := r.unsaved.refused.Load(); n > 0 {
		text += fmt.Sprintf("; %d could not be saved", n)
	}
	if !r.begins.IsZero() && !r.begins.Before(r.cmd.Since) {
		text += "; the stream begins at " + r.begins.Format(time.RFC3339)
	}
	switch {
	case complete:
	case r.cmd.Name != "":
		text += fmt.Sprintf("; stopped, `saver replay --name %s` goes on", r.cmd.Name)
	default:
		text += "; stopped, and the next one begins anew (one that has a --name goes on)"
	}
	return text
}
