package delay_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/delay"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// echo answers each connection with what it sent, until it ends.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		must(t, listener.Close())
		running.Wait()
	})
	return listener.Addr().String()
}

func open(t *testing.T, roundTrip time.Duration) func() *net.TCPConn {
	t.Helper()
	proxy, err := delay.Start(echo(t), roundTrip)
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	return func() *net.TCPConn {
		conn, err := net.Dial("tcp", proxy.Addr())
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn.(*net.TCPConn)
	}
}

// A question's answer never comes earlier than the round trip, however many are
// asked one after another.
func TestAnswersAreLate(t *testing.T) {
	t.Parallel()
	const roundTrip = 30 * time.Millisecond
	conn := open(t, roundTrip)()
	for range 5 {
		began := time.Now()
		_, err := conn.Write([]byte("ping"))
		must(t, err)
		_, err = io.ReadFull(conn, make([]byte, 4))
		must(t, err)
		if took := time.Since(began); took < roundTrip {
			t.Errorf("answered after %s, want at least %s", took, roundTrip)
		}
	}
}

// Bytes follow each other on the way: 16 MB are at least 256 pieces, and a proxy that
// handed on one before it took the next would need the delay for each, half a
// second: twice the deadline.
// Every byte comes back, and so does the end.
func TestLaterBytesDoNotWaitForEarlierOnes(t *testing.T) {
	t.Parallel()
	conn := open(t, time.Second)()
	sent := make([]byte, 16<<20)
	_, _ = rand.Read(sent)
	var writing sync.WaitGroup
	writing.Go(func() {
		_, err := conn.Write(sent)
		if err == nil {
			err = conn.CloseWrite()
		}
		if err != nil {
			t.Error(err)
		}
	})
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	got, err := io.ReadAll(conn)
	writing.Wait()
	must(t, err)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, want the %d that were sent", len(got), len(sent))
	}
}

// One connection that is full does not hold up another.
func TestConnectionsAreApart(t *testing.T) {
	t.Parallel()
	dial := open(t, 20*time.Millisecond)
	stuffed, other := dial(), dial()
	_, err := stuffed.Write(make([]byte, 1<<20)) // nobody reads the answer
	must(t, err)
	_, err = other.Write([]byte("ping"))
	must(t, err)
	must(t, other.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = io.ReadFull(other, make([]byte, 4))
	must(t, err)
}

func TestGoneTargetEndsTheConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	proxy, err := delay.Start(listener.Addr().String(), time.Millisecond)
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	conn, err := net.Dial("tcp", proxy.Addr())
	must(t, err)
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Logf("ended with %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
