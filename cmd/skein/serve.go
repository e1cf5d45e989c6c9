package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/internal/threads"
)

func (p *program) serveCommand() *cobra.Command {
	config := DefaultConfig()
	settings := config.settings()
	show := false
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: serverGroup,
		Short:   "Run the server",
		Long: `Run the server: the gRPC API, the fan-out behind it, and the embedded engines.

Each setting may be given as a flag, else in the environment (SKEIN_DATA_DIR for
--data-dir; SKEIN_DATA_DIR_FILE names a file that holds the value), else in the
YAML file of --config (data-dir: ...). --print-config shows what comes of it all.

The API is the package feed.v1, in proto/feed/v1. Reflection is on, so that any client
can ask what is there: grpcurl -plaintext 127.0.0.1:7460 list. There is no
authentication and no TLS yet: whoever reaches --listen may act for any user. Port 0
is any free one; --address-file tells which.

SIGTERM and SIGINT stop it: it finishes what is in work, for as long as --drain
says, and exits with 0. Another signal, a second later or more, stops it at once.
Nothing acknowledged is lost either way.`,
		Example: `  skein serve
  skein serve --data-dir /var/lib/skein --listen 10.0.0.5:7460
  SKEIN_LOG_FORMAT=json skein serve --print-config > skein.yaml && skein serve --config skein.yaml`,
		Args: wants(0),
		RunE: func(*cobra.Command, []string) error {
			if err := config.load(settings, p.environ); err != nil {
				return err
			}
			if show {
				return printConfig(p.stdout, settings)
			}
			return p.serve(config)
		},
	}
	cmd.Flags().AddFlagSet(settings)
	offer(cmd, "role", string(roleAll), string(roleAPI), string(roleWorker))
	offer(cmd, "log-level", "debug", "info", "warn", "error")
	offer(cmd, "log-format", "text", "json")
	cmd.Flags().BoolVar(&show, "print-config", false, "print each setting, its value and where that came from, and end")
	return cmd
}

// serve runs an App until a signal, and forces it on another that is meant.
func (p *program) serve(config Config) error {
	threads.Spare()
	log := newLogger(config, p.stderr)
	ctx, stop := untilSignal(func() {
		log.Error("stopped at once by a second signal; nothing acknowledged is lost")
		os.Exit(exitError)
	})
	defer stop()

	// Nothing is served yet, and opening a damaged or full disk may take long.
	stopOpening := context.AfterFunc(ctx, func() {
		log.Info("stopped while starting")
		os.Exit(0)
	})
	app, err := New(config, log)
	stopOpening()
	if err != nil {
		return err
	}
	return errors.Join(app.Run(ctx), app.Close())
}

func newLogger(config Config, to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: config.LogLevel, ReplaceAttr: durationsAsText}
	if config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// durationsAsText keeps a time of half a minute from being 30000000000 in JSON.
func durationsAsText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// burst is how long after the first signal others are taken for the same wish: a
// supervisor and a terminal may each signal the process and its group.
const burst = time.Second

// untilSignal returns a context that the first SIGINT or SIGTERM ends; the next one
// after burst calls force. The caller calls stop to let go of both.
func untilSignal(force func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer cancel()
		for first := (time.Time{}); ; {
			select {
			case <-signals:
			case <-stopped:
				return
			}
			switch {
			case first.IsZero():
				first = time.Now()
				cancel()
			case time.Since(first) > burst:
				force()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
	}
}
