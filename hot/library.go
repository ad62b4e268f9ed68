package hot

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What has to happen in one step is a Redis Function. Each function is a file in lua;
// together they are one library, whose name carries a hash of its source, so that
// gateways and savers of several releases may work side by side.

//go:embed lua
var luaFiles embed.FS

// A function is the name of a Redis Function, without its library's.
type function string

const (
	fnCommit    function = "commit"
	fnClear     function = "clear"
	fnEvict     function = "evict"
	fnComplete  function = "complete"
	fnBeginning function = "beginning"
	fnRun       function = "run"
)

var functions = []function{fnCommit, fnClear, fnEvict, fnComplete, fnBeginning, fnRun}

// library is the source of all functions, under a name of its own.
var libraryName, librarySource = library(luaSource)

func luaSource(name string) string {
	text, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(text)
}

func library(source func(name string) string) (name, text string) {
	var body strings.Builder
	body.WriteString(source("library"))
	for _, f := range functions {
		fmt.Fprintf(&body, "\nredis.register_function('NAME_%s', function(KEYS, ARGV)\n%s\nend)\n", f, source(string(f)))
	}
	hash := sha256.Sum256([]byte(body.String()))
	name = "savepoint_" + hex.EncodeToString(hash[:6])
	return name, "#!lua name=" + name + "\n" + strings.ReplaceAll(body.String(), "NAME_", name+"_")
}

// fullNames are the names by which Redis knows the functions, boxed as arguments of a
// command.
var fullNames = func() map[function]any {
	names := make(map[function]any, len(functions))
	for _, f := range functions {
		names[f] = libraryName + "_" + string(f)
	}
	return names
}()

// isUnknown reports whether a server lacks the library, because it is new or came back
// without its data. Then nothing was done.
func isUnknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Function not found")
}

// define gives all masters the library.
func (s *Store) define(ctx context.Context) error {
	define := func(ctx context.Context, server *redis.Client) error {
		err := server.FunctionLoad(ctx, librarySource).Err()
		if err != nil && strings.Contains(err.Error(), "already exists") {
			return nil
		}
		return err
	}
	var err error
	switch rdb := s.rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(ctx, define)
	case *redis.Client:
		err = define(ctx, rdb)
	}
	if err != nil {
		return fmt.Errorf("define the functions: %w", err)
	}
	return nil
}
