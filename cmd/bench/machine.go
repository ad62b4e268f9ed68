package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/bench/rig"
)

// machine is what a table was measured on.
type machine struct {
	when   time.Time
	commit string   // short, with "-dirty" where the build had changes
	lines  []string // CPU, memory, versions
}

// describe starts the servers once to ask for their versions.
func describe(ctx context.Context, s settings) (m machine, err error) {
	m = machine{when: time.Now().UTC(), commit: commit(debug.ReadBuildInfo())}
	if m.commit == "" {
		m.commit = orUnknown(checkedOut(ctx, s.bin))
	}
	m.lines = []string{
		fmt.Sprintf("%d cores, %s", runtime.NumCPU(), orUnknown(field("/proc/cpuinfo", "model name"))),
		fmt.Sprintf("%s of memory", orUnknown(gigabytes(field("/proc/meminfo", "MemTotal")))),
		fmt.Sprintf("%s %s %s, %s", runtime.GOOS, orUnknown(firstLine("/proc/sys/kernel/osrelease")), runtime.GOARCH, runtime.Version()),
	}
	servers, err := rig.Start(ctx, rig.All(s.bin))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	versions, err := servers.Versions(ctx)
	m.lines = append(m.lines, strings.Join(versions, ", ")+", all on this machine")
	return m, err
}

// commit is what the program was built from, "" where the build did not note it.
func commit(info *debug.BuildInfo, ok bool) string {
	revision, dirty := "", ""
	if ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "-dirty"
			}
		}
	}
	if revision == "" {
		return ""
	}
	return revision[:min(9, len(revision))] + dirty
}

// checkedOut is the commit of the tree around a directory, "" without git.
func checkedOut(ctx context.Context, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--always", "--dirty", "--abbrev=9", "--exclude=*").Output()
	return strings.TrimSpace(string(out))
}

const gitTimeout = 5 * time.Second

// field is the first value of a name in a file of /proc, "" where there is none.
func field(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// gigabytes turns "24567890 kB" into "23.4 GiB".
func gigabytes(kilobytes string) string {
	n, err := strconv.ParseFloat(strings.TrimSuffix(kilobytes, " kB"), 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%.1f GiB", n/(1<<20))
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}
