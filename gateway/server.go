package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/events"
)

const (
	// silence is how long a connection may be idle, between two requests or before the
	// first: load balancers open connections in advance.
	silence      = 2 * time.Minute
	writeTimeout = 30 * time.Second
	// mostHeaders bounds the first line and the headers of a request, in bytes. Each
	// connection has a buffer of that size.
	mostHeaders = 8 << 10
	// mostRead is the largest body that is read into memory, in bytes. The rest of a
	// larger one is dropped.
	mostRead     = 4 * events.MaxBytes
	drainTimeout = 10 * time.Second
)

// Serve answers requests by h, on the connections of listener, until ctx is done;
// then it lets those under way finish, for at most 10 s, and returns.
func Serve(ctx context.Context, listener net.Listener, log *slog.Logger, h fasthttp.RequestHandler) error {
	server := &fasthttp.Server{
		Handler: h, ErrorHandler: unreadable, Logger: quietly{log},
		ReadTimeout: silence, IdleTimeout: silence, WriteTimeout: writeTimeout,
		ReadBufferSize: mostHeaders, MaxRequestBodySize: mostRead,
		NoDefaultServerHeader: true, DisablePreParseMultipartForm: true, CloseOnShutdown: true,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := server.ShutdownWithContext(drain)
		_ = listener.Close() // the server does not know it before Serve has begun
		stopped <- err
	})
	err := server.Serve(lingerers{listener})
	if !stop() {
		return <-stopped
	}
	return fmt.Errorf("serve %s: %w", listener.Addr(), err)
}

// unreadable answers what is not a request, or a request that is too large. The
// connection ends.
func unreadable(r *fasthttp.RequestCtx, err error) {
	var (
		small   *fasthttp.ErrSmallBuffer
		network net.Error
	)
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		if conn, ok := r.Conn().(*lingering); ok {
			conn.unread.Store(true)
		}
		writeProblem(r, newProblem(&events.FieldError{Err: events.ErrTooLarge}))
	case errors.As(err, &small):
		writeProblem(r, plainProblem(fasthttp.StatusRequestHeaderFieldsTooLarge, fmt.Errorf("the headers are over %d bytes", mostHeaders)))
	case errors.As(err, &network) && network.Timeout():
		writeProblem(r, plainProblem(fasthttp.StatusRequestTimeout, fmt.Errorf("the request did not come within %v", silence)))
	default:
		writeProblem(r, plainProblem(fasthttp.StatusBadRequest, err))
	}
}

// quietly logs as debug what the server says about single connections: callers cause it.
type quietly struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (q quietly) Printf(format string, args ...any) { q.log.Debug(fmt.Sprintf(format, args...)) }
