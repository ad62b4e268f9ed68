package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/stack"
)

// Program is a running gateway or saver.
type Program struct {
	Name      string // gateway or saver
	Addr      string // where a gateway answers players; "" for a saver
	AdminAddr string // health and metrics
	rig       *Rig
	proc      *stack.Process
}

// Options change how a program is started.
type Options struct {
	// Env goes over the environment of this process and the servers' URLs, so
	// that a DATABASE_URL here leads through a proxy.
	Env []string
	// Path is the program.
	//
	// Defaults to the one of the rig's Bin.
	Path string
}

// StartSaver starts a saver as it is shipped and returns when it has all that
// it requires.
func (r *Rig) StartSaver(ctx context.Context, o Options) (*Program, error) {
	addrs, err := stack.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	return r.start(ctx, &Program{Name: "saver", AdminAddr: addrs[0]}, []string{"run"}, o)
}

// StartGateway starts a gateway as it is shipped and returns when it has all
// that it requires.
func (r *Rig) StartGateway(ctx context.Context, o Options) (*Program, error) {
	addrs, err := stack.FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	o.Env = append([]string{"GATEWAY_ADDR=" + addrs[0]}, o.Env...)
	return r.start(ctx, &Program{Name: "gateway", Addr: addrs[0], AdminAddr: addrs[1]}, nil, o)
}

func (r *Rig) start(ctx context.Context, p *Program, args []string, o Options) (_ *Program, err error) {
	if o.Path == "" {
		o.Path = filepath.Join(r.config.Bin, p.Name)
	}
	env := append(os.Environ(), r.URLs()...)
	env = append(env, "ADMIN_ADDR="+p.AdminAddr, "LOG_LEVEL=WARN")
	p.rig = r
	p.proc, err = stack.StartProcess(ctx, stack.ProcessConfig{
		Name: p.Name, Path: o.Path, Args: args, Env: append(env, o.Env...),
		Stdout: r.config.Log, Stderr: r.config.Log,
	})
	if err != nil {
		return nil, err
	}
	r.programs = append(r.programs, p)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := program.AwaitReady(ctx, p.AdminAddr); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), p.Kill())
	}
	return p, nil
}

// Pid is the process id.
func (p *Program) Pid() int { return p.proc.Pid() }

// Ended is an error where the program has ended by itself.
func (p *Program) Ended() error {
	select {
	case <-p.proc.Done():
		return fmt.Errorf("a %s ended by itself: %v", p.Name, p.proc.Err())
	default:
		return nil
	}
}

// Stop asks the program to end (SIGTERM) and waits until it has, at most until
// ctx is done.
func (p *Program) Stop(ctx context.Context) error {
	p.forget()
	return p.proc.Stop(ctx)
}

// Kill ends the program as a crash would.
func (p *Program) Kill() error {
	p.forget()
	return p.proc.Kill()
}

func (p *Program) forget() {
	p.rig.programs = slices.DeleteFunc(p.rig.programs, func(other *Program) bool { return other == p })
}
