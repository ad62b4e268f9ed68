package stack

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// postgresPlaces is where packages put PostgreSQL's programs when they do not
// put them on PATH: Debian, Homebrew, Red Hat.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/usr/pgsql-*/bin",
}

// postgresPrograms returns the directory of initdb and postgres: that of PATH,
// else the one of the highest version.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && isProgram(filepath.Join(filepath.Dir(path), "postgres")) {
			return filepath.Dir(path), nil
		}
	}
	var dirs []string
	for _, place := range postgresPlaces {
		found, _ := filepath.Glob(filepath.Join(place, "initdb")) // fails on a bad pattern only
		for _, path := range found {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if len(dirs) == 0 {
		return "", errors.New("initdb of PostgreSQL not found: run `make deps`")
	}
	return slices.MaxFunc(dirs, func(a, b string) int { return cmp.Compare(versionIn(a), versionIn(b)) }), nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// versionIn returns the number in a path like /usr/lib/postgresql/15/bin.
func versionIn(path string) float64 {
	digits := func(r rune) bool { return (r < '0' || r > '9') && r != '.' }
	for _, word := range slices.Backward(strings.FieldsFunc(path, digits)) {
		if version, err := strconv.ParseFloat(word, 64); err == nil {
			return version
		}
	}
	return 0
}

// redisProgram returns the server and the name to start it under. Debian's
// redis-tools has no redis-server, and no service of that name either, but its
// redis-check-rdb is the same program and goes by how it is called.
func redisProgram() (path, argv0 string, err error) {
	if path, err = exec.LookPath("redis-server"); err == nil {
		return path, path, nil
	}
	if path, err = exec.LookPath("redis-check-rdb"); err == nil {
		return path, "redis-server", nil
	}
	return "", "", errors.New("redis-server not found: run `make deps`")
}
