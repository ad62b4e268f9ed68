package workload

import (
	"container/heap"
	"iter"
	"math/rand/v2"

	"github.com/savepoint-games/savepoint/events"
)

// Disorder is what may happen to events between a gateway and a saver: a gateway
// that hears no ack publishes once more, and another one may be faster. The zero
// value leaves them as they are.
type Disorder struct {
	// Again is the share of events that are delivered a second time, 0 to 1.
	Again float64
	// Within is how many events may overtake one, or lie between its two
	// deliveries. With 0, a second delivery follows the first at once.
	Within int
}

// Deliver yields the events of Generate in the order in which they arrive, the
// same for the same seed. It holds up to twice Within of them back.
func Deliver(c Config) iter.Seq[events.StateChanged] {
	happened, d := Generate(c), c.Disorder
	if d == (Disorder{}) {
		return happened
	}
	return func(yield func(events.StateChanged) bool) {
		random := rand.New(rand.NewPCG(c.Seed, 0xa4a1))
		var under underWay
		n := 0
		send := func(e *events.StateChanged) {
			heap.Push(&under, delivery{due: n + random.IntN(d.Within+1), sent: n, event: *e})
		}
		for e := range happened {
			send(&e)
			if random.Float64() < d.Again {
				send(&e)
			}
			for len(under) > 0 && under[0].due <= n {
				if !yield(heap.Pop(&under).(delivery).event) {
					return
				}
			}
			n++
		}
		for len(under) > 0 {
			if !yield(heap.Pop(&under).(delivery).event) {
				return
			}
		}
	}
}

// delivery is an event that was sent as the sent-th and arrives after the due-th.
type delivery struct {
	due, sent int
	event     events.StateChanged
}

// underWay is a heap of deliveries, the next to arrive first.
type underWay []delivery

func (u underWay) Len() int { return len(u) }
func (u underWay) Less(i, j int) bool {
	if u[i].due != u[j].due {
		return u[i].due < u[j].due
	}
	return u[i].sent < u[j].sent
}
func (u underWay) Swap(i, j int) { u[i], u[j] = u[j], u[i] }
func (u *underWay) Push(d any)   { *u = append(*u, d.(delivery)) }
func (u *underWay) Pop() any {
	last := len(*u) - 1
	d := (*u)[last]
	*u = (*u)[:last]
	return d
}
