package bus

import "github.com/savepoint-games/savepoint/events"

// Names for those who look at the topology from outside.
const (
	StreamMirror    = "KV_" + BucketMirror // the stream under the bucket
	SubjectSchedule = scheduleSubject      // where the sweeper's schedule is armed
)

// ConsumerName is the durable consumer that the savers of a scope share.
func ConsumerName(scope events.Scope) string { return consumerName(scope) }
