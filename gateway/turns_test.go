package gateway_test

import (
	"sync"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/gateway"
)

// Many who act on one character through one gateway do not decide past each other:
// each action is one commit.
func TestActionsOfACharacterTakeTurns(t *testing.T) {
	t.Parallel()
	const players, actions = 20, 5
	s := newSystem(t)
	service, asked := s.counted()
	s.must(s.change(service, 1, "coin", 1))
	asked.loads.Store(0)
	asked.commits.Store(0)
	var all sync.WaitGroup
	for range players {
		all.Go(func() {
			for range actions {
				if err := s.change(service, 1, "coin", 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if loads, commits := asked.loads.Load(), asked.commits.Load(); loads != 0 || commits != players*actions {
		t.Errorf("%d actions took %d loads and %d commits, want 0 and as many", players*actions, loads, commits)
	}
	if coins := s.quantity(1, "hot", "coin"); coins != players*actions+1 {
		t.Errorf("%d coins, want %d", coins, players*actions+1)
	}
}

// An action that hangs does not keep the character's player out.
func TestActionThatHangsKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	held := &heldHot{Hot: s.hot, char: 1, decide: make(chan struct{}), commit: make(chan struct{})}
	service.Hot = held
	service.ActionTimeout = 4 * time.Second // one is patient for a fourth of it
	service = gateway.New(service.Config)
	done := make(chan error, 2)
	change := func() { done <- s.change(service, 1, "coin", 1) }
	go change()
	<-held.decide
	go change()
	select {
	case <-held.decide: // while the first hangs
	case err := <-done:
		t.Fatal("the second waited for the first:", err)
	}
	close(held.commit)
	for range 2 {
		select {
		case err := <-done:
			s.must(err)
		case <-held.decide: // the later one again
			s.must(<-done)
		}
	}
	if coins := s.quantity(1, "hot", "coin"); coins != 2 {
		t.Errorf("%d coins, want 2", coins)
	}
}
