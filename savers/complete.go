package savers

import (
	"context"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// sessionsRead is how far a sweeper has come, under one note, with those that the
// mirror shows in a session.
type sessionsRead struct {
	note string
	next uint64
}

// complete brings this run of Redis to where a character that it does not have
// has nothing left to save and no open session. From then on such a character
// can be loaded without the stream. It takes two steps: everything is settled
// that the stream had stored at some moment of the run, and those that the
// mirror shows in a session are in Redis.
func (s *sweep) complete(ctx context.Context) error {
	// The note comes before the questions: what is found out is of its run, and
	// of the time since Redis was last emptied.
	note, done, err := s.Hot.BeginNote(ctx)
	if err != nil || note == "" || done {
		return err
	}
	if err := s.joinInContext(ctx); err != nil {
		return err
	}
	last, settled, err := s.Stream.Settled(ctx)
	if err != nil {
		return err
	}
	if ready, err := s.Hot.NoteSettled(ctx, note, last, settled); err != nil || !ready {
		return err
	}
	if finished, err := s.fetchSessions(ctx, note); err != nil || !finished {
		return err
	}
	s.Log.Info("Redis is complete")
	return s.Hot.NoteComplete(ctx, note)
}

// joinInContext joins those that Redis shows in a context, as it had them before
// it was started: what is open is known by Redis and the mirror alone, and the
// mirror may be lost before anybody touches them.
func (s *sweep) joinInContext(ctx context.Context) error {
	chars, err := s.Hot.InContext(ctx)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(chars, sweepChunk) {
		if s.over(ctx) {
			return nil // the next sweep goes on: those that are joined are passed over
		}
		if err := s.bringIn(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// fetchSessions brings those into Redis that were in a session when it was
// started or emptied. What one sweep does not manage the next goes on with.
func (s *sweep) fetchSessions(ctx context.Context, note string) (finished bool, err error) {
	if s.sessionsRead.note != note {
		s.sessionsRead = sessionsRead{note: note}
	}
	for !s.over(ctx) {
		chars, next, err := s.Stream.InSessions(ctx, s.sessionsRead.next, sweepChunk)
		if err != nil {
			return false, err
		}
		if err := s.bringIn(ctx, chars); err != nil {
			return false, err
		}
		if s.sessionsRead.next = next; next == 0 {
			return true, nil
		}
	}
	return false, nil
}

// bringIn joins those characters that Redis does not have, or only as it had
// them before it was started.
func (s *sweep) bringIn(ctx context.Context, chars []events.CharID) error {
	missing, err := s.Hot.Unverified(ctx, chars)
	if err != nil {
		return err
	}
	return s.each(ctx, missing, "character not brought into Redis", // nor could a gateway
		func(ctx context.Context, char events.CharID) error { return s.Game.Rejoin(ctx, char) })
}

// fetchEscrow brings those senders into Redis of whose trades only PostgreSQL
// knows that they are in escrow: their marks then lead to the rest.
func (s *sweep) fetchEscrow(ctx context.Context) error {
	chars, err := s.Cold.EscrowBefore(ctx, events.Version(s.now.Add(-s.Grace).UnixMicro()), sweepChunk)
	if err != nil {
		return err
	}
	return s.bringIn(ctx, chars)
}
