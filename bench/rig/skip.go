package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Skip lets the savers go on behind what the stream has now, as if they had
// settled it. No saver may run. It needs a NATS server that can reset a consumer
// to a sequence (2.14).
func (r *Rig) Skip(ctx context.Context, scopes ...events.Scope) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	last, err := r.lastSequence(ctx)
	if err != nil {
		return err
	}
	infos, err := r.consumers(ctx, scopes...)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := r.reset(ctx, info.Name, last+1); err != nil {
			return fmt.Errorf("let consumer %s go on at %d: %w", info.Name, last+1, err)
		}
	}
	return nil
}

// reset asks the server itself, since its client has no call for it.
func (r *Rig) reset(ctx context.Context, consumer string, seq uint64) error {
	question, err := json.Marshal(map[string]uint64{"seq": seq})
	if err != nil {
		return err
	}
	msg, err := r.NC.RequestWithContext(ctx, fmt.Sprintf("$JS.API.CONSUMER.RESET.%s.%s", bus.StreamChanges, consumer), question)
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return errors.New(answer.Error.Description)
	}
	return nil
}
