package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/world"
)

type demoCmd struct {
	Gateway    string        `name:"gateway" env:"GATEWAY_ADDR" default:"127.0.0.1:8080" help:"Address of the gateway."`
	Characters int           `name:"characters" env:"CHARACTERS" default:"300" help:"How many characters live in the world."`
	Duration   time.Duration `name:"for" env:"DEMO_FOR" default:"30s" help:"How long they play."`
	Seed       int64         `name:"seed" env:"SEED" default:"1" help:"The same seed plays the same decisions."`
}

// Run plays the world and prints what happened.
func (d *demoCmd) Run(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "%d characters play for %s, seed %d\n", d.Characters, d.Duration, d.Seed)
	w := world.New(world.Config{Gateway: "http://" + d.Gateway, Characters: d.Characters, Seed: d.Seed})
	playing, cancel := context.WithTimeout(ctx, d.Duration)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		showProgress(playing, out, w, d.Duration)
	}()
	err := w.Play(playing)
	cancel()
	<-done
	if err != nil {
		return err
	}
	fmt.Fprintln(out, w.Counts())
	return nil
}

// showProgress says once a second how far it is.
func showProgress(ctx context.Context, out io.Writer, w *world.World, length time.Duration) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	started, progress := time.Now(), program.NewProgress(out)
	defer progress.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			progress.Show(fmt.Sprintf("%3.0f%%  %s", 100*min(1, time.Since(started).Seconds()/length.Seconds()), w.Counts()))
		}
	}
}
