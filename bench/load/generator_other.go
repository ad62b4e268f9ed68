//go:build !linux

package load

import "context"

// A Generator plays characters.
type Generator struct{}

// New returns a generator that can do nothing here.
func New() *Generator { return &Generator{} }

// Run returns ErrUnsupported.
func (g *Generator) Run(context.Context, Window) (Result, error) { return Result{}, ErrUnsupported }
