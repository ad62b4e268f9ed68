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
			err = giveWay(id)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("priority of thread %s: %w", thread.Name(), err)
		}
	}
	return nil
}

// giveWay leaves a thread alone that was started to give way more.
func giveWay(thread int) error {
	have, err := syscall.Getpriority(syscall.PRIO_PROCESS, thread)
	if err != nil || 20-have >= givenWay { // the kernel answers with 20 less the nice value
		return err
	}
	return syscall.Setpriority(syscall.PRIO_PROCESS, thread, givenWay)
}

// givenWay is a nice value: beside a busy process of usual priority, about a
// tenth of a processor is left.
const givenWay = 10
