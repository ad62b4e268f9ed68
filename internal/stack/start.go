package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// pollEvery is short against what PostgreSQL (50 ms) and Redis (12 ms)
	// need to start.
	pollEvery = 5 * time.Millisecond

	// retryFor bounds how long is waited for something that passes by itself, as a
	// lock of a program that ends.
	retryFor = 5 * time.Second

	// startFor bounds how long a start is tried again. See passing. On a busy machine
	// the last process of a killed PostgreSQL took more than twenty seconds to go, once.
	startFor = time.Minute

	// orphansLive is more than a new child of a killed PostgreSQL needs to let go
	// of the port, which it has inherited.
	orphansLive = time.Second

	// askFor bounds one question to a server, which may be a stranger on our
	// port that never answers.
	askFor = 2 * time.Second
)

// retryStart calls start until it succeeds or fails for good.
func retryStart[T any](ctx context.Context, start func() (T, error)) (T, error) {
	deadline := time.Now().Add(startFor)
	for {
		server, err := start()
		if err == nil || !passing(err) || time.Now().After(deadline) || !pause(ctx) {
			return server, err
		}
	}
}

// passing reports whether a failed start may succeed a moment later:
//
//   - Somebody took the port, be it a free one between our look and the
//     server's, or a given one as the near end of an outgoing connection.
//   - Processes of a killed PostgreSQL have not noticed its death.
func passing(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "address already in use") ||
		strings.Contains(text, "pre-existing shared memory block")
}

// portOr returns the port, or a free one for 0.
func portOr(port int) (int, error) {
	if port == 0 {
		return freePort()
	}
	return port, refuseTaken("127.0.0.1", port)
}

// refuseTaken spares the retries where waiting does not help: somebody listens
// on the port, and not only for as long as what a killed server had just forked.
func refuseTaken(host string, port int) error {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	for deadline := time.Now().Add(orphansLive); listens(addr); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			return fmt.Errorf("another program listens on %s: stop it, or choose another port", addr)
		}
	}
	return nil
}

func listens(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, askFor)
	if err != nil {
		return false
	}
	defer conn.Close()
	return conn.LocalAddr().String() != conn.RemoteAddr().String() // met itself, as the near end may be any port
}

// awaitAnswer asks until the server answers, ends, or ctx is done.
func awaitAnswer(ctx context.Context, p *Process, ask func(context.Context) error) error {
	for {
		err := askOnce(ctx, ask)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("it ended: %w", orClean(p.Err()))
		default:
		}
		if !pause(ctx) {
			return fmt.Errorf("%w; its last answer: %w", context.Cause(ctx), err)
		}
	}
}

func askOnce(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	return ask(ctx)
}

func orClean(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// pause waits a little, and reports false when ctx is done.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollEvery):
		return true
	}
}

// makeDir makes a directory and returns its one true name, by which a server
// of an earlier run can be recognised.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no directory given for the server's data")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return trueName(dir)
}
