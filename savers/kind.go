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
)

func (k Kind) String() string {
	return [...]string{"bug", "bad event", "transient"}[k]
}

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
	case errors.As(err, &server):
		return kindOfCode(server.Code)
	case isConnection(err):
		return KindTransient
	}
	return KindBug
}

// kindOfCode sorts SQLSTATE classes (PostgreSQL manual, appendix A). Errors
// that do not depend on the event are transient even where only a person can
// mend them (a missing table or permission, class 42 and 28): to retry loudly
// loses nothing, to bury every event would.
func kindOfCode(code string) Kind {
	switch class := code[:min(2, len(code))]; class {
	case "22", "23": // data exception, integrity constraint violation
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

func isConnection(err error) bool {
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}
