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

// callIn is call with memory for the command. When the reply has no error, nothing refers
// to room, keys or argv any more.
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

// send runs a function on a server that should know it. On a single server calls are
// gathered; on a cluster a node that is away would hold up calls to the others.
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

// once is a command that is not sent again when its reply is lost. A cluster client would
// send it again whatever MaxRetries says: a commit that was sent twice met its own
// version, so it was decided and carried out a second time. Redirections are followed.
type once struct{ *redis.Cmd }

// NoRetry is asked by the client.
func (once) NoRetry() bool { return true }

// command returns a call that is not sent yet, in room if that is large enough. It refers
// to the texts by pointers, because boxing each would cost an allocation.
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
