package program

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Progress shows how far a long command is: on a terminal one line that is
// written over, elsewhere a line every five seconds.
type Progress struct {
	w        io.Writer
	terminal bool
	shown    time.Time
	width    int
}

const quietEvery = 5 * time.Second

// NewProgress shows progress on w.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{w: w}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// Show says how far it is now.
func (p *Progress) Show(line string) {
	if p.terminal {
		fmt.Fprintf(p.w, "\r%-*s", p.width, line)
		p.width = max(p.width, len(line))
		return
	}
	if time.Since(p.shown) >= quietEvery {
		fmt.Fprintln(p.w, line)
		p.shown = time.Now()
	}
}

// Done ends the line.
func (p *Progress) Done() {
	if p.terminal && p.width > 0 {
		fmt.Fprintln(p.w)
	}
}
