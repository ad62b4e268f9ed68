package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
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

// NATSProcesses are those of one server, or of a cluster of several, which have to be
// started side by side. Each has its storage below dir, and prints to log.
func NATSProcesses(n int, bin, dir string, log io.Writer) ([]NATSProcessConfig, error) {
	addrs, err := FreeAddrs(2 * n)
	if err != nil {
		return nil, err
	}
	all := make([]NATSProcessConfig, n)
	for i := range all {
		name := strconv.Itoa(i)
		all[i] = NATSProcessConfig{Bin: bin, Dir: filepath.Join(dir, name), Addr: addrs[i], Log: log}
		if n > 1 {
			all[i].Peers = NATSPeers{Name: "nats-" + name, Addr: addrs[n+i], All: addrs[n:]}
		}
	}
	return all, nil
}

// NATSURL is where clients on this machine find the servers: a comma list.
func NATSURL(all []NATSProcessConfig) string {
	urls := make([]string, len(all))
	for i := range all {
		urls[i] = "nats://" + all[i].Addr
	}
	return strings.Join(urls, ",")
}

// StartNATSProcess starts NATS as a process of its own: killing it takes what it
// had not written, and its CPU time can be told apart. It returns when JetStream
// answers: on a cluster that takes most of its servers.
func StartNATSProcess(ctx context.Context, cfg NATSProcessConfig) (*Process, error) {
	args := []string{"nats", "--store-dir", cfg.Dir, "--addr", cfg.Addr}
	if cfg.Peers.Name != "" {
		args = append(args, "--name", cfg.Peers.Name, "--peer-addr", cfg.Peers.Addr, "--peers", strings.Join(cfg.Peers.All, ","), "--peer-advertise", cfg.Peers.Advertise)
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
