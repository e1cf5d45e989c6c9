package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

func (p *program) downCommand() *cobra.Command {
	var wipe bool
	command := &cobra.Command{
		Use:   "down [engine …]",
		Short: "Stop engines (all, if none is named); their data stays",
		Long: `Stop the engines that up started, all if none is named. A process is stopped
only if it is the one that was started, not another that has its id now.`,
		Example: "  local down\n  local down --wipe",
		Args:    engineArgs,
		RunE: func(command *cobra.Command, args []string) error {
			return p.down(command.Context(), chosen(args, known), wipe)
		},
	}
	command.Flags().BoolVar(&wipe, "wipe", false, "remove their data and logs as well")
	return command
}

func (p *program) down(ctx context.Context, names []string, wipe bool) error {
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		unlock()
		_ = os.Remove(p.dir) // if nothing is left in it
	}()
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { errs[i] = p.downOne(ctx, name, wipe) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (p *program) downOne(ctx context.Context, name string, wipe bool) error {
	s, err := servers.Open(p.folder(name))
	switch {
	case err == nil && s.Running():
		if err := s.Stop(ctx); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "stopped %s (pid %d)\n", name, s.Pid())
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if wipe {
		return os.RemoveAll(p.folder(name))
	}
	return nil
}
