package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// StartNATSProcess starts NATS as a process of its own: killing it takes what it
// had not written, and its CPU time can be told apart. It is the program savepoint
// in the directory bin, with its storage in dir, on addr, and prints to log. It
// returns when JetStream answers.
func StartNATSProcess(ctx context.Context, bin, dir, addr string, log io.Writer) (*Process, error) {
	p, err := StartProcess(ctx, ProcessConfig{
		Name: "NATS", Path: filepath.Join(bin, "savepoint"), Stdout: log, Stderr: log,
		Args: []string{"nats", "--store-dir", dir, "--addr", addr},
	})
	if err != nil {
		return nil, err
	}
	if err := awaitAnswer(ctx, p, func(ctx context.Context) error { return jetStreamAnswers(ctx, addr) }); err != nil {
		return nil, errors.Join(fmt.Errorf("start NATS on %s: %w", addr, err), p.Kill())
	}
	return p, nil
}

func jetStreamAnswers(ctx context.Context, addr string) error {
	nc, err := nats.Connect("nats://" + addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	_, err = js.AccountInfo(ctx)
	return err
}
