package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the root of the module as seen from this package.
const module = "../.."

// file is one Go file of the house, tests left out.
type file struct {
	room    string // folder below the module's root
	name    string
	imports []string
	syntax  *ast.File
}

// houseFiles parses the house's own files; a nested module is not of it.
func houseFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(module, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != module && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "noutp"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(module, p)
		files = append(files, file{path.Dir(filepath.ToSlash(rel)), filepath.ToSlash(rel), importsOf(syntax), syntax})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d files found: the rules would hold for nothing", len(files))
	}
	return files
}

func importsOf(f *ast.File) []string {
	var all []string
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// isProgram reports whether a room is of programs: crow itself, or the house's
// own tools.
func isProgram(room string) bool { return below(room, "cmd") || below(room, "scripts") }

// below reports whether a package or folder p is root or in it.
func below(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// rulesOfTheHouse are the import rules: where one applies, none of its packages
// may be imported.
var rulesOfTheHouse = []struct {
	why     string
	applies func(room string) bool
	denies  func(pkg string) bool
}{
	{
		"internal rooms know no top room",
		func(room string) bool { return below(room, "internal") },
		func(pkg string) bool {
			return below(pkg, "crow/seeder") || below(pkg, "crow/peer") || below(pkg, "crow/tracker") || below(pkg, "crow/cmd")
		},
	},
	{
		"a seeder never imports a peer",
		func(room string) bool { return below(room, "seeder") },
		func(pkg string) bool { return below(pkg, "crow/peer") || below(pkg, "crow/cmd") },
	},
	{
		"a peer never imports a seeder",
		func(room string) bool { return below(room, "peer") },
		func(pkg string) bool { return below(pkg, "crow/seeder") || below(pkg, "crow/cmd") },
	},
	{
		"a tracker imports neither",
		func(room string) bool { return below(room, "tracker") },
		func(pkg string) bool {
			return below(pkg, "crow/seeder") || below(pkg, "crow/peer") || below(pkg, "crow/cmd")
		},
	},
	{
		"only cmd and scripts have a command line and signals",
		func(room string) bool { return !isProgram(room) },
		func(pkg string) bool {
			return below(pkg, "github.com/urfave/cli") || pkg == "os/signal" || pkg == "flag"
		},
	},
	{
		"only internal/gossip speaks serf",
		func(room string) bool { return room != "internal/gossip" },
		func(pkg string) bool {
			return below(pkg, "github.com/hashicorp/serf") || below(pkg, "github.com/hashicorp/memberlist")
		},
	},
	{
		"only internal/swarm has the torrent client",
		func(room string) bool { return room != "internal/swarm" },
		func(pkg string) bool { return pkg == "github.com/anacrolix/torrent" },
	},
	{
		"only internal/signing knows minisign",
		func(room string) bool { return room != "internal/signing" },
		func(pkg string) bool { return below(pkg, "aead.dev/minisign") },
	},
	{
		"no daemon makes certificates: the CA's key is on no server",
		func(room string) bool { return !isProgram(room) },
		func(pkg string) bool { return pkg == "crow/internal/pki" },
	},
	{
		"a seeder signs nothing, nor says who may",
		func(room string) bool { return below(room, "seeder") || room == "tracker" },
		func(pkg string) bool { return pkg == "crow/internal/signing" },
	},
	{
		"the rules of a rollout are functions of their arguments, without clock, lock or disk",
		func(room string) bool { return room == "seeder/rollout" },
		func(pkg string) bool {
			return below(pkg, "crow") && pkg != "crow/internal/control" && pkg != "crow/internal/release" ||
				below(pkg, "os") || below(pkg, "sync") || strings.Contains(strings.Split(pkg, "/")[0], ".")
		},
	},
	{
		"the vocabulary stands on the standard library alone",
		func(room string) bool { return room == "internal/release" },
		func(pkg string) bool { return below(pkg, "crow") || strings.Contains(strings.Split(pkg, "/")[0], ".") },
	},
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range houseFiles(t) {
		for _, rule := range rulesOfTheHouse {
			i := slices.IndexFunc(f.imports, rule.denies)
			if rule.applies(f.room) && i >= 0 {
				t.Errorf("%s imports %s: %s", f.name, f.imports[i], rule.why)
			}
		}
	}
}

// cmdOnly are functions of package os that decide over the process or read its
// environment.
var cmdOnly = []string{"Exit", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Args"}

func TestOnlyProgramsTouchTheProcess(t *testing.T) {
	for _, f := range houseFiles(t) {
		if isProgram(f.room) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(cmdOnly, sel.Sel.Name) {
					t.Errorf("%s uses os.%s: only cmd and scripts do", f.name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestRulesDeny holds that the rules would notice.
func TestRulesDeny(t *testing.T) {
	cases := []struct{ room, pkg string }{
		{"internal/swarm", "crow/peer/hook"}, {"seeder", "crow/peer"}, {"peer/stage", "crow/seeder/build"},
		{"tracker", "crow/seeder"}, {"peer", "github.com/urfave/cli/v3"}, {"seeder", "os/signal"},
		{"seeder", "github.com/hashicorp/serf/serf"}, {"peer", "github.com/anacrolix/torrent"},
		{"peer", "aead.dev/minisign"}, {"seeder", "crow/internal/pki"}, {"seeder/build", "crow/internal/signing"},
		{"internal/release", "go.uber.org/zap"}, {"internal/release", "crow/internal/store"},
	}
	for _, c := range cases {
		denied := false
		for _, rule := range rulesOfTheHouse {
			denied = denied || rule.applies(c.room) && rule.denies(c.pkg)
		}
		if !denied {
			t.Errorf("%s may import %s, says the house", c.room, c.pkg)
		}
	}
	for _, pkg := range []string{"github.com/anacrolix/torrent/metainfo", "github.com/anacrolix/torrent/merkle"} {
		for _, rule := range rulesOfTheHouse {
			if rule.applies("seeder/build") && rule.denies(pkg) {
				t.Errorf("seeder/build may not import %s: %s", pkg, rule.why)
			}
		}
	}
}
