// Package skein_test keeps the rules of the house: who may import whom, how
// large a file may grow, that every package says what it is for, and that
// generated code and the API's promises are up to date.
package skein_test

import (
	"slices"
	"strings"
	"testing"
)

// A room is a package of this module and what it may import of the others.
// Paths are relative to the module; one that ends in "/..." covers a package
// and all below it. Everyone may import feed and feed/policy (rule 1), and
// itself in its tests.
type room struct {
	path string
	// rule is the import rule that speaks of it.
	rule int
	// sees is what it may import, tests what its tests may import as well.
	sees, tests []string
}

var (
	contracts = []string{"storage", "timeline", "fanout/eventlog"}

	// A suite sees the contract that it tests, as an implementation does.
	suites = []string{"storage/storagetest", "timeline/timelinetest", "fanout/eventlog/logtest"}

	implementations = []string{
		"storage/embedded", "storage/postgres", "storage/cassandra",
		"timeline/memory", "timeline/redis",
		"fanout/eventlog/embedded", "fanout/eventlog/kafka",
	}
)

// drivers says in which implementation each driver may appear, beside
// cmd/bench and below (rule 4).
var drivers = map[string][]string{
	"github.com/cockroachdb/pebble": {"storage/embedded", "fanout/eventlog/embedded", "internal/readonly"},
	"github.com/jackc/pgx":          {"storage/postgres"},
	"github.com/gocql/gocql":        {"storage/cassandra"},
	"github.com/redis/go-redis":     {"timeline/redis"},
	"github.com/segmentio/kafka-go": {"fanout/eventlog/kafka"},
}

// rooms is the plan of the house. The first that matches counts; a package
// that matches none is an error.
var rooms = append([]room{
	{path: "feed", rule: 1},
	{path: "feed/policy", rule: 1},

	{path: "storage", rule: 3, tests: suites},
	{path: "timeline", rule: 3, tests: suites},
	{path: "fanout/eventlog", rule: 3, tests: suites},
	{path: "fanout", rule: 3, sees: slices.Concat(contracts, []string{"proto/event/v1"}), tests: implementations},
	// Its tests may run it against a real fan-out; the server itself asks
	// through interfaces of its own.
	{path: "feed/server", rule: 3, sees: []string{"storage", "timeline", "proto/feed/v1"}, tests: slices.Concat(implementations, []string{"fanout", "fanout/eventlog"})},

	// Tests of loadgen start a whole skein beside it.
	{path: "loadgen/...", rule: 5, sees: []string{"loadgen/...", "proto/feed/v1"}, tests: []string{"..."}},
	{path: "proto/...", rule: 5},
	// What the offline checks of both embedded engines need of their driver.
	{path: "internal/readonly", rule: 4},

	// The commands put everything together. As gRPC clients of the API (post,
	// read, a health check) they may use its types, never those of events.
	{path: "cmd/internal/engines", rule: 4, sees: slices.Concat(contracts, implementations), tests: []string{"deploy/local/servers"}},
	{path: "cmd/internal/rpc", rule: 4, sees: []string{"feed/server"}},
	{path: "cmd/loadgen", rule: 5, sees: []string{"cmd/internal/progress", "loadgen/...", "deploy/local/servers"}, tests: []string{"..."}},
	{path: "cmd/skein", rule: 4, sees: slices.Concat(contracts, []string{"cmd/internal/engines", "cmd/internal/progress", "cmd/internal/rpc", "cmd/internal/threads", "cmd/internal/capacity", "cmd/skein/terminal", "feed/server", "fanout", "loadgen/graph", "proto/feed/v1"}), tests: []string{"..."}},
	// Tests alone, of fleets of processes: they start the program and whatever it
	// runs on, and make a broken worker of the parts of a sound one.
	{path: "cmd/skein/servertest", rule: 4, tests: []string{"..."}},
	// A client knows only the API, and reads the same graphs as loadgen.
	{path: "cmd/skein/terminal", rule: 5, sees: []string{"cmd/internal/progress", "loadgen/graph", "proto/feed/v1"}},
	{path: "cmd/internal/progress", rule: 5},
	{path: "cmd/internal/threads", rule: 4},
	{path: "cmd/internal/capacity", rule: 4},
	{path: "cmd/bench/...", rule: 4, sees: []string{"..."}},
	// Real engines on this machine know nothing of Skein.
	{path: "deploy/local/...", rule: 5, sees: []string{"deploy/local/..."}},
	// Tests of the house and of the whole.
	{path: ".", rule: 4, tests: []string{"..."}},
}, implementers()...)

// implementers are the rooms of rule 2: an implementation and a suite import
// the contract above them, never a sibling. Tests may start the real engine.
func implementers() []room {
	var rooms []room
	for _, path := range slices.Concat(suites, implementations) {
		parent := path[:strings.LastIndexByte(path, '/')]
		sees := []string{parent, path + "/..."}
		if strings.HasSuffix(path, "/embedded") {
			sees = append(sees, "internal/readonly")
		}
		rooms = append(rooms, room{path: path + "/...", rule: 2, sees: sees, tests: append(slices.Clone(suites), "deploy/local/servers")})
	}
	return rooms
}

// forbidden returns the number of the rule that from breaks by importing
// target, in its tests or in its code, and 0 if it breaks none. It returns -1
// when from is not in the plan. Both are import paths; those of this module are
// relative to it, "." being its root.
func forbidden(from, target string, inTests, ours bool) int {
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.path, from) })
	if i < 0 {
		return -1
	}
	r := rooms[i]
	if !ours {
		return forbiddenForeign(r, from, target, inTests)
	}
	switch {
	case target == from && inTests:
		return 0
	case target == "feed", target == "feed/policy" && from != "feed":
		return 0
	case slices.ContainsFunc(r.sees, func(p string) bool { return matches(p, target) }):
		return 0
	case inTests && slices.ContainsFunc(r.tests, func(p string) bool { return matches(p, target) }):
		return 0
	case matches("proto/...", target):
		return 5
	case slices.ContainsFunc(implementations, func(p string) bool { return matches(p+"/...", target) }) && r.rule == 3:
		return 4
	}
	return r.rule
}

// forbiddenForeign judges an import from outside this module.
func forbiddenForeign(r room, from, target string, inTests bool) int {
	standard := !strings.Contains(strings.SplitN(target, "/", 2)[0], ".")
	if standard || inTests && r.rule == 1 {
		return 0
	}
	if r.rule == 1 {
		return 1
	}
	for driver, homes := range drivers {
		// A test may break the disk below Pebble, wherever it stands.
		faults := inTests && strings.HasSuffix(target, "/vfs")
		home := slices.ContainsFunc(homes, func(p string) bool { return matches(p+"/...", from) })
		if strings.HasPrefix(target+"/", driver+"/") && !home && !faults && !matches("cmd/bench/...", from) {
			return 4
		}
	}
	return 0
}

// matches reports whether pattern covers path.
func matches(pattern, path string) bool {
	below, tree := strings.CutSuffix(pattern, "...")
	return path == pattern || tree && strings.HasPrefix(path+"/", below)
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		check := func(imports []string, inTests bool) {
			for _, imported := range imports {
				target, ours := relative(imported)
				switch rule := forbidden(p.path(), target, inTests, ours); rule {
				case 0:
				case -1:
					t.Errorf("package %s is not in the plan of the house: add it to rooms in imports_test.go", p.path())
					return
				default:
					t.Errorf("%s imports %s, against import rule %d of the house (tests: %t)", p.path(), target, rule, inTests)
				}
			}
		}
		check(p.Imports, false)
		check(append(p.TestImports, p.XTestImports...), true)
	}
}

func TestForbiddenImports(t *testing.T) {
	const pebble = "github.com/cockroachdb/pebble/v2"
	for _, c := range []struct {
		from, target string
		inTests      bool
		rule         int
	}{
		{"feed", "storage", false, 1},
		{"feed", "feed/policy", false, 1},
		{"feed", "golang.org/x/sync/errgroup", false, 1},
		{"feed", "pgregory.net/rapid", true, 0},
		{"feed/policy", "feed", false, 0},
		{"feed/policy", "timeline", false, 1},
		{"storage", "feed/policy", false, 0},
		{"storage/embedded", "storage", false, 0},
		{"storage/embedded", "storage/postgres", false, 2},
		{"storage/embedded", "fanout/eventlog/embedded", true, 2},
		{"storage/embedded", "timeline", false, 2},
		{"storage/embedded", "storage/storagetest", true, 0},
		{"storage/embedded", "storage/storagetest", false, 2},
		{"storage/storagetest", "storage/embedded", false, 2},
		{"storage", "timeline", false, 3},
		{"timeline", "storage", false, 3},
		{"fanout/eventlog", "fanout", false, 3},
		{"fanout", "feed/server", false, 3},
		{"fanout", "storage", false, 0},
		{"feed/server", "fanout", false, 3},
		{"feed/server", "fanout/eventlog", false, 3},
		{"feed/server", "timeline", false, 0},
		{"fanout", "storage/embedded", false, 4},
		{"fanout", "storage/embedded", true, 0},
		{"feed/server", "timeline/memory", false, 4},
		{"storage/embedded", pebble, false, 0},
		{"storage/postgres", pebble, false, 4},
		{"timeline/memory", pebble, true, 4},
		{"cmd/skein", pebble, false, 4},
		{"cmd/skein", pebble + "/vfs", true, 0},
		{"cmd/bench", pebble, false, 0},
		{"cmd/bench/rows", pebble, false, 0},
		{"cmd/internal/rpc", "feed/server", false, 0},
		{"cmd/internal/rpc", "storage", false, 4},
		{"fanout", "github.com/segmentio/kafka-go/sasl", false, 4},
		{"cmd/skein", "storage/embedded", false, 4},
		{"cmd/internal/engines", "storage/embedded", false, 0},
		{"storage", "proto/event/v1", false, 5},
		{"feed/server", "proto/event/v1", false, 5},
		{"fanout", "proto/feed/v1", false, 5},
		{"fanout", "proto/event/v1", false, 0},
		{"loadgen/oracle", "timeline", false, 5},
		{"loadgen", "feed/server", false, 5},
		{"loadgen", "feed/server", true, 0},
		{"loadgen", "loadgen/oracle", false, 0},
		{"cmd/loadgen", "cmd/internal/engines", false, 5},
		{"cmd/skein/terminal", "loadgen/graph", false, 0},
		{"cmd/skein/terminal", "feed/server", false, 5},
		{"cmd/skein/terminal", "cmd/internal/engines", false, 5},
		{"storage/postgres", "deploy/local/servers", true, 0},
		{"storage/postgres", "deploy/local/servers", false, 2},
		{"deploy/local", "deploy/local/servers", false, 0},
		{"deploy/local/servers", "storage", false, 5},
		{"storage/sqlite", "storage", false, -1},
		{"toolbox", "feed", false, -1},
	} {
		ours := !strings.Contains(c.target, ".")
		if rule := forbidden(c.from, c.target, c.inTests, ours); rule != c.rule {
			t.Errorf("%s imports %s (tests: %t): rule %d broken, want %d", c.from, c.target, c.inTests, rule, c.rule)
		}
	}
}
