// Command skein is the server: it keeps posts and follows, fans posts out, and
// answers home timelines over gRPC. See `skein serve --help`.
//
// It exits with 0 when all went well, 1 when it could not start or had to stop,
// and 2 when it was called wrongly; the last two with one line on stderr.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker; see the Makefile.
var version = "unknown"

const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	os.Exit((&program{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}).run(os.Args[1:]))
}

// program is one run of the command line.
type program struct {
	environ        []string
	stdout, stderr io.Writer
}

// usageError is an error of the caller's.
type usageError struct{ error }

// run does what args say and returns the exit code.
func (p *program) run(args []string) int {
	root := p.command()
	// What cobra finds wrong, it finds before it runs anything.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	command, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	line := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if _, ok := errors.AsType[usageError](err); ok || !began {
		fmt.Fprintf(p.stderr, "skein: %s (see %s --help)\n", line, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(p.stderr, "skein: %s\n", line)
	return exitError
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "skein",
		Short:         "Home timelines for any number of people",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(p.serveCommand(), p.policyCommand(), &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.stdout, "skein %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	})
	return root
}
