package savers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/savepoint-games/savepoint/events"
)

// A Kind says what an error of a save means for its events.
type Kind int

// The kinds of errors.
const (
	// KindBug is anything unknown. The event is tried alone, five times, and
	// then treated like a bad one.
	KindBug Kind = iota
	// KindBad means that this event can never be saved.
	KindBad
	// KindTransient says nothing about the events: the same batch will be
	// saved when the database is back. It is retried for ever.
	KindTransient
	// KindStuck means that this batch does not get through for now, and parts of
	// it may: somebody has locked a row, it takes longer than it may, a block
	// cannot be read. It is divided until the characters that it is stuck on are
	// alone. None of their events is bad: they are tried again for ever, where
	// they hold up nobody.
	KindStuck
)

var kindNames = [...]string{"bug", "bad event", "transient", "stuck"}

func (k Kind) String() string { return kindNames[k] }

// badEvent marks an error as the event's own fault.
type badEvent struct{ error }

func (e badEvent) Unwrap() error { return e.error }

// BadEvent marks err as the fault of an event: no retry will help. For savers.
func BadEvent(err error) error { return badEvent{err} }

// KindOf tells the kind of a save's error. It is the one place that knows
// PostgreSQL's error codes.
func KindOf(err error) Kind {
	var (
		bad    badEvent
		field  *events.FieldError
		server *pgconn.PgError
		dial   *pgconn.ConnectError
	)
	switch {
	case errors.As(err, &dial):
		return KindTransient // whatever its code: no event had been sent
	case errors.As(err, &bad), errors.As(err, &field):
		return KindBad
	case errors.As(err, &server) && takesNoWrites(server):
		return KindTransient
	case errors.As(err, &server):
		return kindOfCode(server.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return KindStuck
	case isConnection(err):
		return KindTransient
	}
	return KindBug
}

// takesNoWrites reports whether the server refuses all writes until a vacuum, because it
// would run out of transaction ids. It says so by the code of a statement that is too
// large.
func takesNoWrites(err *pgconn.PgError) bool {
	return err.Routine == "GetNewTransactionId" || err.Routine == "GetNewMultiXactId"
}

// kindOfCode sorts SQLSTATE classes (PostgreSQL manual, appendix A). Errors
// that do not depend on the event are transient even where only a person can
// mend them (a missing table or permission, class 42 and 28): to retry loudly
// loses nothing, to bury every event would.
func kindOfCode(code string) Kind {
	switch code {
	case "25P04", "53200", "55P03", "57014", "58030", "58P01", "XX001", "XX002":
		// transaction timeout, out of memory, lock not available, statement timeout or
		// canceled, I/O error, a file that is gone (as of the status of a damaged row's
		// transaction), a corrupted block, a corrupted index: what the whole meets, parts
		// may not
		return KindStuck
	}
	switch class := code[:min(2, len(code))]; class {
	case "21", "22", "23", "44", "54", "P0":
		// what the statement itself does wrong, with these values: cardinality, data,
		// integrity constraint, check option, a limit of the program, a trigger's refusal
		return KindBad
	case "08", "0A", "25", "26", "28", "3D", "40", "42", "53", "55", "57", "58":
		// connection, a statement that was prepared for another schema, read-only
		// server, a prepared statement that is not there, authorization, no such
		// database, rollback (deadlock, serialization), missing object, out of
		// resources, lock not available, shutdown, I/O
		return KindTransient
	}
	return KindBug
}

// explained says what helps, where an error is known to have one cause.
func explained(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == "26000" || server.Code == "42P05") {
		return fmt.Errorf("%w; where a pooler shares sessions, add default_query_exec_mode=cache_describe to DATABASE_URL", err)
	}
	return err
}

// isCutOff reports whether the connection ended while a transaction was under way: the
// process of the server may have ended because of it, as one that runs out of memory.
func isCutOff(err error) bool {
	if _, dial := errors.AsType[*pgconn.ConnectError](err); dial {
		return false
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code == "57P01" || server.Code == "57P02" // shutdown, crash
	}
	return isConnection(err) && !errors.Is(err, context.Canceled)
}

func isConnection(err error) bool {
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) ||
		pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// goOn reports whether the sweep can go on after an error with one character: where a
// server is away, the others would fail, too. An error of the character's own, as of a
// row that somebody else wrote or on a block that cannot be read, must not keep all
// others from their turn.
func goOn(ctx context.Context, err error) bool {
	away, ok := errors.AsType[*events.UnavailableError](err)
	return ctx.Err() == nil && (!ok || isAnswer(away))
}

// isAnswer reports whether a server was there, and said that it cannot do what it was
// asked for: it may be able to do it for others.
func isAnswer(away *events.UnavailableError) bool {
	if away.What == events.PostgreSQL {
		return KindOf(away) != KindTransient && !errors.Is(away, context.DeadlineExceeded)
	}
	return away.Answered
}
