package gateway

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A lingering connection may still bring what nobody will read, when it is closed after
// its answer. The system would tell the other side so, whose system then drops the answer.
// So its end waits until the other side has stopped to send.
type lingering struct {
	*net.TCPConn
	unread atomic.Bool
}

// Of a body that is too large so much is read and dropped, for so long.
const (
	mostDropped   = 64 << 20
	lingerTimeout = 2 * time.Second
)

// Close ends the connection.
func (c *lingering) Close() error {
	if c.unread.Load() && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTimeout)) == nil {
		_, _ = io.CopyN(io.Discard, c.TCPConn, mostDropped) // what cannot be read is dropped, too
	}
	return c.TCPConn.Close()
}

// lingerers are the connections of a listener.
type lingerers struct{ net.Listener }

// Accept returns the next one.
func (l lingerers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &lingering{TCPConn: tcp}, err
	}
	return conn, err
}
