package hot

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/game"
)

// writes turns the change into commands.
func (a *args) writes() error {
	c := a.change
	if c.Vitals != nil {
		a.touch(game.PartVitals)
		a.set(keyVitals(c.Char), encodeVitals(c.Vitals)...)
	}
	if c.Progress != nil {
		a.touch(game.PartProgress)
		a.set(keyProgress(c.Char), "xp", itoa(c.Progress.XP), "version", itoa(c.Progress.Version))
	}
	a.writeItems()
	a.writeContexts()
	return errors.Join(a.writeScenarios(), a.writeSessions(), a.writeTransfers())
}

func (a *args) writeItems() {
	if len(a.change.Items) == 0 {
		return
	}
	a.touch(game.PartItems)
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(a.change.Items)), maxFields) {
		values := make([]string, 0, 2*len(ids))
		for _, id := range ids {
			values = append(values, id, encodeItem(a.change.Items[id]))
		}
		a.set(keyItems(a.change.Char), values...)
	}
}

// maxFields bounds one HSET: Lua cannot unpack more than some thousand values.
const maxFields = 1000

func (a *args) writeContexts() {
	if len(a.change.Contexts) == 0 {
		return
	}
	a.touch(game.PartContexts)
	for _, context := range slices.Sorted(maps.Keys(a.change.Contexts)) {
		if id := a.change.Contexts[context]; id != uuid.Nil {
			a.setField(contextField(context), id.String())
		} else {
			a.command("HDEL", a.keys[0], contextField(context))
		}
	}
	open, char := a.indexes.key(indexOpen, a.change.Char), a.change.Char.String()
	if len(a.change.Active) > 0 {
		a.command("ZADD", open, a.version, char)
	} else {
		a.command("ZREM", open, char)
	}
}

func (a *args) writeScenarios() error {
	if len(a.change.Scenarios) == 0 {
		return nil
	}
	a.touch(game.PartScenarios)
	for _, id := range slices.Sorted(maps.Keys(a.change.Scenarios)) {
		text, err := encodeScenario(a.change.Scenarios[id])
		if err != nil {
			return fmt.Errorf("scenario %q: %w", id, err)
		}
		a.set(keyScenarios(a.change.Char), id, text)
	}
	return nil
}

func (a *args) writeTransfers() error {
	for id, t := range a.change.Transfers {
		text, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("trade %s: %w", id, err)
		}
		a.set(keyTransfers(a.change.Char), id.String(), string(text))
	}
	return nil
}

func (a *args) writeSessions() error {
	c := a.change
	if len(c.Sessions)+len(c.Ended) == 0 {
		return nil
	}
	a.touch(game.PartSessions)
	for id, session := range c.Sessions {
		values, err := encodeSession(session)
		if err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		a.set(keySession(c.Char, id), values...)
	}
	for _, id := range c.Ended {
		a.command("DEL", keySession(c.Char, id))
	}
	return nil
}
