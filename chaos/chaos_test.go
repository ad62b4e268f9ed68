package chaos

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The short form of `make chaos`: some faults at random, and by itself a Redis
// that loses what it had. What fails here fails again with the same seed.
func TestShortRunFindsNothing(t *testing.T) {
	bin := buildPrograms(t)
	for name, faults := range map[string][]string{
		"anything may break":      nil,
		"Redis loses what it had": {"redis-empty", "redis-older", "saver-kill"},
	} {
		t.Run(name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			result, err := Run(t.Context(), Config{Bin: bin, Seed: seed, Faults: faults, Duration: 8 * time.Second})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			t.Log(result)
			for _, v := range result.Violations {
				t.Error(v)
			}
		})
	}
}

func buildPrograms(t *testing.T) string {
	t.Helper()
	bin, err := os.MkdirTemp("", "chaosbin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(bin) })
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./cmd/gateway", "./cmd/saver")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// The comparison finds each kind of wrong.
func TestModelFindsWhatIsWrong(t *testing.T) {
	m := newModel(1)
	m.hp, m.moved, m.xp = 5, true, 30
	m.items["gem"], m.fights["f"], m.scenarios["road"] = 2, 30, scenario{1, "active"}
	right := func() *observed {
		return &observed{
			hp: 5, moved: true, xp: 30, items: map[string]int64{"gem": 2, "rope": 0},
			fights: map[string]int64{"f": 30}, scenarios: map[string]scenario{"road": {1, "active"}},
		}
	}
	if found := m.compare("cold", right()); len(found) != 0 {
		t.Errorf("found %v where all is right", found)
	}
	for name, spoil := range map[string]func(*observed){
		"older vitals":   func(o *observed) { o.hp = 4 },
		"lost vitals":    func(o *observed) { o.moved, o.hp = false, 0 },
		"lost item":      func(o *observed) { delete(o.items, "gem") },
		"doubled item":   func(o *observed) { o.items["gem"] = 4 },
		"unknown item":   func(o *observed) { o.items["axe"] = 1 },
		"doubled reward": func(o *observed) { o.xp = 60 },
		"lost fight":     func(o *observed) { delete(o.fights, "f") },
		"fight twice":    func(o *observed) { o.fights["g"] = 30 },
		"older scenario": func(o *observed) { o.scenarios["road"] = scenario{0, "active"} },
	} {
		o := right()
		spoil(o)
		if len(m.compare("cold", o)) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
