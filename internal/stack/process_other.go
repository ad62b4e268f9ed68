//go:build !linux

package stack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// signalOnOurDeath does nothing: only Linux has such a signal. Leftovers are
// ended by the next start in their directory.
func signalOnOurDeath(*syscall.SysProcAttr, syscall.Signal) {}

// commandLine returns the words a process was started with, or "" if it has
// ended. A zombie counts as ended.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	state, words, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(words)
}

// childrenOf returns the children of a process.
func childrenOf(pid int) []int {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output() // status 1 means none
	var children []int
	for word := range strings.FieldsSeq(string(out)) {
		if child, err := strconv.Atoi(word); err == nil {
			children = append(children, child)
		}
	}
	return children
}
