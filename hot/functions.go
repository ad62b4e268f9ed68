package hot

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What has to happen in one step is a Redis Function. Each is a file in lua; all
// are one library, whose name carries a hash of its source: gateways and savers
// of several releases may work side by side.

//go:embed lua
var luaFiles embed.FS

// A function is the name of one, without that of its library.
type function string

const (
	fnCommit   function = "commit"
	fnClear    function = "clear"
	fnEvict    function = "evict"
	fnComplete function = "complete"
	fnBorn     function = "born"
	fnRun      function = "run"
)

var functions = []function{fnCommit, fnClear, fnEvict, fnComplete, fnBorn, fnRun}

// library is the source of all functions, under a name of its own.
var libraryName, librarySource = library(luaSource)

func luaSource(name string) string {
	text, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(text)
}

func library(source func(name string) string) (name, text string) {
	var body strings.Builder
	body.WriteString(source("library"))
	for _, f := range functions {
		fmt.Fprintf(&body, "\nredis.register_function('NAME_%s', function(KEYS, ARGV)\n%s\nend)\n", f, source(string(f)))
	}
	hash := sha256.Sum256([]byte(body.String()))
	name = "savepoint_" + hex.EncodeToString(hash[:6])
	return name, "#!lua name=" + name + "\n" + strings.ReplaceAll(body.String(), "NAME_", name+"_")
}

// fullNames are what Redis knows the functions by, as arguments of a command.
var fullNames = func() map[function]any {
	names := make(map[function]any, len(functions))
	for _, f := range functions {
		names[f] = libraryName + "_" + string(f)
	}
	return names
}()

// isUnknown reports whether a server does not have the library: it is new, or was
// started without what it had. Then nothing was done.
func isUnknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Function not found")
}

// define gives all masters the library.
func (s *Store) define(ctx context.Context) error {
	define := func(ctx context.Context, server *redis.Client) error {
		err := server.FunctionLoad(ctx, librarySource).Err()
		if err != nil && strings.Contains(err.Error(), "already exists") {
			return nil
		}
		return err
	}
	var err error
	switch rdb := s.rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(ctx, define)
	case *redis.Client:
		err = define(ctx, rdb)
	}
	if err != nil {
		return fmt.Errorf("define the functions: %w", err)
	}
	return nil
}

// call runs a function.
func (s *Store) call(ctx context.Context, f function, keys []string, argv ...string) *redis.Cmd {
	return s.callIn(ctx, nil, f, keys, argv)
}

// callIn is call with room for the command. Where the reply has no error, nothing
// holds the texts or the room any more.
func (s *Store) callIn(ctx context.Context, room []any, f function, keys, argv []string) *redis.Cmd {
	reply := s.send(ctx, room, f, keys, argv)
	if !isUnknown(reply.Err()) {
		return reply
	}
	if err := s.define(ctx); err != nil {
		reply.SetErr(err)
		return reply
	}
	return s.send(ctx, nil, f, keys, argv)
}

// send runs a function on a server that should know it: together with others,
// where there is one server. On a cluster one that is away would hold up what
// others wait for.
func (s *Store) send(ctx context.Context, room []any, f function, keys, argv []string) *redis.Cmd {
	cmd := command(ctx, room, f, keys, argv)
	if s.gather == nil {
		_ = s.rdb.Process(ctx, once{cmd}) // the command has the error, too
		return cmd
	}
	if err := s.gather.Do(ctx, cmd, func() { _ = s.rdb.Process(ctx, cmd) }); err != nil {
		left := redis.NewCmd(ctx)
		left.SetErr(err)
		return left
	}
	return cmd
}

// once is a command that is not sent again where its reply is lost, as a client of a
// cluster does whatever MaxRetries says: a commit that was sent again found its own
// version, and was decided and carried out a second time. Redirections are followed.
type once struct{ *redis.Cmd }

// NoRetry is asked by the client.
func (once) NoRetry() bool { return true }

// command is a call that is not sent yet, in room if that is large enough. It points
// to the texts: to make a value of each costs an allocation.
func command(ctx context.Context, room []any, f function, keys, argv []string) *redis.Cmd {
	args := slices.Grow(room[:0], 3+len(keys)+len(argv))
	args = append(args, "fcall", fullNames[f], len(keys))
	for i := range keys {
		args = append(args, &keys[i])
	}
	for i := range argv {
		args = append(args, &argv[i])
	}
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// A call is one run of a function.
type call struct{ keys, argv []string }

// callEach runs a function once for each call, in one pipeline, and returns the
// replies. Where a server does not know it, all is run a second time: the
// function must be one that may run twice.
func (s *Store) callEach(ctx context.Context, f function, calls []call) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(calls))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, c := range calls {
			replies[i] = queue(ctx, p, f, c.keys, c.argv...)
		}
	})
	return replies, err
}

// queue adds one run of a function to a pipeline.
func queue(ctx context.Context, p redis.Pipeliner, f function, keys []string, argv ...string) *redis.Cmd {
	cmd := command(ctx, nil, f, keys, argv)
	_ = p.Process(ctx, cmd)
	return cmd
}

// pipelined sends what fill queues, and once more where a server did not know the
// functions: fill, and what it queues, must be safe to repeat. The error is the first
// one that is not redis.Nil.
func (s *Store) pipelined(ctx context.Context, fill func(redis.Pipeliner)) error {
	return s.sendAll(ctx, s.rdb.Pipelined, fill)
}

// transaction is pipelined where nothing may happen in between.
func (s *Store) transaction(ctx context.Context, fill func(redis.Pipeliner)) error {
	return s.sendAll(ctx, s.rdb.TxPipelined, fill)
}

// A sender sends what a function queues, and returns that.
type sender func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)

func (s *Store) sendAll(ctx context.Context, send sender, fill func(redis.Pipeliner)) error {
	filled := func(p redis.Pipeliner) error {
		fill(p)
		return nil
	}
	queued, err := send(ctx, filled)
	if slices.ContainsFunc(queued, func(cmd redis.Cmder) bool { return isUnknown(cmd.Err()) }) {
		if err := s.define(ctx); err != nil {
			return err
		}
		queued, err = send(ctx, filled)
	}
	if !errors.Is(err, redis.Nil) {
		return err
	}
	// It is the error of the first command that has one. On a cluster, behind the nil of
	// one server may stand that another is away.
	for _, cmd := range queued {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}
