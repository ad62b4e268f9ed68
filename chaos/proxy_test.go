package chaos

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that says back what it hears, with its own name before it.
type echo struct {
	addr  string
	heard chan []byte // all of one connection, when it has ended
}

func startEcho(t *testing.T, name string) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	e := &echo{addr: listener.Addr().String(), heard: make(chan []byte, 10_000)}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { e.serve(conn, name) })
		}
	})
	return e
}

func (e *echo) serve(conn net.Conn, name string) {
	defer func() { _ = conn.Close() }()
	var heard bytes.Buffer
	defer func() { e.heard <- heard.Bytes() }()
	if _, err := io.WriteString(conn, name); err == nil {
		_, _ = io.Copy(conn, io.TeeReader(conn, &heard))
	}
}

func startProxy(t *testing.T, e *echo) *Proxy {
	t.Helper()
	p, err := StartProxy(e.addr)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// dial connects to addr. What it does not get in a minute never comes.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q (%v), want %q", got[:n], err, want)
	}
}

// silent wants nothing to come. Where something does, it is nearly always there
// within this time; where nothing does, no time is too short.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if n, err := conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came (%v), want silence", n, err)
	}
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
}

// broken reads what is left of a connection that ends, and wants an end that no
// program asked for.
func broken(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	got, err := io.ReadAll(conn)
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the connection ended with %v, want a reset", err)
	}
	return got
}

// refused wants a new connection to be reset, before it is made or after.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	if got := broken(t, conn); len(got) > 0 {
		t.Errorf("a new connection heard %q", got)
	}
}

// settled waits until open connections are in the weather that is on.
func settled(t *testing.T, p *Proxy) {
	t.Helper()
	eventually(t, "all connections are in the weather", func() bool {
		return !slices.ContainsFunc(p.all(), func(l *link) bool {
			w := p.weather.Load()
			return l.in[forth].Load() != w || l.in[back].Load() != w
		})
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never comes: ", what)
		}
	}
}

func TestProxyForwardsBothWaysAndTheEnd(t *testing.T) {
	t.Parallel()
	e := startEcho(t, "a")
	conn := dial(t, startProxy(t, e).Addr())
	sent := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(sent)
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()

	got, err := io.ReadAll(conn)

	if err != nil || !bytes.Equal(got, append([]byte("a"), sent...)) {
		t.Errorf("%d bytes came back (%v), want the %d that were sent", len(got), err, len(sent)+1)
	}
}

// No weather but Cut and Tear loses, doubles or reorders a byte, however often
// it changes on open connections.
func TestOpenConnectionsKeepTheirBytesThroughTheWeather(t *testing.T) {
	t.Parallel()
	const conns, size = 8, 4 << 20
	p := startProxy(t, startEcho(t, "a"))
	stop := make(chan struct{})
	changes := 0
	var changing, talking sync.WaitGroup
	changing.Go(func() {
		weathers := []func(){p.Clear, func() { p.Slow(0, time.Millisecond) }, p.Clear, p.Hang, p.OneWay}
		for {
			select {
			case <-stop:
				p.Clear()
				return
			case <-time.After(time.Millisecond):
				weathers[changes%len(weathers)]()
				changes++
			}
		}
	})
	for n := range conns {
		conn := dial(t, p.Addr())
		sent := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(sent)
		talking.Go(func() {
			_, _ = conn.Write(sent)
			_ = conn.CloseWrite()
		})
		talking.Go(func() {
			if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, append([]byte("a"), sent...)) {
				t.Errorf("%d bytes came back (%v), want the %d that were sent", len(got), err, size+1)
			}
		})
	}
	talking.Wait()
	close(stop)
	changing.Wait()
	t.Logf("%d changes", changes)
}

func TestSlowIsLateEachWay(t *testing.T) {
	t.Parallel()
	const least = 20 * time.Millisecond
	p := startProxy(t, startEcho(t, "a"))
	conn := dial(t, p.Addr())
	hear(t, conn, "a")
	p.Slow(least, 2*least)
	settled(t, p)

	began := time.Now()
	say(t, conn, "hello")
	hear(t, conn, "hello")

	if took := time.Since(began); took < 2*least {
		t.Errorf("there and back in %v, want %v at least", took, 2*least)
	}
}

func TestHangForwardsNothingAndGoesOn(t *testing.T) {
	t.Parallel()
	e, other := startEcho(t, "a"), startEcho(t, "b")
	p := startProxy(t, e)
	kept, dropped := dial(t, p.Addr()), dial(t, p.Addr())
	hear(t, kept, "a")
	hear(t, dropped, "a")

	p.Hang()
	say(t, kept, "hello")
	say(t, dropped, "nobody hears this")
	late := dial(t, p.Addr())
	say(t, late, "late")
	must(t, dropped.SetLinger(0))
	must(t, dropped.Close())

	// Had the late one gone on, it would be at the first.
	p.Retarget(other.addr)
	p.Clear()
	hear(t, kept, "hello")
	hear(t, late, "blate")
}

// What hangs when a network forgets its connections never arrives.
func TestResetWhileHangingLosesWhatHangs(t *testing.T) {
	t.Parallel()
	e := startEcho(t, "a")
	p := startProxy(t, e)
	conn := dial(t, p.Addr())
	hear(t, conn, "a")
	say(t, conn, "first")
	hear(t, conn, "first")

	p.Hang()
	settled(t, p)
	say(t, conn, "second")
	silent(t, conn)
	p.Reset()

	broken(t, conn)
	if heard := <-e.heard; string(heard) != "first" {
		t.Errorf("the server heard %q, want the first message alone", heard)
	}
}

func TestOneWayHoldsAnswers(t *testing.T) {
	t.Parallel()
	e := startEcho(t, "a")
	p := startProxy(t, e)
	kept, lost := dial(t, p.Addr()), dial(t, p.Addr())
	hear(t, kept, "a")
	hear(t, lost, "a")

	p.OneWay()
	settled(t, p)
	say(t, lost, "hello")
	must(t, lost.CloseWrite())
	// The server has heard it all, and answered before.
	if heard := <-e.heard; string(heard) != "hello" {
		t.Errorf("the server heard %q, want the request", heard)
	}
	silent(t, lost)
	for _, l := range p.all() {
		if l.client.RemoteAddr().String() == lost.LocalAddr().String() {
			l.reset()
		}
	}
	if got := broken(t, lost); len(got) > 0 {
		t.Errorf("an answer came: %q", got)
	}
	say(t, kept, "hello")
	p.Clear()
	hear(t, kept, "hello")
}

func TestCutResetsOldAndNew(t *testing.T) {
	t.Parallel()
	p := startProxy(t, startEcho(t, "a"))
	old := dial(t, p.Addr())
	hear(t, old, "a")

	p.Cut()
	broken(t, old)
	refused(t, p)

	p.Clear()
	hear(t, dial(t, p.Addr()), "a")
}

func TestTearEndsInTheMiddleOfAMessage(t *testing.T) {
	t.Parallel()
	e := startEcho(t, "a")
	p := startProxy(t, e)
	// Longer than any torn connection lives.
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<tornWithin/16*2)
	lengths := make(map[int]bool)
	for range 30 {
		conn := dial(t, p.Addr())
		hear(t, conn, "a")
		p.Tear()
		settled(t, p)
		_, _ = conn.Write(sent)
		_, _ = io.Copy(io.Discard, conn) // returns: the connection ends
		heard := <-e.heard
		if len(heard) >= len(sent) || !bytes.HasPrefix(sent, heard) {
			t.Errorf("the server heard %d bytes, want the first ones and less than %d", len(heard), len(sent))
		}
		lengths[len(heard)] = true
		p.Clear()
	}
	if len(lengths) < 3 {
		t.Errorf("connections were torn after %v bytes, want random numbers", lengths)
	}
}

func TestRetargetIsForNewConnections(t *testing.T) {
	t.Parallel()
	first, second := startEcho(t, "a"), startEcho(t, "b")
	p := startProxy(t, first)
	old := dial(t, p.Addr())
	hear(t, old, "a")

	p.Retarget(second.addr)

	hear(t, dial(t, p.Addr()), "b")
	say(t, old, "still here")
	hear(t, old, "still here")
}

// A target that refuses is seen as a reset.
func TestTargetThatIsAway(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, nobody.Close())
	p := startProxy(t, &echo{addr: nobody.Addr().String()})

	refused(t, p)
}

// Thousands of connections come and go, in any weather; when they have gone
// nothing of them is left, and Close waits for those that have not.
func TestNothingIsLeftOfConnections(t *testing.T) {
	t.Parallel()
	const conns = 2000
	e := startEcho(t, "a")
	p := startProxy(t, e)
	weathers := []func(){p.Clear, p.Hang, p.Cut, p.Tear, p.OneWay, func() { p.Slow(0, time.Millisecond) }}
	for i := range conns {
		if i%20 == 0 {
			weathers[i/20%len(weathers)]()
		}
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			continue // cut
		}
		_, _ = io.WriteString(conn, "hello")
		if i%2 == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
	p.Clear()
	eventually(t, "no link is left of connections that have gone", func() bool { return len(p.all()) == 0 })

	open := dial(t, p.Addr())
	hear(t, open, "a")
	p.Hang()
	must(t, p.Close())
	broken(t, open)
	if left := len(p.all()); left > 0 {
		t.Errorf("%d links are left after Close", left)
	}
}
