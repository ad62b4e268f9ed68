package savers

import "github.com/nats-io/nats.go/jetstream"

// fetchBytes bounds what one fetch brings in, so that a saver's memory does not
// depend on what games put into their events.
const fetchBytes = 2 << 20

// fetchSize decides how many messages the next fetch asks for: as many as fit
// into fetchBytes, were they as large as the average of the last ones. It begins
// low, since nothing is known then, and doubles.
type fetchSize struct {
	most int // never more than this
	now  int
}

const firstFetch = 256

func (f *fetchSize) next() int {
	if f.now == 0 {
		f.now = min(firstFetch, f.most)
	}
	return f.now
}

// fetched is told what a fetch brought.
func (f *fetchSize) fetched(msgs []jetstream.Msg) {
	f.adapt(len(msgs), bytesOf(msgs))
}

func (f *fetchSize) adapt(count, bytes int) {
	if count == 0 {
		return
	}
	fit := max(1, fetchBytes/max(1, bytes/count))
	f.now = min(f.most, fit, 2*max(f.now, 1))
}
