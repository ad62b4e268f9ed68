package usage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the times in /proc: USER_HZ, 100 on every Linux that Go
// runs on.
const tick = time.Second / 100

// Sample reads the CPU time that the groups have taken so far. A process that
// is gone is an error.
func Sample(groups Groups) (Times, error) {
	procs, err := processes()
	if err != nil {
		return nil, err
	}
	out := Times{}
	for name, pids := range groups {
		for _, pid := range pids {
			root, ok := procs[pid]
			if !ok {
				return nil, fmt.Errorf("cpu time of %s: process %d has ended", name, pid)
			}
			out[name] += root.cpu + childrenTime(procs, pid)
		}
	}
	return out, nil
}

// process is one line of /proc/<pid>/stat. cpu includes the children that have
// ended and were waited for.
type process struct {
	parent int
	cpu    time.Duration
}

func processes() (map[int]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	procs := make(map[int]process, len(paths))
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if procs[pid], err = parseStat(stat); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return procs, nil
}

// parseStat reads "pid (name) state parent …", where the name may hold spaces
// and brackets. See proc(5) for the positions.
func parseStat(stat []byte) (p process, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const parent, utime, cstime = 1, 11, 14
	if len(fields) <= cstime {
		return p, fmt.Errorf("%d fields in %q", len(fields), stat)
	}
	if p.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return p, err
	}
	for _, field := range fields[utime : cstime+1] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return p, err
		}
		p.cpu += time.Duration(ticks) * tick
	}
	return p, nil
}

func childrenTime(procs map[int]process, parent int) (sum time.Duration) {
	for pid, p := range procs {
		if p.parent == parent {
			sum += p.cpu + childrenTime(procs, pid)
		}
	}
	return sum
}

// MemoryOf reads the memory of one process.
func MemoryOf(pid int) (m Memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"VmRSS": &m.Now, "VmHWM": &m.Peak}[name]
		if to == nil {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		*to = kilobytes << 10
	}
	return m, nil
}
