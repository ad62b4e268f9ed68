package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// ProcessConfig says what to run.
type ProcessConfig struct {
	// Path is the program, Args what follows its name.
	Path string
	Args []string

	// Env is the whole environment, as in os/exec.
	//
	// Defaults to that of this process.
	Env []string

	// Stdout and Stderr get what the program prints. Each is written to by one
	// goroutine, by the same one where the two are equal.
	//
	// Default to nowhere.
	Stdout, Stderr io.Writer

	// Name stands for the program in errors.
	//
	// Defaults to the last part of Path.
	Name string
}

// A Process is a child of this process, in a process group of its own: a
// Ctrl-C in the terminal reaches only us, and we stop the children in order.
type Process struct {
	name       string
	cmd        *exec.Cmd
	stopSignal syscall.Signal
	beforeKill func(pid int)
	done       chan struct{}
	err        error // written before done is closed
}

// launch is a ProcessConfig with what only our own servers need.
type launch struct {
	ProcessConfig
	argv0      string              // the name the child is started under; "" for Path
	dir        string              // its working directory; "" for ours
	user       *syscall.Credential // nil for ours
	stopSignal syscall.Signal      // what Stop sends, and on Linux our death
	beforeKill func(pid int)       // ends what is not in the child's group; may be nil
	released   func()              // called once the child is gone, before Done; may be nil
}

// leftoverOutput is how long to read on when a program has ended but one of
// its own children still holds its output.
const leftoverOutput = time.Second

// StartProcess starts a program. It lives until it ends by itself, Stop or
// Kill is called, or this process dies (on Linux; it then gets SIGTERM). The
// end of ctx does not end it.
func StartProcess(ctx context.Context, cfg ProcessConfig) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.name(), err)
	}
	return launch{ProcessConfig: cfg, stopSignal: syscall.SIGTERM}.start()
}

func (c ProcessConfig) name() string {
	if c.Name != "" {
		return c.Name
	}
	return filepath.Base(c.Path)
}

func (l launch) start() (*Process, error) {
	p := &Process{
		name: l.name(), cmd: l.command(), done: make(chan struct{}),
		stopSignal: l.stopSignal, beforeKill: l.beforeKill,
	}
	started := make(chan error)
	go p.run(started, l.released)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

func (l launch) command() *exec.Cmd {
	cmd := exec.Command(l.Path, l.Args...)
	if l.argv0 != "" {
		cmd.Args[0] = l.argv0
	}
	cmd.Env, cmd.Dir = l.Env, l.dir
	cmd.Stdout, cmd.Stderr = l.Stdout, l.Stderr
	cmd.WaitDelay = leftoverOutput
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: l.user}
	signalOnOurDeath(cmd.SysProcAttr, l.stopSignal)
	return cmd
}

// run starts the child and waits for it, on one thread: the kernel counts the
// end of the starting thread as the death of the parent, so the thread has to
// live as long as the child.
func (p *Process) run(started chan<- error, released func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if released == nil {
		released = func() {}
	}
	if err := p.cmd.Start(); err != nil {
		released()
		started <- err
		return
	}
	started <- nil
	if err := p.cmd.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		p.err = err
	}
	released()
	close(p.done)
}

// Pid is the process id, also the id of the process group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and its output is written.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the process ended: nil for exit status 0, and as long as it
// runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Signal sends a signal to the process, not to its group. It returns
// os.ErrProcessDone when the process has ended.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the process to end and returns when it has. If ctx is done first,
// it kills the group and says so. A process that had ended before is no error.
// Children that it leaves behind are left.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(p.stopSignal); errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return nil
	} else if err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return p.stopError()
	case <-ctx.Done():
		late := fmt.Errorf("stop %s: killed, since it still ran: %w", p.name, context.Cause(ctx))
		return errors.Join(late, p.Kill())
	}
}

// stopError is nil for a process that ended as it was told to.
func (p *Process) stopError() error {
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == p.stopSignal {
			return nil
		}
	}
	if p.err != nil {
		return fmt.Errorf("stop %s: %w", p.name, p.err)
	}
	return nil
}

// Kill ends the process and its group at once and returns when the process is
// gone. A process that had ended before is no error.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if p.beforeKill != nil {
		p.beforeKill(p.Pid())
	}
	if err := syscall.Kill(-p.Pid(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}
