// Package doctor says what could be lost with the settings that Redis, NATS
// and PostgreSQL have now.
//
//	Read ── Settings ──┬─ Faults ── fault | hot | stream | cold
//	(asks, with a      └─ findings: what is set, what it risks, what to change
//	 deadline)
//
// Read talks to the servers; all that judges is a pure function of Settings.
// It changes nothing anywhere, and publishes nothing.
//
// The judgement rests on what an answer means. "hot": Redis has the change,
// with a dirty mark. "stream": JetStream has it, too. "cold": PostgreSQL has
// it. Until PostgreSQL has a change, Redis and JetStream have a copy each, and
// either finds its way to PostgreSQL alone: the mark by the sweeper, the event
// by a saver. So a change that was answered "stream" is lost only where both
// lose it.
package doctor
