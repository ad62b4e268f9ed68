package gateway_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/game"
)

// A job that begins a fight and ends it is done once more, when nobody remembers its
// requests: the id of the fight is made of the key, and the history has it.
func TestFightOfTheHistoryIsNotFoughtAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	begin, end := []string{"Idempotency-Key", uuid.NewString()}, []string{"Idempotency-Key", uuid.NewString()}
	fight := s.want(201, "POST", "1/contexts/combat", "", begin...).SessionID
	won := sessionBody(fight, `,"outcome":"victory","xp":50,"loot":[{"item_id":"gem","quantity":1}]`)
	s.want(200, "POST", "1/contexts/combat/finish", won, end...)
	s.wantEqual()
	s.want(201, "POST", "1/contexts/combat", "", begin...) // the first answer, while it is remembered
	s.forgetAnswers(1)

	for _, r := range []reply{
		s.do(0, "POST", "1/contexts/combat", "", begin...),
		s.do(1, "POST", "1/contexts/combat/finish", won, end...),
	} {
		if r.Status != 409 {
			t.Errorf("done again: %d %s", r.Status, r.Body)
		}
	}

	s.wantEqual()
	var fights []game.FightRecord
	s.do(0, "GET", "1/combats", "").into(t, &fights)
	if view := s.look(1, "cold"); view.Progress.XP != 50 || view.Items[0].Quantity.Quantity != 1 || len(fights) != 1 {
		t.Errorf("%d experience, %+v, of %d fights in the history", view.Progress.XP, view.Items, len(fights))
	}
}

// So it is while no saver has it yet: Redis, or the stream, knows how it ended.
func TestFightThatNoSaverHasIsNotFoughtAgain(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*system){
		"answers": func(s *system) { s.forgetAnswers(1) },
		"all":     func(s *system) { s.flush() },
	} {
		s := newSystem(t)
		begin, end := []string{"Idempotency-Key", uuid.NewString()}, []string{"Idempotency-Key", uuid.NewString()}
		fight := s.want(201, "POST", "1/contexts/combat", "", begin...).SessionID
		won := sessionBody(fight, `,"outcome":"victory","xp":50`)
		s.want(200, "POST", "1/contexts/combat/finish", won, end...)
		forget(s)
		for n := range s.gateways {
			if r := s.do(n, "POST", "1/contexts/combat", "", begin...); r.Status != 409 {
				t.Errorf("%s forgotten, gateway %d: %d %s", name, n, r.Status, r.Body)
			}
		}
		if r := s.do(0, "POST", "1/contexts/combat/finish", won, end...); name == "answers" && r.Status != 409 {
			t.Errorf("%s forgotten, end: %d %s", name, r.Status, r.Body)
		}
		if view := s.look(1, "hot"); view.Progress.XP != 50 {
			t.Errorf("%s forgotten: %d experience", name, view.Progress.XP)
		}
	}
}
