// Package usage measures what processes take: CPU time and memory, as the
// kernel counts them. It works on Linux; elsewhere its functions return
// ErrUnsupported.
package usage

import (
	"errors"
	"time"
)

// ErrUnsupported is returned where the system does not tell.
var ErrUnsupported = errors.New("what a process takes is only measured on Linux")

// Groups names processes whose time counts together, by their ids. The children
// of each count with it, those that have ended and were waited for among them,
// so the id of PostgreSQL's first process stands for the whole server.
type Groups map[string][]int

// Times is CPU time, user and system, by group.
type Times map[string]time.Duration

// Since is the time that has gone into each group since an earlier sample.
// Children that ended and were never waited for are missed.
func (t Times) Since(earlier Times) Times {
	out := Times{}
	for name, now := range t {
		out[name] = now - earlier[name]
	}
	return out
}

// Total is the time of all groups.
func (t Times) Total() (sum time.Duration) {
	for _, d := range t {
		sum += d
	}
	return sum
}

// Memory is what a process holds, in bytes of resident memory.
type Memory struct {
	Now  int64
	Peak int64 // since the process started
}
