package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/progress"
	"skein/cmd/skein/terminal"
	"skein/fanout"
)

// shownOfAKind is how many findings of one kind are told; the others are counted.
const shownOfAKind = 5

// checkResult is what a check says. Its JSON is what scripts see.
type checkResult struct {
	DataDir  string           `json:"dataDir"`
	Sound    bool             `json:"sound"`
	Contents engines.Contents `json:"contents"`
	// Findings are the first few of each kind, Counts has all.
	Findings []finding        `json:"findings"`
	Counts   map[string]int64 `json:"counts"`
}

type finding struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

func (r *checkResult) add(kind, detail string) {
	r.Sound = false
	if r.Counts[kind]++; r.Counts[kind] <= shownOfAKind {
		r.Findings = append(r.Findings, finding{kind, detail})
	}
}

// all is how many things are wrong.
func (r *checkResult) all() (n int64) {
	for _, count := range r.Counts {
		n += count
	}
	return n
}

// amount is how much is wrong, in words.
func (r *checkResult) amount() string {
	if r.all() == 1 {
		return "one thing is"
	}
	return terminal.Grouped(r.all()) + " things are"
}

// check looks at a data directory that nobody changes meanwhile.
func check(ctx context.Context, dir string, shown *progress.Progress) (*checkResult, error) {
	r := &checkResult{DataDir: dir, Sound: true, Findings: []finding{}, Counts: map[string]int64{}}
	shown.Stage("check", 0)
	defer shown.Stop()
	contents, err := engines.Check(ctx, dir, engines.CheckOptions{
		Topics: fanout.Topics(), Origin: fanout.PostsTopic, Key: fanout.PostsKey, Record: fanout.CheckRecord,
		Found: r.add, Step: shown.Add,
	})
	if err != nil {
		return r, err
	}
	shown.End()
	r.Contents = contents
	return r, nil
}

// checkAll is check, and of a backup it compares the files with what was written.
func checkAll(ctx context.Context, dir string, shown *progress.Progress) (*checkResult, error) {
	r, err := check(ctx, dir, shown)
	if err != nil {
		return r, err
	}
	defer shown.Stop()
	begin := func(bytes int64) { shown.Stage("compare", bytes) }
	err = engines.CheckBackup(ctx, dir, begin, shown.Add, func(detail string) { r.add("backup", detail) })
	if err == nil {
		shown.End()
	}
	return r, err
}

// write is for people.
func (r *checkResult) write(w io.Writer) error {
	if err := writeContents(w, r.Contents); err != nil {
		return err
	}
	if r.Sound {
		_, err := fmt.Fprintf(w, "Nothing is wrong in %s.\n", r.DataDir)
		return err
	}
	var kinds []string
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "wrong    %s: %s\n", f.Kind, f.Detail); err != nil {
			return err
		}
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	for _, kind := range kinds {
		if more := r.Counts[kind] - shownOfAKind; more > 0 {
			if _, err := fmt.Fprintf(w, "wrong    %s: %s more\n", kind, terminal.Grouped(more)); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeContents(w io.Writer, c engines.Contents) error {
	unless := func(incomplete bool) string {
		if incomplete {
			return "; incomplete: not all could be read"
		}
		return ""
	}
	_, err := fmt.Fprintf(w, "Storage  %s, %s in the outbox, %s, %s, %s, %s%s\nLog      %s in %s%s\n",
		terminal.Count(c.Posts, "post", "posts"), terminal.Count(c.Outbox, "event", "events"), terminal.Count(c.Users, "user", "users"), terminal.Count(c.Follows, "follow", "follows"),
		terminal.Count(c.Tiers, "tier history", "tier histories"), terminal.Count(c.RequestKeys, "request key", "request keys"), unless(c.StorageIncomplete),
		terminal.Count(c.Records, "record", "records"), terminal.Count(c.Topics, "topic", "topics"), unless(c.LogIncomplete))
	return err
}

// err is what a check ends with if something is wrong.
func (r *checkResult) err() error {
	if r.Sound {
		return nil
	}
	return fmt.Errorf("in %[2]s %[1]s wrong; keep a copy of it, then restore the latest backup that is sound", r.amount(), r.DataDir)
}

func (p *program) checkCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "check",
		GroupID: serverGroup,
		Short:   "Check a data directory, or a backup",
		Long: `Read all data of the embedded engines in --data-dir and say what is wrong with it:
what cannot be read, and what does not fit together; and of a backup, which files are
not as they were written. Nothing is changed. No server may run on it meanwhile; of one
that does, check a backup. Exit code 0: nothing is wrong; 1: something is, or it could
not be checked.`,
		Example: `  skein check
  skein backup /backups/monday && skein check --data-dir /backups/monday`,
		Args: wants(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(); err != nil {
				return err
			}
			held, err := engines.Look(o.dir())
			if errors.Is(err, engines.ErrInUse) {
				return fmt.Errorf("%w; stop that one, or make a backup and check that: skein backup DIR && skein check --data-dir DIR", err)
			}
			if err != nil {
				return err
			}
			defer held.Close()
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			r, err := checkAll(ctx, o.dir(), progress.New(p.stderr))
			if err != nil {
				return err
			}
			return errors.Join(o.answer(r, r.write), r.err())
		},
	}
	o.bind(cmd)
	return cmd
}

// dataOptions is what commands on a data directory are told.
type dataOptions struct {
	*program
	config Config
	json   bool
	load   func() error
}

// bind adds these flags to a command, and those of more, and what reads their other sources.
func (o *dataOptions) bind(cmd *cobra.Command, more ...string) {
	o.config = DefaultConfig()
	settings := o.config.settings()
	for _, name := range append([]string{"config", "data-dir"}, more...) {
		cmd.PersistentFlags().AddFlag(settings.Lookup(name))
	}
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "answer in JSON, for scripts")
	o.load = func() error { return o.config.load(settings, o.environ) }
}

func (o *dataOptions) dir() string { return o.config.Engines.DataDir }

// answer writes a value in JSON if that is asked for, else as people says.
func (o *dataOptions) answer(value any, people func(io.Writer) error) error {
	if !o.json {
		return people(o.stdout)
	}
	encoder := json.NewEncoder(o.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// untilInterrupted is a context that the first signal ends; the next one kills.
func untilInterrupted(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
