package program

import (
	"os"
	"runtime/debug"
)

// garbage is how much may gather, in percent of what is in use, before it is
// collected. What these programs hold is small against what passes through them;
// Go's own 100 makes a saver collect a hundred times a second, for a tenth of its
// time.
const garbage = 400

// TuneGC lets garbage gather, up to limit bytes of memory in all; 0 for no
// limit. GOGC and GOMEMLIMIT in the environment have the last word.
func TuneGC(limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if os.Getenv("GOMEMLIMIT") == "" && limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}
