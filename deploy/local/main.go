// Command local runs real engines for Skein on this machine: PostgreSQL, Kafka,
// Redis and, if asked, a Redis Cluster and Cassandra as plain processes on 127.0.0.1
// (of Cassandra also three nodes, on 127.0.0.1 to 127.0.0.3), without containers and
// without root, fetched when they are not installed. It is for development and tests;
// what it knows of engines is in package servers, and it knows nothing of Skein but the
// names of its variables.
//
// It exits with 0 when all went well, 1 when it failed, 2 when it was called
// wrongly, and 3 when an engine cannot be had on this machine, of which stderr
// tells; the others run then. `with` exits as its command does. (`go run` turns each of these into 1.)
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitMissing = 3
)

// known are all engines, in the order in which they are shown. `with` runs those that
// are tested, `up` the usual ones where none is named: others take longer.
var (
	usual  = []string{servers.Postgres, servers.Kafka, servers.Redis}
	tested = append(slices.Clone(usual), servers.RedisCluster, servers.Cassandra)
	known  = append(slices.Clone(tested), servers.CassandraCluster)
)

// engine is a server, or a cluster of them.
type engine interface {
	Name() string
	URL() string
	Version() string
	Log() string
	Running() bool
	Pid() int
	Memory() int64
	Stop(context.Context) error
}

// open returns the engine that ran in its folder; os.ErrNotExist if none did.
func (p *program) open(name string) (engine, error) {
	switch name {
	case servers.RedisCluster:
		return servers.OpenCluster(p.folder(name))
	case servers.CassandraCluster:
		return servers.OpenRing(p.folder(name))
	default:
		return servers.Open(p.folder(name))
	}
}

func main() {
	closeOnExec()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit((&program{stdout: os.Stdout, stderr: os.Stderr}).run(ctx, os.Args[1:]))
}

// program is one run of the command line.
type program struct {
	stdout, stderr io.Writer
	// dir is the folder in which each engine has one of its own.
	dir string
}

// missingError says which engines cannot be had; the others run.
type missingError struct {
	engines []error // one for each, with how to get it
	of      int     // were asked for
}

func (e missingError) Error() string {
	return fmt.Sprintf("%d of %d engines cannot be had on this machine", len(e.engines), e.of)
}

// run does what args say and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	// What cobra finds wrong, it finds before it runs anything.
	began := false
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		began = true
		return p.findDir()
	}
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if failed, ok := errors.AsType[commandError](err); ok {
		return failed.code
	}
	line := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if !began {
		fmt.Fprintf(p.stderr, "local: %s (see %s --help)\n", line, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(p.stderr, "local: %s\n", line)
	if _, ok := errors.AsType[missingError](err); ok {
		return exitMissing
	}
	return exitError
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "local",
		Short:         "Real engines for Skein on this machine, without containers and without root",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&p.dir, "dir", "", "`folder` of the servers' data and logs (default .cache/run in the repository)")
	root.AddCommand(p.upCommand(), p.downCommand(), p.statusCommand(), p.envCommand(), p.withCommand(), p.pinCommand())
	return root
}

func (p *program) findDir() (err error) {
	if p.dir == "" {
		root, err := servers.Repository()
		if err != nil {
			return fmt.Errorf("%w: say --dir", err)
		}
		p.dir = filepath.Join(root, ".cache", "run")
	}
	p.dir, err = filepath.Abs(p.dir)
	return err
}

// engineArgs are names of engines; none means the usual ones.
func engineArgs(_ *cobra.Command, args []string) error {
	for _, name := range args {
		if !slices.Contains(known, name) {
			return fmt.Errorf("no engine is called %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// chosen returns the engines that args name, each once; those of others if it names
// none.
func chosen(args, others []string) []string {
	if len(args) == 0 {
		return others
	}
	return slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !slices.Contains(args, name) })
}

// folder is where an engine has its data.
func (p *program) folder(engine string) string { return filepath.Join(p.dir, engine) }

// lock keeps other runs on the same folder waiting, until ctx ends.
func (p *program) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	return servers.Lock(ctx, filepath.Join(p.dir, "lock"))
}

// running returns the servers that run, of those in names.
func (p *program) running(names []string) (found []engine, err error) {
	for _, name := range names {
		s, err := p.open(name)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, err
		case s.Running():
			found = append(found, s)
		}
	}
	return found, nil
}
