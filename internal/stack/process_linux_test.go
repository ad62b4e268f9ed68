package stack_test

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/internal/stack"
)

func TestServersEndWithTheirProgram(t *testing.T) {
	t.Parallel()
	program, pids := startProgram(t, tempDir(t))

	kill(t, program)

	ctx := within(t)
	for _, pid := range pids {
		for stack.CommandLine(pid) != "" && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	checkGone(t, pids)
}
