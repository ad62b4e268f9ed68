package stack

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresUser returns the user PostgreSQL runs as: nil for ours, or user
// postgres where we are root, whom PostgreSQL refuses.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and: %w: run `make deps`, or start as another user", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// closedTo returns the first directory on the way to dir, itself included,
// that the user may not enter, or "". What does not exist yet is open: we make
// it so.
func closedTo(who *syscall.Credential, dir string) string {
	if who == nil {
		return ""
	}
	if parent := filepath.Dir(dir); parent != dir {
		if closed := closedTo(who, parent); closed != "" {
			return closed
		}
	}
	if info, err := os.Stat(dir); err == nil && !mayEnter(who, info) {
		return dir
	}
	return ""
}

// mayEnter applies the first of the three classes that fits, as the kernel
// does.
func mayEnter(who *syscall.Credential, info fs.FileInfo) bool {
	bit := fs.FileMode(0o001)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case owner.Uid == who.Uid:
			bit = 0o100
		case owner.Gid == who.Gid:
			bit = 0o010
		}
	}
	return info.Mode()&bit != 0
}

// giveTo makes the user the owner.
func giveTo(who *syscall.Credential, path string) error {
	if who == nil {
		return nil
	}
	return os.Chown(path, int(who.Uid), int(who.Gid))
}
