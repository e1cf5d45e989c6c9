package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"skein/cmd/internal/progress"
	"skein/loadgen"
	"skein/loadgen/graph"
	"skein/loadgen/report"
)

// largest is how many of the most followed users are listed.
const largest = 10

func (p *program) graphCommand() *cobra.Command {
	o := options{Config: loadgen.DefaultConfig()}
	c := &cobra.Command{
		Use:   "graph",
		Short: "Print the shape of a graph, and with --out write it as an edge list",
		Long: `Print the shape of a graph, drawn as a run would draw it, or read from --graph:
degrees by percentile, the largest users, and the exponent of the tails by maximum
likelihood (Clauset, Shalizi, Newman 2009). With --out, write it as an edge list
"follower author", which --graph of every command reads.`,
		Example: `  loadgen graph --users 1000000 --follows 50000000 --out graph.txt.gz
  loadgen graph --graph graph.txt.gz`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkGraph(c.Flags()); err != nil {
				return err
			}
			return p.graph(c.Context(), o)
		},
	}
	o.bindGraph(c.Flags())
	c.Flags().StringVar(&o.out, "out", "", "`file` for the edge list, compressed if its name ends in .gz")
	return c
}

func (p *program) graph(ctx context.Context, o options) error {
	shown := progress.New(p.stderr)
	defer shown.Stop()
	o.Progress = shown
	shown.Stage("graph", 1)
	g, err := o.OpenGraph()
	if err != nil {
		return err
	}
	if o.out != "" {
		shown.Stage("write", 1)
		if err := g.Save(ctx, o.out); err != nil {
			return err
		}
	}
	shown.Stage("shape", 1)
	followers, followed := g.Followers(), g.Followed()
	shown.End()
	return printShape(p.stdout, g, followers, followed)
}

// printShape writes what was found, in tables for people.
func printShape(to io.Writer, g *graph.Graph, followers, followed graph.Degrees) error {
	fmt.Fprintf(to, "%s users, %s follows\n\nHow many a user has\n",
		report.Integer(int64(g.Users())), report.Integer(g.Follows()))
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\tmean\t")
	for _, share := range graph.Shares {
		fmt.Fprintf(w, "%s\t", shareName(share))
	}
	fmt.Fprintln(w)
	printDegrees(w, "followers", followers)
	printDegrees(w, "follows", followed)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprint(to, "\nTails: the power laws x^-exponent that fit best (Clauset, Shalizi, Newman 2009)\n")
	printTail(to, "followers", followers.Tail)
	printTail(to, "follows", followed.Tail)
	fmt.Fprint(to, "\nMost followed\n")
	fmt.Fprint(w, "user\tfollowers\tfollows\t\n")
	ranked := g.ByFollowers()
	for _, i := range ranked[:min(largest, len(ranked))] {
		fmt.Fprintf(w, "%d\t%s\t%s\t\n", g.ID(i), report.Integer(int64(g.FollowerCount(i))), report.Integer(int64(len(g.Following(i)))))
	}
	return w.Flush()
}

func printDegrees(w io.Writer, what string, d graph.Degrees) {
	fmt.Fprintf(w, "%s\t%.1f\t", what, d.Mean)
	for _, n := range d.Quantiles {
		fmt.Fprintf(w, "%s\t", report.Integer(int64(n)))
	}
	fmt.Fprintln(w)
}

func shareName(share float64) string {
	switch share {
	case 0:
		return "least"
	case 1:
		return "most"
	default:
		return fmt.Sprintf("p%g", 100*share)
	}
}

// printTail says how well the law fits, too, since the best may be a bad one.
func printTail(to io.Writer, what string, t *graph.Tail) {
	if t == nil {
		fmt.Fprintf(to, "  %s: too few users differ to tell\n", what)
		return
	}
	fmt.Fprintf(to, "  %s: exponent %.3f ± %.3f, from %s on (%s users); distance from the law %.3f (Kolmogorov-Smirnov)\n",
		what, t.Exponent, t.Error, report.Integer(int64(t.Cut)), report.Integer(int64(t.Count)), t.Distance)
}
