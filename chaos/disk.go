package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A disk that is full: a small file system in memory lies under a server's
// data, and a file takes what room the data leaves. It takes root to mount one;
// where that does not work, these faults do nothing and say so in the log.

// room is what a server has to start with, in bytes: PostgreSQL may begin a new
// file of its log, which has 16 MiB.
const room = 20 << 20

func natsDisk(ctx context.Context, r *rig, x *rand.Rand) error {
	r.streamLost.Store(true) // the sweeper may have to make room
	n := r.nats.any1(x)
	return r.fullDisk(ctx, "nats-disk", n.storage(), x,
		func(ctx context.Context, meanwhile func() error) error {
			if err := n.stop(ctx); err != nil {
				return err
			}
			return errors.Join(meanwhile(), n.start(ctx))
		})
}

func postgresDisk(ctx context.Context, r *rig, x *rand.Rand) error {
	return r.fullDisk(ctx, "postgres-disk", filepath.Join(r.postgres.Dir(), "data"), x,
		func(ctx context.Context, meanwhile func() error) error {
			return r.replacePostgres(ctx, func(string) error { return meanwhile() })
		})
}

// fullDisk puts dir on a small disk for 3 to 6 s. restarted stops the server,
// does what it is given, and starts the server again, as far as that is
// possible.
func (r *rig) fullDisk(
	ctx context.Context, name, dir string, x *rand.Rand,
	restarted func(context.Context, func() error) error,
) error {
	if !canMount() {
		r.skip(name, "mounting a small disk takes root")
		return nil
	}
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if err := restarted(mending, func() error { return shrink(mending, dir) }); err != nil {
		return errors.Join(fmt.Errorf("shrink the disk: %w", err), restarted(mending, func() error { return widen(mending, dir) }))
	}
	ballast := filepath.Join(dir, "chaos.ballast")
	if err := fill(ballast); err != nil {
		return errors.Join(err, restarted(mending, func() error { return widen(mending, dir) }))
	}
	pause(ctx, 3*time.Second+time.Duration(x.IntN(3000))*time.Millisecond)
	if err := os.Remove(ballast); err != nil {
		return err
	}
	pause(ctx, time.Second) // a server may go on by itself when there is room
	if err := restarted(mending, func() error { return widen(mending, dir) }); err != nil {
		return fmt.Errorf("widen the disk: %w", err)
	}
	return nil
}

// skip tells in the programs' log that a fault does nothing here.
func (r *rig) skip(name, why string) { fmt.Fprintf(r.log, "fault %s is skipped: %s\n", name, why) }

func canMount() bool {
	dir, err := os.MkdirTemp("", "chaos-mount")
	if err != nil || os.Geteuid() != 0 {
		return false
	}
	defer func() { _ = os.Remove(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if command(ctx, "mount", "-t", "tmpfs", "-o", "size=64k", "chaos", dir) != nil {
		return false
	}
	return command(ctx, "umount", dir) == nil
}

// shrink moves a directory onto a small disk. The files on the wide one go
// aside.
func shrink(ctx context.Context, dir string) error {
	used, err := sizeOf(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	wide := wideOf(dir)
	if err := errors.Join(os.Rename(dir, wide), os.Mkdir(dir, info.Mode().Perm())); err != nil {
		return err
	}
	if err := command(ctx, "mount", "-t", "tmpfs", "-o", "size="+strconv.FormatInt(used+room, 10), "chaos", dir); err != nil {
		return err
	}
	return command(ctx, "cp", "-a", wide+"/.", dir)
}

// fill makes a file that takes all the room that is left.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// widen moves a directory from its small disk back to the wide one.
func widen(ctx context.Context, dir string) error {
	wide := wideOf(dir)
	if err := os.RemoveAll(wide); err != nil {
		return err
	}
	if err := command(ctx, "cp", "-a", dir, wide); err != nil {
		return err
	}
	if err := command(ctx, "umount", dir); err != nil {
		return err
	}
	return errors.Join(os.Remove(dir), os.Rename(wide, dir))
}

func wideOf(dir string) string { return dir + ".wide" }

func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// sizeOf is what the files below dir take, in pages of memory.
func sizeOf(dir string) (total int64, err error) {
	const page = 4096
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += (info.Size() + page - 1) / page * page
		}
		return err
	})
	return total, err
}
