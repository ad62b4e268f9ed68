package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// GiveWay lets other processes of the machine have its processors first. Linux
// keeps a priority for each thread; threads to come inherit it.
func GiveWay() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = syscall.Setpriority(syscall.PRIO_PROCESS, id, givenWay)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("priority of thread %s: %w", thread.Name(), err)
		}
	}
	return nil
}

// givenWay is a nice value: beside a busy process of usual priority, about a
// tenth of a processor is left.
const givenWay = 10
