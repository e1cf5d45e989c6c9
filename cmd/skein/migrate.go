package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/internal/engines"
	"skein/fanout"
)

// migrateTime bounds a migration, waits for others that do the same included.
const migrateTime = 10 * time.Minute

func (p *program) migrateCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "migrate",
		GroupID: serverGroup,
		Short:   "Make or update schemas and topics on the servers",
		Long: `Make or update what the servers must have before skein serve runs on them: the schema
in PostgreSQL or Cassandra, the topics in Kafka. It may be run again, and by several at once; what is
there already is left alone. The engines inside the process need none of it.`,
		Example: `  skein migrate --posts postgres://skein@db/skein --graph postgres://skein@db/skein --log kafka://k1,k2,k3
  SKEIN_LOG=kafka://k1 skein migrate --posts postgres://skein@db/skein`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(); err != nil {
				return err
			}
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, migrateTime)
			defer cancel()
			done := 0
			err := engines.Migrate(ctx, o.config.Engines, engines.Options{
				Topics: fanout.Topics(), Clock: time.Now, Logger: o.warnings(),
			}, func(server string) {
				done++
				fmt.Fprintf(o.stdout, "%s is up to date\n", server)
			})
			if err == nil && done == 0 {
				fmt.Fprintln(o.stdout, "Nothing to do: these engines need no migration.")
			}
			return err
		},
	}
	o.bind(cmd, "posts", "graph", "log", "allow-weak")
	return cmd
}

// warnings is where engines that a command opens write what they have to say.
func (p *program) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
