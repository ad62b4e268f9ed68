package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSProcessConfig says where NATS runs as a process of its own.
type NATSProcessConfig struct {
	Bin   string    // the directory with the program savepoint
	Dir   string    // the storage
	Addr  string    // where clients find it
	Peers NATSPeers // none: the server is alone
	Log   io.Writer // what it prints
}

// StartNATSProcess starts NATS as a process of its own: killing it takes what it
// had not written, and its CPU time can be told apart. It returns when JetStream
// answers: on a cluster that takes most of its servers.
func StartNATSProcess(ctx context.Context, cfg NATSProcessConfig) (*Process, error) {
	args := []string{"nats", "--store-dir", cfg.Dir, "--addr", cfg.Addr}
	if cfg.Peers.Name != "" {
		args = append(args, "--name", cfg.Peers.Name, "--peer-addr", cfg.Peers.Addr, "--peers", strings.Join(cfg.Peers.All, ","))
	}
	p, err := StartProcess(ctx, ProcessConfig{
		Name: "NATS", Path: filepath.Join(cfg.Bin, "savepoint"), Stdout: cfg.Log, Stderr: cfg.Log, Args: args,
	})
	if err != nil {
		return nil, err
	}
	if err := awaitAnswer(ctx, p, func(ctx context.Context) error { return jetStreamAnswers(ctx, cfg.Addr) }); err != nil {
		return nil, errors.Join(fmt.Errorf("start NATS on %s: %w", cfg.Addr, err), p.Kill())
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
