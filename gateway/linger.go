package gateway

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A lingering connection may be closed, after its answer, while the other side is still
// sending. The system would then reset it, and the other side's system would drop the
// answer. So Close waits until the other side has stopped sending.
type lingering struct {
	*net.TCPConn
	unread atomic.Bool
}

// How many bytes of a body that is too large are read and dropped, and for how long.
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
