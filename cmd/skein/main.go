// Command skein is the server: it keeps posts and follows, fans posts out, and
// answers home timelines over gRPC. See `skein serve --help`. It is also a client
// of such a server; see package terminal.
//
// It exits with 0 when all went well, 1 when it failed, and 2 when it was called
// wrongly and did nothing; the last two with one line on stderr, or more where a
// server's answer says more.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"skein/cmd/skein/terminal"
)

// version is set by the linker; see the Makefile.
var version = "unknown"

const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2

	// serverGroup is where the help lists the commands that open the data.
	serverGroup = "server"
)

func main() {
	os.Exit((&program{environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}).run(os.Args[1:]))
}

// program is one run of the command line.
type program struct {
	environ        []string
	stdin          io.Reader
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
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	command, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	if failure, ok := errors.AsType[*terminal.Failure](err); ok {
		fmt.Fprintf(p.stderr, "skein: %s\n", failure)
		return exitError
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
	root.AddGroup(&cobra.Group{ID: serverGroup, Title: "Run a server:"})
	root.AddCommand(p.serveCommand(), p.migrateCommand(), p.policyCommand(), p.checkCommand(), p.backupCommand(), p.restoreCommand(),
		p.deadLettersCommand(), &cobra.Command{
			Use:     "version",
			Short:   "Print the version",
			Example: "  skein version",
			Args:    cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprintf(p.stdout, "skein %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			},
		})
	terminal.AddTo(root, p.target())
	return root
}

// target is where the commands that talk to a server find it, unless told.
func (p *program) target() string {
	for _, variable := range p.environ {
		if value, ok := strings.CutPrefix(variable, envTarget+"="); ok && value != "" {
			return value
		}
	}
	return DefaultConfig().Listen
}
