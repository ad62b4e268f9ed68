package hot

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

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
