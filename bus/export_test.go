package bus

import "time"

// SetAnswerMemory changes how far back answers are looked up, from now on.
func (b *Bus) SetAnswerMemory(d time.Duration) {
	b.tail.memory = d
	b.tail.set(begin{})
}
