package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

func (p *program) withCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "with COMMAND [ARG …]",
		Short: "Run a command with engines for tests beside it",
		Long: `Start the engines that the environment does not name (SKEIN_TEST_POSTGRES and the
like), all but cassandra-cluster, run a command with them in its environment, and stop
and remove those that were started. Kafka and Cassandra are as with up --no-sync:
Cassandra does not wait for its disk, and both compile quickly rather than well. The
exit code is the command's. Of an engine that cannot be had the last lines tell, and
how to get it; with CI=true that is a failure.`,
		Example: "  local with go test ./...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return p.with(command.Context(), args)
		},
	}
	command.Flags().SetInterspersed(false) // what follows COMMAND is its own
	return command
}

// commandError is the failure of the command that with ran, which has said why.
type commandError struct{ code int }

func (e commandError) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }

func (p *program) with(ctx context.Context, args []string) (err error) {
	names := slices.DeleteFunc(slices.Clone(tested), func(name string) bool { return os.Getenv(variables[name].test[0]) != "" })
	if p.dir, err = os.MkdirTemp("", "skein-engines-"); err != nil {
		return err
	}
	var missing missingError
	defer func() { // when all else has been said
		for _, engine := range missing.engines {
			fmt.Fprintf(p.stderr, "NOT TESTED: %v\n", engine)
		}
	}()
	if len(names) > 0 {
		defer func() { err = errors.Join(err, p.down(context.WithoutCancel(ctx), names, true)) }()
		err = p.up(ctx, names, []string{servers.Kafka, servers.Cassandra})
	}
	some := errors.As(err, &missing)
	if err != nil && (!some || os.Getenv("CI") == "true") {
		return err
	}
	return p.runBeside(ctx, args)
}

// runBeside runs a command that finds the engines in its environment. When ctx ends
// it is told to stop, and waited for.
func (p *program) runBeside(ctx context.Context, args []string) error {
	found, err := p.running(tested)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, p.stdout, p.stderr
	command.Env = os.Environ()
	for _, s := range found {
		for _, name := range variables[s.Name()].test {
			command.Env = append(command.Env, name+"="+s.URL())
		}
	}
	err = command.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return commandError{max(failed.ExitCode(), exitError)}
	}
	return err
}
