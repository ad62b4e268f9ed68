// Package stack starts private PostgreSQL, Redis and NATS servers for
// development, tests and fault runs, and stops them again.
//
//	Start ─┬─ StartPostgres ─ child process, data in Dir/postgres
//	       ├─ StartRedis ──── child process, data in Dir/redis
//	       └─ StartNATS ───── inside this process, data in Dir/nats
//
// Everything listens on 127.0.0.1 only, without passwords: whoever has an
// account on the machine can reach it. That suits a developer's machine and
// nothing else.
//
// A server belongs to the process that started it. On Linux the kernel ends
// the children when that process dies, however it dies; elsewhere the next
// start in the same directory does. Data outlives both: fsync stays on, and a
// server started again in its directory finds what it had acknowledged, within
// what its own settings promise.
//
// The contexts given to the Start functions bound the start alone. Without a
// deadline they wait as long as the server needs, which for a PostgreSQL that
// recovers a long log may be minutes.
//
// The package knows servers, not what is stored in them: schema, streams and
// keys belong to others. It needs a Unix.
package stack
