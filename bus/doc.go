// Package bus is the way of the events through NATS JetStream. It knows nothing of
// Redis or PostgreSQL. How savers draw events from it is package intake. Its files, by
// subject:
//
//	conn       the connection
//	topology   streams, consumers, bucket and schedule as code, and the names of all
//	           consumers; keep makes them again
//	publisher  what goes in; acks has the stream's answers, saves those of savers
//	get, read  stored messages: one, or page by page; scan reads much of the stream
//	character  the events of one character; tail and ties are what joins ask for,
//	           history what verify does
//	settled    what savers have settled: unsettled, backlog; trim drops what is
//	mirror     the bucket of active contexts
//	deadletters, letters  putting events there, and looking after them
package bus
