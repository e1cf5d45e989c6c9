// Command loadgen loads a Skein server and proves what it answers; `loadgen
// demo` starts the server first. It binds flags to package loadgen, shows how
// far a run is, and writes the report; everything else is there.
//
// It exits with 0 when the run was clean, 1 when a check was violated, a call
// failed that should not, or the run could not be finished, and 2 when it was
// called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"skein/loadgen"
)

// version is set by the linker; see the Makefile.
var version = "unknown"

const (
	exitClean = 0
	exitFault = 1
	exitUsage = 2
)

func main() {
	// A signal ends the run in good order, which takes a moment; more of them do
	// not cut that short, or the demo's server and its folder would be left. Nor
	// does a reader of the output that leaves: a terminal that closes, or head.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := (&program{stdout: os.Stdout, stderr: os.Stderr}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// program is one run of the command line. The report goes to stdout, all else
// to stderr.
type program struct {
	stdout, stderr io.Writer
}

// run does what args say and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	// What cobra finds wrong, it finds before it runs anything.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	command, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitClean
	case !began || errors.Is(err, loadgen.ErrConfig):
		fmt.Fprintf(p.stderr, "loadgen: %v (see %s --help)\n", err, command.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(p.stderr, "loadgen: %v\n", err)
		return exitFault
	}
}

func (p *program) command() *cobra.Command {
	root := p.runCommand()
	root.Version = version
	root.SilenceErrors, root.SilenceUsage = true, true
	root.AddCommand(p.demoCommand(), p.compareCommand(), p.reportCommand(), p.graphCommand())
	return root
}
