//go:build !linux

package usage

// Sample returns ErrUnsupported.
func Sample(Groups) (Times, error) { return nil, ErrUnsupported }

// MemoryOf returns ErrUnsupported.
func MemoryOf(int) (Memory, error) { return Memory{}, ErrUnsupported }
