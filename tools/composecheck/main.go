// Composecheck tells what is wrong with the compose file of this repository:
// what the compose specification refuses, and what it allows although it would
// not work here, or be open to the network. It needs no container engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: composecheck PATH/compose.yaml, at the top of the checkout")
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	root, err := filepath.Abs(filepath.Dir(args[0]))
	if err != nil {
		return err
	}
	return check(root, content)
}

// check returns all that is wrong with a compose file that lies in root. What
// the specification refuses comes alone.
func check(root string, content []byte) error {
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "compose.yaml"), Content: content}},
		// No environment: whoever runs the check has no say in its verdict.
	})
	if err != nil {
		return err
	}
	var found []error
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		for _, rule := range []func(*types.Project, types.ServiceConfig) error{
			publishedHere, watched, waitsRight, mountsExist, runsProgram,
		} {
			if err := rule(project, service); err != nil {
				found = append(found, fmt.Errorf("service %s: %w", name, err))
			}
		}
	}
	return errors.Join(found...)
}
