package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy is the network between some programs and one server: it listens on a
// loopback port, forwards to the target, and can be told to be a bad network.
// Each of Clear, Slow, Hang, OneWay, Cut and Tear ends the one before, for the
// connections that there are as well. But for Cut and Tear no byte of an open
// connection is ever lost: what was held goes on when it ends, as TCP does it.
//
// A program that connects is always accepted; where the target refuses, its
// connection is reset. A Proxy is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	weather  atomic.Pointer[weather]
	running  sync.WaitGroup // the accepting and the links

	mu     sync.Mutex // guards what follows; nobody copies under it
	target string
	links  map[*link]struct{}
	closed bool
}

// weather is what happens to bytes until the next weather begins.
type weather struct {
	flow        [2]flow // by direction
	cut         bool    // nobody comes in
	least, most time.Duration
	over        chan struct{} // closed when the next weather begins
}

// A direction is towards the target, or that of its answers.
type direction int

const (
	forth direction = iota
	back
)

// flow is what happens to the bytes of one direction.
type flow int

const (
	flowFree flow = iota
	flowSlow
	flowHeld
	flowTorn
)

// StartProxy listens on a free loopback port and forwards to target, an address
// as net.Dial takes it.
func StartProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", target, err)
	}
	p := &Proxy{listener: listener, target: target, links: make(map[*link]struct{})}
	p.weather.Store(&weather{over: make(chan struct{})})
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where programs connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Retarget sends the connections that are made from now on to another address.
// Those that there are stay where they are; Reset ends them.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Clear forwards everything.
func (p *Proxy) Clear() { p.change(&weather{}) }

// Slow delays what was sent by a random time from least to most, each way. What
// comes meanwhile waits in line.
func (p *Proxy) Slow(least, most time.Duration) {
	p.change(&weather{flow: [2]flow{flowSlow, flowSlow}, least: least, most: most})
}

// Hang keeps connections open, accepts new ones, and forwards nothing.
func (p *Proxy) Hang() { p.change(&weather{flow: [2]flow{flowHeld, flowHeld}}) }

// OneWay forwards requests and holds the answers.
func (p *Proxy) OneWay() { p.change(&weather{flow: [2]flow{forth: flowFree, back: flowHeld}}) }

// Tear ends each connection in the middle of a message, after a random number
// of bytes.
func (p *Proxy) Tear() { p.change(&weather{flow: [2]flow{flowTorn, flowTorn}}) }

// Cut resets all connections, and new ones as soon as they are made.
func (p *Proxy) Cut() {
	p.change(&weather{cut: true})
	p.Reset()
}

// Reset resets the connections that there are.
func (p *Proxy) Reset() {
	for _, l := range p.all() {
		l.reset()
	}
}

// Close ends all connections and returns when nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Reset()
	p.running.Wait()
	return err
}

func (p *Proxy) change(next *weather) {
	next.over = make(chan struct{})
	close(p.weather.Swap(next).over)
	for _, l := range p.all() {
		l.wake()
	}
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of files, or the client has gone again
			time.Sleep(acceptPause)
		default:
			p.admit(conn.(*net.TCPConn))
		}
	}
}

const acceptPause = 10 * time.Millisecond

// admit starts a link. The weather is looked at under the lock, so that a
// connection that is let in is seen by the Reset of a Cut.
func (p *Proxy) admit(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.weather.Load().cut {
		resetConn(client)
		return
	}
	l := &link{proxy: p, client: client}
	l.ctx, l.end = context.WithCancel(context.Background())
	p.links[l] = struct{}{}
	p.running.Go(l.run)
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) aim() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// link is one connection of a program and, once it is dialled, the one that
// goes on to the target.
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	ctx    context.Context // done when the link is broken
	end    context.CancelFunc
	// in is the weather that a direction works in: for a moment after a change
	// it is the one before.
	in [2]atomic.Pointer[weather]

	mu     sync.Mutex // guards server
	server *net.TCPConn
}

// dialTimeout bounds how long the way to the target may take.
const dialTimeout = 2 * time.Second

func (l *link) run() {
	defer l.proxy.forget(l)
	defer l.end()
	if !l.dial() {
		l.reset()
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() { l.carry(back, l.client, l.server) })
	l.carry(forth, l.server, l.client)
	answers.Wait()
	l.hangUp()
}

// dial makes the way to the target as soon as the weather lets requests through.
func (l *link) dial() bool {
	for w := l.proxy.weather.Load(); w.flow[forth] == flowHeld; w = l.proxy.weather.Load() {
		if !l.sleepOut(w) {
			return false
		}
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(l.ctx, "tcp", l.proxy.aim())
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = conn.(*net.TCPConn)
	return l.ctx.Err() == nil // broken meanwhile: reset has not seen this connection
}

// sleepOut waits until w is over. It reports whether the link is whole still.
func (l *link) sleepOut(w *weather) bool {
	select {
	case <-w.over:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// wake lets who waits for bytes look at the weather.
func (l *link) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	_ = l.client.SetReadDeadline(now)
	if l.server != nil {
		_ = l.server.SetReadDeadline(now)
	}
}

// reset breaks the link as a network does that forgot about it.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end() // under the lock: whose carrying this ends hangs up a link that is reset already
	resetConn(l.client)
	if l.server != nil {
		resetConn(l.server)
	}
}

// hangUp closes both ends as a program does that has ended.
func (l *link) hangUp() {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.client.Close()
	_ = l.server.Close()
}

func resetConn(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// carry takes bytes from src to dst, through all weathers, until src ends or
// the link breaks. An end is handed on, so that the other direction can finish.
func (l *link) carry(d direction, dst, src *net.TCPConn) {
	for {
		w := l.proxy.weather.Load()
		// In this order: who changes the weather does it before it wakes us, so
		// either the wake-up comes later or the change is seen here.
		_ = src.SetReadDeadline(time.Time{})
		if w != l.proxy.weather.Load() {
			continue
		}
		l.in[d].Store(w)
		var err error
		switch w.flow[d] {
		case flowFree:
			_, err = io.Copy(dst, src) // in the kernel: it splices
		case flowSlow:
			err = l.slowly(dst, src, w)
		case flowHeld:
			if !l.sleepOut(w) {
				return
			}
			continue
		case flowTorn:
			err = torn(dst, src)
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // woken
		case err == nil:
			_ = dst.CloseWrite()
			return
		case errors.Is(err, errTorn) && rand.IntN(2) == 0:
			l.hangUp()
			return
		default:
			l.reset()
			return
		}
	}
}

const chunk = 32 << 10

// slowly carries bytes in slow weather w. Like io.Copy it returns nil at the
// end of src.
func (l *link) slowly(dst, src *net.TCPConn, w *weather) error {
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			l.linger(w)
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// linger waits for as long as a message is late in weather w.
func (l *link) linger(w *weather) {
	timer := time.NewTimer(w.least + rand.N(w.most-w.least+1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.over:
	case <-l.ctx.Done():
	}
}

// errTorn is returned where a message was torn on purpose.
var errTorn = errors.New("torn")

// tornWithin bounds the bytes that a direction lives for, as a power of two:
// small numbers tear the handshakes, large ones batches.
const tornWithin = 14

// torn carries a random number of bytes, and never the end of what came last.
func torn(dst, src *net.TCPConn) error {
	left := 1 + rand.IntN(1<<(2+rand.IntN(tornWithin-1)))
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > left {
			_, _ = dst.Write(buf[:left])
			return errTorn
		}
		left -= n
		if _, err := dst.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
