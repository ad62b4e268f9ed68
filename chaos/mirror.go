package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// checkMirror compares the bucket AC with what is open in Redis.
func (r *run) checkMirror(ctx context.Context, end *mended) error {
	kv, err := end.js.KeyValue(ctx, bucketMirror)
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	for _, m := range r.models {
		live, err := r.look(ctx, m)
		if err != nil {
			return err
		}
		want := live.cells()[rowContexts].value
		shown, err := awaitMirrored(ctx, kv, m.char, want)
		if err != nil {
			return err
		}
		if shown.value != want {
			r.report(Violation{
				Char: m.char, Where: "mirror", What: string(rowContexts), value: shown.value,
				Got: shown.String(), Want: "as hot: " + want.String(),
			})
		}
	}
	return nil
}

// mirrorPatience is for the sweeper, which fills a mirror that was lost.
const mirrorPatience = 10 * time.Second

// awaitMirrored is what the bucket shows of a character once it shows what is
// wanted, or in the end.
func awaitMirrored(ctx context.Context, kv jetstream.KeyValue, char int64, want value) (cell, error) {
	for began := time.Now(); ; pause(ctx, retryPause) {
		shown, err := mirrored(ctx, kv, char)
		if err != nil || shown.value == want || time.Since(began) > mirrorPatience || ctx.Err() != nil {
			return shown, err
		}
	}
}

// mirrored is what the bucket shows of a character.
func mirrored(ctx context.Context, kv jetstream.KeyValue, char int64) (cell, error) {
	entry, err := kv.Get(ctx, strconv.FormatInt(char, 10))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return cell{}, nil
	}
	if err != nil {
		return cell{}, fmt.Errorf("mirror of character %d: %w", char, err)
	}
	var shown struct {
		Version   events.Version
		Combat    string `json:"combat_session_id"`
		Inventory string `json:"inventory_session_id"`
		Scenario  string `json:"scenario_session_id"`
	}
	if err := json.Unmarshal(entry.Value(), &shown); err != nil {
		return cell{}, fmt.Errorf("mirror of character %d: %w", char, err)
	}
	var open []string
	for _, c := range [][2]string{{"combat", shown.Combat}, {"inventory", shown.Inventory}, {"scenario", shown.Scenario}} {
		if c[1] != "" {
			open = append(open, c[0]+" "+c[1])
		}
	}
	return cell{value{text: strings.Join(open, ", ")}, shown.Version}, nil
}
