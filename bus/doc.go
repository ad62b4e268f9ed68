// Package bus is the way of the events through NATS JetStream. It knows nothing of
// Redis or PostgreSQL. Its files, by subject:
//
//	conn       the connection
//	topology   streams, consumers, bucket and schedule as code; keep makes them again
//	publisher  what goes in; acks has the stream's answers, saves those of savers
//	source     what savers draw from: reading (the standing request), delivery (a
//	           message in hand), released (one whose bytes were let go of)
//	catchup    how savers take a backlog together: source_catchup begins and ends it;
//	           lead and settle are the leader's, help the helpers', who send a report,
//	           which is noted on the board, in bitmaps
//	replay     stored events once more
//	get, read  stored messages: one, or page by page; scan reads much of the stream
//	character  the events of one character; tail and ties are what joins ask for,
//	           history what verify does
//	settled    what savers have settled: unsettled, backlog; trim drops what is
//	mirror     the bucket of active contexts
//	deadletters, letters  putting events there, and looking after them
package bus
