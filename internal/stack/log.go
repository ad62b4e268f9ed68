package stack

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// A serverLog is the file a server prints to. Runs append to it; tail shows
// what the present one wrote.
type serverLog struct {
	*os.File
	from int64
}

func openLog(path string) (*serverLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &serverLog{file, info.Size()}, nil
}

// and returns a writer to the file and, unless it is nil, to w. The file alone
// is handed to the child as it is, which saves a goroutine.
func (l *serverLog) and(w io.Writer) io.Writer {
	if w == nil {
		return l.File
	}
	return io.MultiWriter(l.File, w)
}

// tailBytes holds the last words of a server that cannot start: a dozen lines.
const tailBytes = 2000

// explain adds the end of the log to the reason why a server did not start.
func (l *serverLog) explain(name string, cause error) error {
	return fmt.Errorf("start %s: %w; the end of %s:\n%s", name, cause, l.Name(), l.tail())
}

func (l *serverLog) tail() string {
	file, err := os.Open(l.Name())
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(l.from, info.Size()-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
