package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main runs a program and exits with its verdict. Its context ends with SIGINT or
// SIGTERM; a second signal ends the program at once.
func Main(run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// Retry calls try until it succeeds, ctx is done, or its error wraps fatal, where no
// retry will help; nil for none. It logs each failure with what was tried.
func Retry(ctx context.Context, log *slog.Logger, what string, fatal error, try func(context.Context) error) error {
	const pause = time.Second
	for attempt := 1; ; attempt++ {
		err := try(ctx)
		if err == nil || errors.Is(err, fatal) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Warn("waiting for "+what, "attempt", attempt, "retry_in", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// UnlessDone is err, unless it says no more than that ctx is done: whoever was told to
// stop has not failed.
func UnlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}
