package program

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// GiveWay lets other processes of the machine have its processors first. Linux keeps a
// priority for each thread, and new threads inherit it. So GiveWay looks until all
// threads have it: one that did not yet may have started another meanwhile.
func GiveWay() error {
	for {
		changed, err := giveWayAll()
		if err != nil || !changed {
			return err
		}
	}
}

// giveWayAll reports whether a thread did not give way yet.
func giveWayAll() (changed bool, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return false, fmt.Errorf("thread %s: %w", thread.Name(), err)
		}
		one, err := giveWay(id)
		if err != nil && !errors.Is(err, syscall.ESRCH) { // that it has ended
			return false, fmt.Errorf("priority of thread %s: %w", thread.Name(), err)
		}
		changed = changed || one
	}
	return changed, nil
}

// giveWay leaves a thread alone that gives way as much already, or more.
func giveWay(thread int) (changed bool, err error) {
	have, err := syscall.Getpriority(syscall.PRIO_PROCESS, thread)
	if err != nil || 20-have >= givenWay { // the kernel answers with 20 less the nice value
		return false, err
	}
	return true, syscall.Setpriority(syscall.PRIO_PROCESS, thread, givenWay)
}

// givenWay is a nice value: beside a busy process of usual priority, about a
// tenth of a processor is left.
const givenWay = 10
