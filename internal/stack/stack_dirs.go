package stack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// PostgresDir is where the stack of a directory has its PostgreSQL: below the
// directory, or, where we are root and user postgres may not enter that (as in
// root's home), in /var/tmp under a name made from the directory's. Whoever
// removes a stack's data has to remove both.
func PostgresDir(dir string) (string, error) {
	who, err := postgresUser()
	if err != nil {
		return "", err
	}
	if dir, err = trueName(dir); err != nil {
		return "", err
	}
	if closedTo(who, dir) == "" {
		return filepath.Join(dir, "postgres"), nil
	}
	hash := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("/var/tmp/savepoint-%x", hash[:6]), nil
}

// trueName resolves symbolic links, of what exists.
func trueName(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return resolved, err
}

// claim makes a directory and refuses one that another user has put there,
// which in /var/tmp everybody can, and we are about to write as root.
func claim(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of ours: remove it, or choose another directory for the stack", dir)
	}
	return nil
}

func (s *Stack) envFile() string { return filepath.Join(s.dir, "env") }

// writeEnv replaces the file in one step, so that a shell never sources half.
func (s *Stack) writeEnv() error {
	text := "NATS_URL=" + quote(s.NATS.URL()) + "\n" +
		"REDIS_URL=" + quote(s.Redis.URL()) + "\n" +
		"DATABASE_URL=" + quote(s.Postgres.URL()) + "\n"
	fresh := s.envFile() + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, s.envFile())
}

// quote makes a word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
