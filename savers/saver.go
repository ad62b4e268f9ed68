// Package savers writes events to PostgreSQL: one worker loop for all scopes,
// and one saver a scope that knows its rows. It takes everything from the
// events, so the stream alone rebuilds the rows, and it knows nothing of how
// events are published.
package savers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// A Saver stores the events of one scope.
type Saver interface {
	// Scope is the scope whose events it stores.
	Scope() events.Scope
	// Save writes a batch inside an open transaction, which it neither commits
	// nor keeps. The batch may hold the same event twice, events that are saved
	// already, and several of one row in any order: the rows must end the same.
	// It must not look anywhere but into the events and the transaction.
	Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error
}

// An AfterCommitter is a Saver with something to do when a batch is committed
// and acknowledged. It may be called twice for a batch, or never: what it does
// must be found and done again by somebody else, as cleanup does.
type AfterCommitter interface {
	AfterCommit(ctx context.Context, batch []events.StateChanged) error
}

// Registry maps a scope to its saver.
type Registry struct{ byScope map[events.Scope]Saver }

// NewRegistry makes a registry of these savers.
func NewRegistry(savers ...Saver) *Registry {
	r := &Registry{byScope: make(map[events.Scope]Saver)}
	for _, s := range savers {
		r.Register(s)
	}
	return r
}

// Register adds a saver. It panics where the scope has one already: that is a
// mistake in the program.
func (r *Registry) Register(s Saver) {
	if r.byScope[s.Scope()] != nil {
		panic(fmt.Sprintf("savers: scope %q is registered twice", s.Scope()))
	}
	r.byScope[s.Scope()] = s
}

// Saver returns the saver of a scope, or an error where it has none.
func (r *Registry) Saver(scope events.Scope) (Saver, error) {
	if s := r.byScope[scope]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no saver for scope %q", scope)
}

// Scopes lists the scopes that have a saver, in alphabetical order.
func (r *Registry) Scopes() []events.Scope { return slices.Sorted(maps.Keys(r.byScope)) }
