// Package world plays a small online game against a gateway: characters that
// travel, open their bags, fight, get loot and drop out. It is seeded: each
// character takes the same decisions in every run.
package world

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what world to play.
type Config struct {
	Gateway    string // base URL
	Characters int
	Seed       int64
}

const (
	players = 16   // how many characters act at the same moment
	first   = 1000 // the lowest char_id
)

// World is a world in play.
type World struct {
	cfg    Config
	client *http.Client
	counts [kinds]atomic.Int64
}

type kind int

const (
	kindMoves kind = iota
	kindItems
	kindTravels
	kindFights
	kindDropouts
	kindRefused
	kindErrors
	kinds
)

// New makes a world.
func New(cfg Config) *World {
	transport := &http.Transport{MaxIdleConnsPerHost: players, MaxConnsPerHost: players}
	return &World{cfg: cfg, client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// Counts says what happened so far, on one line.
func (w *World) Counts() string {
	n := func(k kind) int64 { return w.counts[k].Load() }
	return fmt.Sprintf("moves %d, item changes %d, travels %d, fights %d, drop-outs %d, refused %d, errors %d",
		n(kindMoves), n(kindItems), n(kindTravels), n(kindFights), n(kindDropouts), n(kindRefused), n(kindErrors))
}

// Play lets the characters live until ctx is done. It returns an error where
// the gateway does not answer at all.
func (w *World) Play(ctx context.Context) error {
	defer w.client.CloseIdleConnections()
	var group errgroup.Group
	for player := range players {
		group.Go(func() error { return w.player(ctx, player) })
	}
	return group.Wait()
}

// player plays its share of the characters, one episode after another.
func (w *World) player(ctx context.Context, n int) error {
	random := rand.New(rand.NewPCG(uint64(w.cfg.Seed), uint64(n)))
	var mine []*character
	for i := n; i < w.cfg.Characters; i += players {
		mine = append(mine, &character{world: w, id: first + int64(i), random: random})
	}
	for answered := false; ctx.Err() == nil && len(mine) > 0; {
		err := mine[random.IntN(len(mine))].episode(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			answered = true
		case !answered:
			return fmt.Errorf("%w (is the system up? `make run` starts it)", err)
		default:
			w.counts[kindErrors].Add(1)
		}
	}
	return nil
}
