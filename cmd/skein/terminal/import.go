package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/internal/progress"
	"skein/feed"
	"skein/loadgen/graph"
)

// importTimeout is for each call of an import, unless --timeout says otherwise.
const importTimeout = time.Minute

// importing is one run of the command.
type importing struct {
	*options
	file    string
	graph   graph.Options
	from    position
	command string // as it was called, for a person who repeats it
}

func importCommand(o *options) *cobra.Command {
	o.timeout = importTimeout
	i := &importing{options: o}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import an edge list: who follows whom",
		Long: `Import an edge list as on snap.stanford.edu/data, plain or gzipped: a line is
"follower author", numbers separated by blanks, tabs or a comma; further columns,
blank lines and lines that start with # or % are passed over. If the file has a
node 0, every id is its node plus 1. Users that do not exist are made. - reads stdin.

Importing something twice is importing it once. Ctrl-C, or a server that goes away,
prints how to go on where it stopped. --timeout is for each 100,000 follows.`,
		Example: `  skein import facebook_combined.txt.gz --undirected
  skein import twitter_combined.txt --json`,
		Args: o.arguments(0, argument{"FILE", func(text string) error {
			i.file = text
			return nil
		}}),
		RunE: func(c *cobra.Command, _ []string) error {
			i.command = c.CommandPath()
			return i.run(c)
		},
	}
	f := c.Flags()
	f.BoolVar(&i.graph.Reverse, "reverse", false, "the file's lines are author, follower")
	f.BoolVar(&i.graph.Undirected, "undirected", false, "each line is a follow in both directions")
	f.BoolVar(&i.graph.SkipBad, "skip-bad", false, "count malformed lines instead of refusing the file")
	f.Var(&i.from, "resume-from", "go on at the `position` that an import printed when it stopped")
	return c
}

// run reads the file, sends it, and says what became of each line. Nothing is
// sent before the whole file was read.
func (i *importing) run(c *cobra.Command) error {
	s, err := i.connect(c.Context()) // before the file is read, which may take long
	if err != nil {
		return err
	}
	defer s.close()
	shown := progress.New(c.ErrOrStderr())
	defer shown.Stop()
	g, notes, err := i.read(c.InOrStdin(), shown)
	if err != nil {
		return err
	}
	if err := i.from.check(g); err != nil {
		return err
	}
	result := newImportResult(i.file, g, notes)
	if !i.json {
		if err := result.writeRead(c.OutOrStdout()); err != nil {
			return err
		}
	}

	// From here on the first signal stops in good order; the next one kills.
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	shown.Stage("import", g.Follows())
	began := time.Now()
	sent := &sender{options: i.options, server: s, graph: g, shown: shown, result: result}
	if err := sent.send(ctx, i.from.follows); err != nil {
		shown.Stop()
		return i.stopped(ctx, err, g, sent.acknowledged)
	}
	shown.End()
	result.Seconds = time.Since(began).Seconds()
	if i.json {
		return writeJSON(c.OutOrStdout(), result)
	}
	return result.writeSent(c.OutOrStdout())
}

// read reads the file, or stdin for "-", and shows how much of it.
func (i *importing) read(stdin io.Reader, shown *progress.Progress) (*graph.Graph, graph.Notes, error) {
	name, size := "stdin", int64(0)
	if i.file != "-" {
		f, err := os.Open(i.file)
		if err != nil {
			return nil, graph.Notes{}, fmt.Errorf("cannot read the graph: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		stdin, name = f, i.file
	}
	shown.Stage("read", size)
	g, notes, err := graph.Read(counted{stdin, shown}, name, i.graph)
	if feed.CodeOf(err) == feed.CodeInvalid && !i.graph.SkipBad && strings.Contains(err.Error(), ": line ") {
		err = &Failure{What: err.Error(), Advice: []string{"If only some lines are bad: --skip-bad passes over them and counts them."}}
	}
	if err != nil {
		return nil, notes, err
	}
	shown.End()
	return g, notes, nil
}

// counted is a reader that shows its bytes.
type counted struct {
	io.Reader
	shown *progress.Progress
}

func (c counted) Read(p []byte) (n int, err error) {
	n, err = c.Reader.Read(p)
	c.shown.Add(int64(n))
	return n, err
}

// stopped says how to go on after an import that did not come to its end.
func (i *importing) stopped(ctx context.Context, err error, g *graph.Graph, acknowledged int64) error {
	if errors.Is(err, errOtherData) {
		return err
	}
	f := &Failure{What: "interrupted"}
	if ctx.Err() == nil && !errors.As(err, &f) {
		f.What = err.Error()
	}
	f.Advice = append(f.Advice, fmt.Sprintf("%s of %s are imported. To go on:",
		Grouped(acknowledged), Count(g.Follows(), "follow", "follows")), "  "+i.again(g, acknowledged))
	return f
}

// again is the command that goes on.
func (i *importing) again(g *graph.Graph, acknowledged int64) string {
	words := []string{i.command, quoted(i.file)}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--reverse", i.graph.Reverse}, {"--undirected", i.graph.Undirected}, {"--skip-bad", i.graph.SkipBad}, {"--json", i.json}} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	words = append(words, "--target "+quoted(i.target))
	if i.timeout != importTimeout {
		words = append(words, "--timeout "+i.timeout.String())
	}
	if acknowledged > 0 {
		words = append(words, "--resume-from "+positionIn(g, acknowledged).String())
	}
	return strings.Join(words, " ")
}

// quoted is a word for a shell.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
