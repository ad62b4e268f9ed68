package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// runsProgram wants a service that is built here to run a program of cmd/ with
// commands and variables that the program knows.
func runsProgram(project *types.Project, service types.ServiceConfig) error {
	if service.Build == nil {
		return nil
	}
	if len(service.Entrypoint) > 0 || len(service.Command) == 0 {
		return errors.New("say the program as the first word of command, without an entrypoint")
	}
	cli, err := readCLI(project.WorkingDir, service.Command[0])
	if err != nil {
		return err
	}
	calls := [][]string{service.Command}
	if hasHealthcheck(service) {
		calls = append(calls, service.HealthCheck.Test[1:])
	}
	for _, call := range calls {
		if call[0] != cli.program || len(call) > 1 && !slices.Contains(cli.commands, call[1]) {
			return fmt.Errorf("%s has no command %q; it has %v", cli.program, call, cli.commands)
		}
	}
	return checkEnvironment(project, service, cli)
}

func checkEnvironment(project *types.Project, service types.ServiceConfig, cli cli) error {
	var listens []string
	for _, name := range slices.Sorted(maps.Keys(service.Environment)) {
		value := service.Environment[name]
		switch {
		case !slices.Contains(cli.variables, name):
			return fmt.Errorf("%s does not know the variable %s; it knows %v", cli.program, name, cli.variables)
		case value == nil:
			return fmt.Errorf("%s comes from the environment of whoever starts it", name)
		case strings.HasSuffix(name, "_URL"):
			if err := namesService(project, *value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		case strings.HasSuffix(name, "_ADDR"):
			host, port, err := net.SplitHostPort(*value)
			if err != nil || host != "0.0.0.0" {
				return fmt.Errorf("%s=%s cannot be reached from outside the container, want 0.0.0.0 and a port", name, *value)
			}
			listens = append(listens, port)
		}
	}
	for _, port := range service.Ports {
		if !slices.Contains(listens, strconv.Itoa(int(port.Target))) {
			return fmt.Errorf("publishes port %d, but listens on %v", port.Target, listens)
		}
	}
	return nil
}

func namesService(project *types.Project, text string) error {
	server, err := url.Parse(text)
	if err != nil {
		return err
	}
	if _, ok := project.Services[server.Hostname()]; !ok {
		return fmt.Errorf("%s names no service", text)
	}
	return nil
}

// cli is what a program understands.
type cli struct {
	program   string
	commands  []string
	variables []string
}

// readCLI reads a program's commands and variables from the tags of its
// structs, and of those that all programs share.
func readCLI(root, program string) (cli, error) {
	c := cli{program: program}
	for _, dir := range []string{filepath.Join("cmd", program), filepath.Join("internal", "program")} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			return c, err
		}
		if len(files) == 0 {
			return c, fmt.Errorf("there is no program %q: %s holds no Go files", program, dir)
		}
		for _, file := range files {
			if err := c.addFile(file); err != nil {
				return c, err
			}
		}
	}
	slices.Sort(c.variables)
	return c, nil
}

func (c *cli) addFile(file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if field, ok := node.(*ast.Field); ok && field.Tag != nil {
			c.addField(field)
		}
		return true
	})
	return nil
}

func (c *cli) addField(field *ast.Field) {
	text, err := strconv.Unquote(field.Tag.Value)
	if err != nil {
		return // not Go
	}
	tag := reflect.StructTag(text)
	if names := tag.Get("env"); names != "" {
		c.variables = append(c.variables, strings.Split(names, ",")...)
	}
	if _, ok := tag.Lookup("cmd"); ok {
		for _, name := range field.Names {
			c.commands = append(c.commands, strings.ToLower(name.Name))
		}
	}
}
