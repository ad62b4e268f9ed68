package stack

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
)

// A natsHome is the directory of one NATS server, locked. The server itself
// does not keep a second one out.
type natsHome struct {
	dir  string
	lock *dirLock
	log  *natsLog
}

func openNATSHome(dir string) (*natsHome, error) {
	dir, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir, "NATS")
	if err != nil {
		return nil, err
	}
	file, err := openLog(filepath.Join(dir, "nats.log"))
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return &natsHome{dir, lock, newNATSLog(file.File)}, nil
}

func (h *natsHome) close() {
	_ = h.log.file.Close()
	_ = h.lock.release()
}

// A natsLog is the server's logger. The server's own ends the whole program
// over a taken port; this one remembers the reason, for the start to return.
type natsLog struct {
	file  *os.File
	lines *log.Logger

	mu   sync.Mutex
	last error // the last fatal one
}

func newNATSLog(file *os.File) *natsLog {
	return &natsLog{file: file, lines: log.New(file, "", log.LstdFlags|log.Lmicroseconds)}
}

func (l *natsLog) Noticef(format string, v ...any) { l.lines.Printf("[INF] "+format, v...) }
func (l *natsLog) Warnf(format string, v ...any)   { l.lines.Printf("[WRN] "+format, v...) }
func (l *natsLog) Errorf(format string, v ...any)  { l.lines.Printf("[ERR] "+format, v...) }
func (l *natsLog) Debugf(format string, v ...any)  { l.lines.Printf("[DBG] "+format, v...) }
func (l *natsLog) Tracef(format string, v ...any)  { l.lines.Printf("[TRC] "+format, v...) }

func (l *natsLog) Fatalf(format string, v ...any) {
	l.lines.Printf("[FTL] "+format, v...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, v...)
}

func (l *natsLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
