package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// tearing loses the reply to the next commit, when armed: the connection ends after the
// server has carried it out.
type tearing struct {
	armed *atomic.Bool
	torn  *atomic.Int64
}

func (h tearing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tornConn{Conn: conn, h: h}, nil
	}
}
func (h tearing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h tearing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

type tornConn struct {
	net.Conn
	h    tearing
	tear bool
}

func (c *tornConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("_commit\r\n")) && c.h.armed.CompareAndSwap(true, false) {
		c.tear = true
	}
	return c.Conn.Write(b)
}

func (c *tornConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.tear {
		c.h.torn.Add(1)
		_ = c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

// A commit whose reply was lost is not sent again: it would find its own version, be
// decided anew and happen twice.
func TestCommitIsSentOnce(t *testing.T) {
	for name, hook := range map[string]func(t *testing.T, h tearing) *system{
		"single": func(t *testing.T, h tearing) *system {
			s := newSystem(t)
			s.hot.Client().(*redis.Client).AddHook(h)
			return s
		},
		"cluster": func(t *testing.T, h tearing) *system {
			s := newSystemOn(t, stacktest.OwnRedisCluster(t).URL())
			s.hot.Client().(*redis.ClusterClient).OnNewNode(func(node *redis.Client) { node.AddHook(h) })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := tearing{new(atomic.Bool), new(atomic.Int64)}
			s := hook(t, h)
			give := func() error {
				_, err := s.service().ChangeItems(t.Context(), 42, []game.ItemDelta{{ItemID: "gem", Delta: 1}}, gateway.Options{})
				return err
			}
			s.must(give())
			h.armed.Store(true)

			err := give()

			if !events.IsUnavailable(err) || h.torn.Load() != 1 {
				t.Errorf("got %v and %d lost replies, want an UnavailableError and one", err, h.torn.Load())
			}
			l, err := s.hot.Load(t.Context(), 42, game.Everything)
			s.must(err)
			if n := l.Items["gem"].Quantity; n != 2 {
				t.Errorf("%d gems after two requests of one each", n)
			}
		})
	}
}
