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
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/skein/terminal"
	"skein/feed"
)

// version is set by the linker; see the Makefile.
var version = "unknown"

// clock is this process's. A test may bend it.
var clock feed.Clock = time.Now

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
	line := inOneLine(err.Error())
	if _, ok := errors.AsType[usageError](err); ok || !began {
		fmt.Fprintf(p.stderr, "skein: %s (see %s --help)\n", line, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(p.stderr, "skein: %s\n", line)
	return exitError
}

// inOneLine joins the lines of a message.
func inOneLine(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(line), " ")
		switch before := b.String(); {
		case line == "":
			continue
		case strings.HasSuffix(before, ":"), strings.HasSuffix(before, "?"):
			b.WriteString(" ")
		case before != "":
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
