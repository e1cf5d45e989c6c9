// Command bench measures Skein: each figure of the design beside its ceiling, in
// the same run. It binds flags to package rows, and writes what comes out as a
// table to stdout and as JSON to a file.
//
// It exits with 0 when everything was measured, whether or not targets were
// reached, 1 when something could not be, and 2 when it was called wrongly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/bench/report"
	"skein/cmd/bench/rows"
	"skein/cmd/internal/capacity"
	"skein/cmd/internal/threads"
)

const (
	exitDone  = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	threads.Spare() // as skein serve does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the run in good order; the next one kills.
	context.AfterFunc(ctx, stop)
	os.Exit((&program{all: rows.All(), stdout: os.Stdout, stderr: os.Stderr}).run(ctx, os.Args[1:]))
}

// program is one run of the command line. The table goes to stdout, all else to
// stderr.
type program struct {
	all            []rows.Row
	stdout, stderr io.Writer
}

// usageError is an error of the caller's.
type usageError struct{ error }

// run does what args say and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(p.stderr, "bench: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok || !began {
		fmt.Fprintln(p.stderr, "See bench --help.")
		return exitUsage
	}
	return exitError
}

func (p *program) command() *cobra.Command {
	b := &rows.Bench{
		Log:      slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Progress: func(line string) { fmt.Fprintln(p.stderr, line) },
	}
	var names []string
	var out, costs string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Skein, each figure beside its ceiling",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if costs != "" {
				b.Sizes, p.all = true, rows.ForCosts()
			}
			chosen, err := rows.Find(p.all, names...)
			if err != nil {
				return usageError{err}
			}
			if b.Rounds < 1 || b.Phase <= 0 {
				return usageError{fmt.Errorf("--rounds and --phase must be positive, not %d and %v", b.Rounds, b.Phase)}
			}
			if err := p.measure(cmd.Context(), b, chosen, out); err != nil || costs == "" {
				return err
			}
			return writeCosts(costs, b.Costs, len(names) == 0)
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := cmd.Flags()
	f.StringSliceVar(&names, "row", nil, "measure only the row of this `name`; may be repeated")
	f.StringVar(&out, "out", "out/bench.json", "`file` for the figures; data of the run lies in its folder meanwhile, which should be on a disk")
	f.IntVar(&b.Rounds, "rounds", 5, "how often value and ceiling take turns")
	f.DurationVar(&b.Phase, "phase", 1500*time.Millisecond, "how long a turn takes")
	f.StringVar(&costs, "costs", "", "measure only what skein plan reckons with, and write it to this `file`, unless a row fails; with --row, of those rows")
	f.StringVar(&b.Profiles, "profiles", "", "`folder` for a CPU profile of each row's last turn, and one of its allocations")
	return cmd
}

// writeCosts writes what capacity is planned with. If that is not all of it, the rest of
// the file stays, and its note says so.
func writeCosts(path string, costs []capacity.Cost, all bool) error {
	machine := report.ThisMachine()
	m := capacity.Measured{Cores: machine.Cores, Memory: machine.Memory, Date: time.Now().UTC().Format(time.DateOnly), Costs: costs}
	if !all {
		old, err := os.ReadFile(path)
		var before capacity.Measured
		if err = errors.Join(err, json.Unmarshal(old, &before)); err != nil {
			return err
		}
		m.Note = "not all in one run"
		m.Costs = append(slices.DeleteFunc(before.Costs, func(old capacity.Cost) bool {
			return slices.ContainsFunc(costs, func(c capacity.Cost) bool { return c.Row == old.Row && c.Unit == old.Unit })
		}), costs...)
	}
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

// measure measures rows one after another. One that fails does not stop the
// others, and is not in the report.
func (p *program) measure(ctx context.Context, b *rows.Bench, chosen []rows.Row, out string) error {
	b.Dir = filepath.Dir(out)
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	var measured []report.Row
	var errs []error
	for _, row := range chosen {
		begin := time.Now()
		figures, err := row.Measure(ctx, b)
		if ctx.Err() != nil {
			return errors.New("interrupted; nothing was written")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", row.Names(), err))
		}
		measured = append(measured, figures...)
		fmt.Fprintf(p.stderr, "%v took %v\n", row.Names(), time.Since(begin).Round(time.Second))
	}
	r := report.New(report.ThisMachine(), measured)
	errs = append(errs, r.Table(p.stdout), r.Write(out))
	return errors.Join(errs...)
}
