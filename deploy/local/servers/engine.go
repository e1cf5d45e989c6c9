package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// engine is what this package knows about one kind of server. It has no state.
type engine interface {
	// locate finds the programs on this machine, or fetches them into cache. The
	// error is a *MissingError if they cannot be had.
	locate(ctx context.Context, cache string) (installation, error)
	// portCount is how many ports it needs; the first is for its clients.
	portCount() int
	// url is the address for skein's flags.
	url(address string) string
	// prepare makes the folder ready, if it is not, and returns the program to
	// run. What it has to say goes to log.
	prepare(ctx context.Context, spec Spec, found installation, ports []int, log *os.File) (*exec.Cmd, error)
	// answers returns nil when the server at the other end serves.
	answers(net.Conn) error
	// stopSignal asks it to end in order.
	stopSignal() syscall.Signal
}

var engines = map[string]engine{Postgres: postgres{}, Redis: redis{}, Kafka: kafka{}, Cassandra: cassandra{}, redisNodeName: redisNode{}}

// installation is where an engine's programs are.
type installation struct {
	version string
	// bin is the folder of the programs, or of the jars of Kafka and Cassandra.
	bin string
	// libraries, unless "", is where programs find what the system lacks.
	libraries string
	// java is the program that runs the jars.
	java string
}

// tool returns one of the programs.
func (i installation) tool(name string) Program {
	p := Program{Path: filepath.Join(i.bin, name)}
	if i.libraries != "" {
		p.Env = []string{"LD_LIBRARY_PATH=" + i.libraries}
	}
	return p
}

// command returns one of the programs, ready to start, which no context ends.
func (i installation) command(name string, args ...string) *exec.Cmd {
	return i.tool(name).Command(context.Background(), args...)
}

// MissingError says that an engine cannot be had on this machine, and what to
// do. Nothing is wrong with Skein then: a test may skip.
type MissingError struct {
	Engine string
	// Why says what is not there, Remedy how to get it.
	Why, Remedy string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s cannot be had: %s; %s", e.Engine, e.Why, e.Remedy)
}

// Tester is the part of *testing.T that [Require] uses.
type Tester interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Require ends a test unless err is nil. Where an engine cannot be had that is
// a loud skip on a laptop, and a failure if CI is "true".
func Require(t Tester, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var missing *MissingError
	if errors.As(err, &missing) && (os.Getenv("CI") != "true" || unwanted()) {
		t.Skipf("SKIP, NOT TESTED: %v", err)
	}
	t.Fatalf("%v", err)
}

// noServers is the variable that, if "none", has Start refuse: for the tests that
// need no servers.
const noServers = "SKEIN_TEST_ENGINES"

func unwanted() bool { return os.Getenv(noServers) == "none" }

// ignoreInstalled is the variable that, if "true", has engines fetched although
// they are installed.
const ignoreInstalled = "SKEIN_ENGINES_FETCH"

// installed returns whether programs of this machine may be used.
func installed() bool { return os.Getenv(ignoreInstalled) != "true" }

// versionOf asks a program for its version, which follows mark in its answer,
// and returns it with its first number; 0 if it does not tell.
func versionOf(command *exec.Cmd, mark string) (version string, major int) {
	out, err := command.CombinedOutput()
	if err != nil {
		return "", 0
	}
	_, after, _ := strings.Cut(string(out), mark)
	version, _, _ = strings.Cut(after+" ", " ")
	version = strings.Trim(strings.TrimSpace(version), `"`)
	first, _, _ := strings.Cut(version, ".")
	major, _ = strconv.Atoi(first)
	return version, major
}
