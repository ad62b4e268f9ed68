// Package archtest keeps the import table: which package of this module may
// know which other.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/savepoint-games/savepoint"

// table lists, for each package, the packages of this module that its product
// code may import. A package that is not listed may not exist.
var table = map[string][]string{
	"events":                   {"internal/strictjson"},
	"game":                     {"events"},
	"hot":                      {"events", "game", "internal/gather", "internal/secret"},
	"bus":                      {"events", "game", "internal/recent", "internal/secret"},
	"intake":                   {"bus", "events"},
	"cold":                     {"events", "game", "internal/db", "internal/gather"},
	"savers":                   {"events", "internal/db"},
	"savers/savertest":         {"events", "savers"},
	"gateway":                  {"events", "game", "internal/recent", "internal/strictjson"},
	"verify":                   {"events", "game"},
	"console":                  {"bus", "events", "game", "hot", "verify"},
	"doctor":                   {"bus", "events", "hot", "internal/migrate", "internal/secret"},
	"sql":                      {},
	"internal/strictjson":      {},
	"internal/recent":          {},
	"internal/gather":          {},
	"internal/secret":          {},
	"internal/db":              {},
	"internal/migrate":         {"sql"},
	"internal/program":         {"bus"},
	"internal/telemetry":       {"events", "game", "gateway", "savers", "internal/secret"},
	"internal/world":           {},
	"internal/stack":           {},
	"internal/stack/stacktest": {"internal/stack", "internal/migrate"},
	"internal/archtest":        {},
	"bench/baseline":           {"bench/usage", "bench/workload", "bus", "events", "internal/db", "internal/stack", "savers"},
	"bench/drain":              {"bench/baseline", "bench/live", "bench/report", "bench/rig", "bench/usage", "bench/workload"},
	"bench/report":             {},
	"bench/usage":              {},
	"bench/workload":           {"events"},
	"bench/bare":               {"bus", "internal/program"},
	"bench/load":               {"internal/program"},
	"bench/hotpath":            {"bench/load", "bench/report", "bench/rig", "bench/usage", "bench/workload", "internal/stack"},
	"bench/rig":                {"bench/workload", "bus", "events", "internal/migrate", "internal/program", "internal/stack"},
	"bench/delay":              {},
	"bench/live":               {"bench/workload", "events"},
	"bench/fresh":              {"bench/live", "bench/report", "bench/rig", "bench/usage", "bench/workload", "bus", "events", "savers"},
	"bench/scale":              {"bench/delay", "bench/live", "bench/report", "bench/rig", "bench/usage", "bench/workload", "events"},
	"bench/growth":             {"bench/live", "bench/report", "bench/rig", "bench/usage", "bench/workload", "events"},
	"chaos":                    {"cold", "events", "game", "hot", "verify", "internal/migrate", "internal/program", "internal/stack"},
	"cmd/bench":                {"bench/bare", "bench/baseline", "bench/drain", "bench/fresh", "bench/growth", "bench/hotpath", "bench/load", "bench/report", "bench/rig", "bench/scale", "bench/workload", "internal/program"},
	"cmd/chaos":                {"chaos", "internal/program"},
	"cmd/gateway":              {"bus", "cold", "console", "gateway", "hot", "internal/program", "internal/telemetry"},
	"cmd/saver": {
		"bus", "cold", "doctor", "events", "game", "gateway", "hot", "intake", "savers", "verify",
		"internal/migrate", "internal/program", "internal/secret", "internal/telemetry",
	},
	"cmd/savepoint": {"internal/migrate", "internal/program", "internal/stack", "internal/world"},
}

// outside lists foreign modules that only these packages may link: who knows a
// driver is part of the architecture.
var outside = map[string][]string{
	"github.com/redis/go-redis":      {"bench/bare", "bench/rig", "chaos", "doctor", "hot", "internal/stack", "internal/stack/stacktest"},
	"github.com/nats-io/nats.go":     {"bench/bare", "bench/baseline", "bench/fresh", "bench/live", "bench/rig", "bus", "chaos", "cmd/saver", "doctor", "intake", "internal/stack", "internal/telemetry", "savers"},
	"github.com/nats-io/nats-server": {"internal/stack"},
	"github.com/jackc/pgx":           {"bench/fresh", "bench/live", "bench/baseline", "bench/rig", "chaos", "cold", "doctor", "savers", "savers/savertest", "cmd/saver", "internal/db", "internal/migrate", "internal/stack", "internal/stack/stacktest"},
	"github.com/go-faster/jx":        {"internal/strictjson", "bus", "events", "gateway"},
	"github.com/valyala/fasthttp":    {"gateway", "cmd/gateway", "internal/telemetry"},
	"go.opentelemetry.io":            {"internal/telemetry"},
	"github.com/fasthttp/router":     {"gateway"},
}

func TestImportsFollowTheTable(t *testing.T) {
	for dir, imports := range productImports(t) {
		if isExample(dir) {
			continue
		}
		allowed, known := table[dir]
		if !known {
			t.Errorf("package %s is not in the table: say there what it may import", dir)
			continue
		}
		for _, path := range imports {
			if inner, ok := strings.CutPrefix(path, module+"/"); ok && !slices.Contains(allowed, inner) {
				t.Errorf("%s imports %s, which the table does not allow", dir, inner)
			}
		}
	}
}

func TestOnlyOnePackageKnowsADriver(t *testing.T) {
	for dir, imports := range productImports(t) {
		for _, path := range imports {
			for driver, allowed := range outside {
				if strings.HasPrefix(path, driver) && !slices.Contains(allowed, dir) && !isExample(dir) {
					t.Errorf("%s imports %s", dir, path)
				}
			}
		}
	}
}

func isExample(dir string) bool { return strings.HasPrefix(dir, "examples/") }

// productImports maps each package directory to what its non-test files import.
func productImports(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	imports := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "tools" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		imports[dir] = append(imports[dir], importsOf(t, path)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) < 10 {
		t.Fatalf("only %d packages found: is the root right?", len(imports))
	}
	return imports
}

func importsOf(t *testing.T, path string) (out []string) {
	t.Helper()
	if strings.HasSuffix(path, "_test.go") {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, imported)
	}
	return out
}
