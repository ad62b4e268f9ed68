// Package intake is how savers draw events from the stream: one by one as they come, and
// a backlog together. It is the other side of package bus, which knows nothing of it. Its
// files, by subject:
//
//	intake    opens sources on a connection, and ends what they have begun
//	source    what savers draw from: reading (the standing request), delivery (a message
//	          in hand), released (one whose bytes were let go of), detached (one that is
//	          in hand for long)
//	catchup   how savers take a backlog together: source_catchup begins and ends it; lead
//	          and settle are the leader's, help the helpers', who send a report, which is
//	          noted on the board, in bitmaps
//	replay    stored events once more
package intake
