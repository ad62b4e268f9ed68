package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// What may take from PostgreSQL what it had committed: an older copy of its
// files in its place, or nothing. The stream makes up for it by a replay.

// postgresMinute is an outage that is longer than any retry.
func postgresMinute(ctx context.Context, r *rig, _ *rand.Rand) error {
	return r.replacePostgres(ctx, func(string) error {
		pause(ctx, time.Minute)
		return nil
	})
}

func postgresBackup(ctx context.Context, r *rig, x *rand.Rand) error {
	if err := r.settleAll(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	backup := func(data string) string { return data + ".backup" }
	err := r.replacePostgres(ctx, func(data string) error {
		// As it is, with its owner: where we are root, that is PostgreSQL's own user.
		copying, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
		defer cancel()
		return command(copying, "cp", "-a", data, backup(data))
	})
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	pause(ctx, 2*time.Second+time.Duration(x.IntN(2000))*time.Millisecond)
	err = r.replacePostgres(ctx, func(data string) error {
		return errors.Join(os.RemoveAll(data), os.Rename(backup(data), data))
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return r.replay(ctx)
}

// postgresEmpty needs the whole stream: after a fault that took some of it, it
// does nothing.
func postgresEmpty(ctx context.Context, r *rig, _ *rand.Rand) error {
	if r.streamLost.Load() {
		return nil
	}
	if err := r.settleAll(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := r.replacePostgres(ctx, os.RemoveAll); err != nil {
		return err
	}
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	if out, err := r.saver(mending, "migrate"); err != nil {
		return fmt.Errorf("saver migrate: %w: %s", err, out)
	}
	return r.replay(ctx)
}

// replacePostgres stops PostgreSQL, has something done to its data, and starts
// it again, also where that failed.
func (r *rig) replacePostgres(ctx context.Context, meanwhile func(data string) error) error {
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if err := r.postgres.Stop(mending); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	done := meanwhile(filepath.Join(r.postgres.Dir(), "data"))
	server, err := stack.StartPostgres(mending, r.postgres.Config())
	if err == nil {
		r.postgres = server
	}
	return errors.Join(done, err)
}

// replayPatience bounds a replay with all that other faults do to it.
const replayPatience = 2 * time.Minute

// replay is what an operator does after a restore, while the game goes on. One
// that ended because a server was away goes on under its name.
func (r *rig) replay(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayPatience)
	defer cancel()
	args := []string{"replay", "--name", "chaos", "--fresh"}
	for {
		out, err := r.saver(ctx, args...)
		if err == nil {
			return nil
		}
		if !strings.Contains(out, "not available") || ctx.Err() != nil {
			return fmt.Errorf("saver replay: %w: %s", err, out)
		}
		args = args[:3]
		pause(ctx, retryPause)
	}
}

// saver runs a command of the program saver and returns what it printed.
func (r *rig) saver(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "saver"), args...)
	cmd.Env = append(os.Environ(), r.urls()...)
	out, err := cmd.CombinedOutput()
	fmt.Fprintf(r.log, "saver %v: %s\n", args, out)
	return string(out), err
}

// settleAll returns when everything that is answered so far is saved, and when
// Redis has a sound copy of each character: one that it had lost would be
// joined with a PostgreSQL that lacks what it should have.
func (r *rig) settleAll(ctx context.Context) error {
	if err := r.awaitSaved(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	chars, err := r.savedCharacters(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, char := range chars {
		for {
			_, err := readHot(ctx, http.DefaultClient, r.gateways[0].addr, char)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return nil
			}
			if !errors.Is(err, errNotNow) {
				return err
			}
			pause(ctx, retryPause)
		}
	}
	return nil
}

func (r *rig) savedCharacters(ctx context.Context) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.postgres.URL())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `
		SELECT char_id FROM character_vitals UNION SELECT char_id FROM character_progress
		UNION SELECT char_id FROM items UNION SELECT char_id FROM scenario_progress`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
