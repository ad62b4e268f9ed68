package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are chosen below the range that the system takes for the near ends of
// outgoing connections (from 32768 on Linux): one of those may otherwise sit on
// a port between our look and the server's.
const (
	lowestPort  = 15000
	highestPort = 32000
	portTries   = 1000
)

// FreeAddrs returns n different addresses on 127.0.0.1 that nobody listens on.
func FreeAddrs(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	listeners := make([]net.Listener, 0, n)
	var errs error
	// All are held until the last is chosen: one that was let go may come again.
	for range n {
		listener, err := listenSomewhere()
		if err != nil {
			errs = err
			break
		}
		listeners = append(listeners, listener)
		addrs = append(addrs, listener.Addr().String())
	}
	for _, listener := range listeners {
		errs = errors.Join(errs, listener.Close())
	}
	return addrs, errs
}

// freePort returns a port that nobody listens on at the moment.
func freePort() (int, error) {
	listener, err := listenSomewhere()
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func listenSomewhere() (net.Listener, error) {
	var last error
	for range portTries {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("find a free port: %w", last)
}
