package savers

import (
	"context"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// sessionsRead is how far a sweeper has come, under one note, with the characters that
// the mirror shows in a session.
type sessionsRead struct {
	note string
	next uint64
}

// complete makes this run of Redis complete: a character that Redis does not have then
// has nothing left to save and no open session, and can be loaded without the stream. Two
// things are needed: everything that the stream had stored at some moment of the run is
// settled, and the characters that the mirror shows in a session are in Redis.
func (s *sweep) complete(ctx context.Context) error {
	// The note comes before the questions, so that the answers are about this run, and
	// about the time since Redis was last emptied.
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

// joinInContext joins the characters that Redis, as it was before it was started, shows
// in a context: only Redis and the mirror know what is open, and the mirror may be lost
// before anybody touches these characters.
func (s *sweep) joinInContext(ctx context.Context) error {
	chars, err := s.Hot.InContext(ctx)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(chars, sweepChunk) {
		if s.over(ctx) {
			return nil // the next sweep goes on, and passes over those that are joined
		}
		if err := s.bringIn(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// fetchSessions brings the characters into Redis that were in a session when it was
// started or emptied. The next sweep goes on where this one stops.
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

// fetchEscrow brings the senders into Redis of trades that PostgreSQL has in escrow:
// their marks then lead to the rest.
func (s *sweep) fetchEscrow(ctx context.Context) error {
	chars, err := s.Cold.EscrowBefore(ctx, events.Version(s.now.Add(-s.Grace).UnixMicro()), sweepChunk)
	if err != nil {
		return err
	}
	return s.bringIn(ctx, chars)
}
