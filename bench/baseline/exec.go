package baseline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// A Runner runs a baseline somewhere, as Run and Elsewhere do.
type Runner func(ctx context.Context, c Config) (Result, error)

// Elsewhere runs baselines as `program baseline <config as JSON>`, which prints
// its Result as JSON.
func Elsewhere(program string) Runner {
	return func(ctx context.Context, c Config) (r Result, err error) {
		words, err := json.Marshal(c)
		if err != nil {
			return r, err
		}
		var out bytes.Buffer
		p, err := stack.StartProcess(ctx, stack.ProcessConfig{
			Name: "baseline", Path: program, Args: []string{"baseline", string(words)}, Stdout: &out, Stderr: os.Stderr,
		})
		if err != nil {
			return r, err
		}
		select {
		case <-p.Done():
		case <-ctx.Done():
			return r, errors.Join(ctx.Err(), p.Kill())
		}
		if err := p.Err(); err != nil {
			return r, fmt.Errorf("baseline %s, %s: %w", c.What, c.Setting(), err)
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			return r, fmt.Errorf("baseline %s printed %.100q: %w", c.What, out.String(), err)
		}
		return r, nil
	}
}
