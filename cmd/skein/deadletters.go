package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/internal/engines"
	"skein/cmd/skein/terminal"
	"skein/fanout"
	"skein/storage"
)

func (p *program) deadLettersCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "deadletters",
		GroupID: serverGroup,
		Short:   "List or replay what the fan-out had to set aside",
		Long: `An event that the fan-out cannot handle is set aside with the reason, and holds up
nothing: its post is pulled by those who read. Those events are the dead letters; the
log and the metrics call them set aside. Once the reason is gone, a replay delivers
their posts, and they are off the list.`,
		Example: "  skein deadletters list",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("deadletters wants list or replay")}
		},
	}
	o.bind(cmd, "posts", "graph", "log", "timelines", "allow-weak")
	cmd.AddCommand(o.listCommand(), o.replayCommand())
	return cmd
}

func (o *dataOptions) listCommand() *cobra.Command {
	limit := 100
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List them, oldest first",
		Long:    "List the dead letters, oldest first, with a server on --data-dir or without.",
		Example: "  skein deadletters list --limit 10 --json",
		Args:    wants(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(); err != nil {
				return err
			}
			if limit < 1 {
				return usageError{fmt.Errorf("--limit is %d; at least 1", limit)}
			}
			letters, err := o.deadLetters(cmd.Context(), limit)
			if err != nil {
				return err
			}
			return o.answer(letters, letters.write)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many to list at most")
	return cmd
}

// deadLetters asks the server that has the data directory, else the log itself.
func (o *dataOptions) deadLetters(ctx context.Context, limit int) (deadLetters, error) {
	set, err := engines.OpenLog(ctx, o.config.Engines, engines.Options{
		Topics: fanout.Topics(), Clock: time.Now,
		Logger: o.warnings(),
	})
	if errors.Is(err, engines.ErrInUse) {
		return newAdminClient(o.dir()).deadLetters(ctx, limit)
	}
	if err != nil {
		return deadLetters{}, err
	}
	list, all, err := fanout.ListAside(ctx, set.Log, limit)
	return lettersOf(list, all), errors.Join(err, set.Close())
}

func (o *dataOptions) replayCommand() *cobra.Command {
	var all bool
	var offsets []int64
	cmd := &cobra.Command{
		Use:   "replay --all | OFFSET...",
		Short: "Deliver their posts, and take them off the list",
		Long: `Deliver the posts of the dead letters at these offsets (see list), or of --all, to
all followers of their authors. Those that fail again stay on the list. With embedded
engines a server must run on --data-dir, since it has the timelines; with servers
(--posts, --graph, --log, --timelines) none need run.`,
		Example: `  skein deadletters replay 17 23
  skein deadletters replay --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("deadletters replay wants OFFSET... or --all, and not both")
			}
			for _, text := range args {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil || n < 0 {
					return fmt.Errorf("%q is no offset; see skein deadletters list", text)
				}
				offsets = append(offsets, n)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(); err != nil {
				return err
			}
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			if o.config.Engines.InProcess() == "" {
				return o.replayOnServers(ctx, offsets)
			}
			held, err := engines.Look(o.dir())
			if err == nil {
				return errors.Join(fmt.Errorf("no server runs on %s, so there are no timelines to deliver to; start it (skein serve) and try again", o.dir()), held.Close())
			}
			if !errors.Is(err, engines.ErrInUse) {
				return err
			}
			return o.replay(func(each func(deadLetter)) error { return newAdminClient(o.dir()).replay(ctx, offsets, each) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are on the list when it begins")
	return cmd
}

// replayOnServers replays in this process, as the log and the timelines are everybody's.
func (o *dataOptions) replayOnServers(ctx context.Context, offsets []int64) (err error) {
	set, err := engines.Open(ctx, o.config.Engines, engines.Options{Topics: fanout.Topics(), Clock: time.Now, Logger: o.warnings()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	f, err := fanout.New(fanout.Config{
		Posts: set.Posts, Graph: set.Graph, Timelines: set.Timelines, Log: set.Log,
		Tiers: storage.NewTierCopy(set.Graph, time.Now), Logger: o.warnings(),
	})
	if err != nil {
		return err
	}
	return o.replay(func(each func(deadLetter)) error {
		return f.ReplaySome(ctx, offsets, func(r fanout.Replayed) { each(outcomeOf(r)) })
	})
}

// replay shows each outcome of a replay, or all at the end in JSON.
func (o *dataOptions) replay(replay func(each func(deadLetter)) error) error {
	outcomes, failed := []deadLetter{}, 0
	err := replay(func(l deadLetter) {
		outcomes = append(outcomes, l)
		if !l.Replayed {
			failed++
		}
	})
	err = errors.Join(o.answer(outcomes, func(w io.Writer) error { return writeReplayed(w, outcomes) }), err)
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d failed again and stay on the list", failed, len(outcomes)))
	}
	return err
}

func writeReplayed(w io.Writer, outcomes []deadLetter) error {
	for _, l := range outcomes {
		what := fmt.Sprintf("post %d of user %d was delivered", l.Post, l.Author)
		if l.Post == 0 || l.Author == 0 {
			what = "there is no post to deliver any more"
		}
		if !l.Replayed {
			what = "failed again: " + terminal.OneLine(l.Failed)
		}
		if _, err := fmt.Fprintf(w, "offset %d: %s\n", l.Offset, what); err != nil {
			return err
		}
	}
	if len(outcomes) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was replayed.")
		return err
	}
	return nil
}

// write writes a table, oldest first.
func (l deadLetters) write(w io.Writer) error {
	if l.All == 0 {
		_, err := fmt.Fprintln(w, "No dead letters.")
		return err
	}
	var b bytes.Buffer // cannot fail; w may
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OFFSET\tTIME\tPOST\tAUTHOR\tLANE\tREASON")
	for _, letter := range l.Letters {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", letter.Offset, letter.Time.Local().Format("2006-01-02 15:04:05 -0700"),
			orNone(letter.Post), orNone(letter.Author), letter.Lane, terminal.OneLine(letter.Reason))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more := l.All - len(l.Letters); more > 0 {
		fmt.Fprintf(&b, "%s more; see --limit\n", terminal.Grouped(int64(more)))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func orNone(id int64) string {
	if id == 0 {
		return "-"
	}
	return strconv.FormatInt(id, 10)
}
