package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// signalOnOurDeath makes the kernel send s to the child when the thread that
// starts it ends.
func signalOnOurDeath(attr *syscall.SysProcAttr, s syscall.Signal) { attr.Pdeathsig = s }

// commandLine returns the words a process was started with, or "" if it has
// ended. A zombie counts as ended: it may stay one for seconds where process 1
// is slow to reap, or for ever where it does not.
func commandLine(pid int) string {
	words, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(words, []byte{0}, []byte{' '})))
}

// childrenOf returns the children of a process, zombies among them.
func childrenOf(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // fails on a bad pattern only
	for _, path := range stats {
		if child, parent := readStat(path); parent == pid {
			children = append(children, child)
		}
	}
	return children
}

// readStat returns a process and its parent, or zeros if it has just ended.
func readStat(path string) (pid, parent int) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	// "pid (name) state parent …", where the name may hold spaces and brackets.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0, 0
	}
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent
}
