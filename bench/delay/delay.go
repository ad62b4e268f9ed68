// Package delay puts a distance between a program and a server on the same
// machine: a proxy that hands on each byte a fixed time after it came. It takes
// away no bandwidth and keeps connections apart: what comes later does not wait
// for what came before to be handed on, as it would behind a proxy that sleeps.
package delay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Proxy listens on a free loopback port and forwards to a target. It is safe
// for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	oneWay   time.Duration
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	closed bool
}

// Start forwards to target, an address as net.Dial takes it. A question and its
// answer are late by roundTrip together, half of it each way.
func Start(target string, roundTrip time.Duration) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("delay proxy to %s: %w", target, err)
	}
	p := &Proxy{listener: listener, target: target, oneWay: roundTrip / 2, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where programs connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends all connections and returns when nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close() // an end that is gone already is as good
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, or the client has gone again
			time.Sleep(acceptPause)
			continue
		}
		p.running.Go(func() { p.carry(client) })
	}
}

const (
	acceptPause = 10 * time.Millisecond
	dialTimeout = 5 * time.Second
)

// carry forwards one connection until both sides have ended.
func (p *Proxy) carry(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := net.DialTimeout("tcp", p.target, dialTimeout)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var answers sync.WaitGroup
	answers.Go(func() { p.pipe(client, server) })
	p.pipe(server, client)
	answers.Wait()
}

// keep lets Close end the connection. It reports whether the proxy is open.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// piece is bytes with the moment at which they are handed on.
type piece struct {
	bytes []byte
	due   time.Time
}

const (
	pieceSize = 64 << 10
	// onTheWay bounds what one direction of a connection has on the way, 256 MB:
	// at 50 ms more than any loopback carries meanwhile.
	onTheWay = 4096
)

// pipe hands on what src sends, late, and then its end. Where dst is gone it
// ends both, so that src learns of it.
func (p *Proxy) pipe(dst, src net.Conn) {
	line := make(chan piece, onTheWay)
	var delivering sync.WaitGroup
	delivering.Go(func() {
		if err := deliver(dst, line); err != nil {
			_ = src.Close()
			for range line { // lets the reader end
			}
		}
	})
	buf := make([]byte, pieceSize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			line <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(p.oneWay)}
		}
		if err != nil {
			break
		}
	}
	close(line)
	delivering.Wait()
}

// deliver writes each piece when it is due, and closes that direction of dst.
func deliver(dst net.Conn, line <-chan piece) error {
	for next := range line {
		time.Sleep(time.Until(next.due))
		if _, err := dst.Write(next.bytes); err != nil {
			return err
		}
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return io.ErrClosedPipe
}
