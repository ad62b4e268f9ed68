package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// A postgresHome is the directory of one PostgreSQL, locked.
type postgresHome struct {
	dir, data string
	programs  string
	user      *syscall.Credential
	lock      *dirLock
	log       *serverLog
}

const postgresLog = "postgres.log"

// openPostgresHome finds the programs and locks the directory. The caller
// closes it.
func openPostgresHome(ctx context.Context, dir string) (*postgresHome, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	who, err := postgresUser()
	if err != nil {
		return nil, err
	}
	if dir, err = makeDir(dir); err != nil {
		return nil, err
	}
	if err := openTo(who, dir); err != nil {
		return nil, err
	}
	lock, err := lockServerDir(ctx, dir, "PostgreSQL")
	if err != nil {
		return nil, err
	}
	log, err := openLog(filepath.Join(dir, postgresLog))
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return &postgresHome{dir, filepath.Join(dir, "data"), programs, who, lock, log}, nil
}

// openTo lets the user into the directory, which is ours, and checks that
// those above it, which are not, let it pass.
func openTo(who *syscall.Credential, dir string) error {
	if who == nil {
		return nil
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if closed := closedTo(who, dir); closed != "" {
		return fmt.Errorf("user postgres may not enter %s: choose a directory elsewhere than %s", closed, dir)
	}
	return nil
}

func (h *postgresHome) close() {
	_ = h.log.Close()
	_ = h.lock.release()
}

// prepare clears what a killed server left and makes sure there is data.
func (h *postgresHome) prepare(ctx context.Context) error {
	left := leftover{
		pidFile: filepath.Join(h.data, "postmaster.pid"),
		dir:     h.data,
		stop:    syscall.SIGINT,
		files:   []string{filepath.Join(h.data, ".s.PGSQL.*")},
	}
	if err := left.reap(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(h.data); err == nil {
		return nil
	}
	return h.initdb(ctx)
}

// initdb works beside the data's place and moves the result there, so that one
// cut short is not taken for a cluster.
func (h *postgresHome) initdb(ctx context.Context) error {
	fresh := h.data + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o700), giveTo(h.user, fresh)); err != nil {
		return err
	}
	var output bytes.Buffer
	command := h.program("initdb", "-D", fresh, "-U", databaseName, "-A", "trust", "-E", "UTF8", "--locale="+locale())
	command.Stdout, command.Stderr = &output, &output
	p, err := command.start()
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.Kill())
	}
	if p.Err() != nil {
		return fmt.Errorf("initdb: %w:\n%s", p.Err(), output.String())
	}
	return os.Rename(fresh, h.data)
}

// locale sorts by bytes, which does not change with the system's libraries.
func locale() string {
	if runtime.GOOS == "darwin" { // older ones have no C.UTF-8
		return "C"
	}
	return "C.UTF-8"
}

func (h *postgresHome) launch(cfg PostgresConfig) launch {
	server := h.program("postgres", cfg.arguments(h.data)...)
	server.Name = "PostgreSQL"
	server.Stdout = h.log.and(cfg.Log)
	server.Stderr = server.Stdout
	server.stopSignal = syscall.SIGINT
	server.beforeKill = killChildren
	server.released = h.close
	return server
}

// program starts in the root directory, because ours may be closed to the
// user, and without our environment, because PGDATA and the like would be
// followed.
func (h *postgresHome) program(name string, args ...string) launch {
	return launch{
		ProcessConfig: ProcessConfig{
			Path: filepath.Join(h.programs, name),
			Args: args,
			Env:  []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"},
		},
		dir:        "/",
		user:       h.user,
		stopSignal: syscall.SIGTERM,
	}
}

// killChildren ends the processes of a server. Each leads a group of its own,
// and those left over would keep the next start out. With the parent stopped,
// no new one comes and the ids of dead ones stay taken.
func killChildren(pid int) {
	if syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return
	}
	for _, child := range childrenOf(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
}
