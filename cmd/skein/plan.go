package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"skein/cmd/internal/capacity"
	"skein/cmd/skein/terminal"
	"skein/loadgen/graph"
)

// planned is what `skein plan` answers.
type planned struct {
	Load    capacity.Load    `json:"load"`
	Rates   capacity.Rates   `json:"peak_rates"`
	Machine capacity.Machine `json:"machine"`
	// Utilization is capacity.Costs.Utilization.
	Utilization float64         `json:"utilization"`
	Engines     []capacity.Need `json:"engines"`
}

func (p *program) planCommand() *cobra.Command {
	o := &dataOptions{program: p}
	engines, costs := "servers", false
	load := capacity.Load{Users: 1_000_000, Follows: 200, Active: 0.5, Pushed: 0.9, Posts: 2, Reads: 20, Peak: 3, PostBytes: 140, Days: 365}
	machine := capacity.Machine{Cores: 16, Memory: 64, Disk: 2000}
	var file string
	var undirected bool
	cmd := &cobra.Command{
		Use:     "plan",
		GroupID: serverGroup,
		Short:   "Compute what a number of users needs of each engine",
		Long: `Compute what a load needs of each engine, on servers: processors at the peak, memory,
disk, network, and how many machines that is. The costs of one post, delivery and read
are measured, but for the network's, which are estimates; --costs prints them, and
docs/capacity.md names the runs and shows the formulas. It is arithmetic for a first
guess: measure before you buy.`,
		Example: `  skein plan --users 10000000 --follows 150 --active 0.3
  skein plan --users 100000000 --engines cluster
  skein plan --graph follows.txt.gz --posts 1 --reads 40 --json`,
		Args: wants(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			measured := capacity.LastMeasured()
			if costs {
				return o.answer(measured, func(w io.Writer) error { return writeCosts(w, measured) })
			}
			plan, ok := map[string]func(capacity.Measured) capacity.Costs{"servers": capacity.Servers, "cluster": capacity.Spread}[engines]
			if !ok {
				return usageError{fmt.Errorf("there are no engines %q: say servers, or cluster", engines)}
			}
			if file != "" {
				if cmd.Flags().Changed("users") || cmd.Flags().Changed("follows") {
					return usageError{errors.New("--graph says how many users and follows there are; leave --users and --follows out")}
				}
				g, _, err := graph.Open(file, graph.Options{Undirected: undirected})
				if err != nil {
					return err
				}
				load.Users, load.Follows = int64(g.Users()), float64(g.Follows())/float64(g.Users())
			}
			if err := load.Validate(); err != nil {
				return usageError{err}
			}
			if !(machine.Cores >= 1 && machine.Memory > 0 && machine.Disk > 0) {
				return usageError{errors.New("a machine has at least one core, and some memory and disk")}
			}
			bytes := capacity.Machine{Cores: machine.Cores, Memory: machine.Memory * 1e9, Disk: machine.Disk * 1e9}
			c := plan(measured)
			answer := planned{load, load.Rates(), bytes, c.Utilization, capacity.Plan(load, c, bytes)}
			for _, e := range answer.Engines {
				if math.IsNaN(e.Cores + e.Memory + e.Disk) {
					return fmt.Errorf("what %s costs has not been measured: run make costs in the repository, and build", e.Engine)
				}
			}
			return o.answer(answer, answer.write)
		},
	}
	f := cmd.Flags()
	f.Int64Var(&load.Users, "users", load.Users, "how many users there are")
	f.Float64Var(&load.Follows, "follows", load.Follows, "how many users one follows, on average")
	f.Float64Var(&load.Audience, "audience", 0, "how many followers the author of a post has, on average over posts; 0 for as many as --follows")
	f.Float64Var(&load.Active, "active", load.Active, "share of users who read within 30 days, 0 to 1")
	f.Float64Var(&load.Pushed, "pushed", load.Pushed, "share of deliveries that is pushed, 0 to 1; see: skein policy")
	f.Float64Var(&load.Posts, "posts", load.Posts, "posts of a user a day")
	f.Float64Var(&load.Reads, "reads", load.Reads, "reads of an active user a day")
	f.Float64Var(&load.Peak, "peak", load.Peak, "the busiest minute, in times of the mean")
	f.Float64Var(&load.PostBytes, "post-bytes", load.PostBytes, "bytes of a post")
	f.Float64Var(&load.Days, "days", load.Days, "days that posts are kept")
	f.Float64Var(&machine.Cores, "machine-cores", machine.Cores, "cores of a machine")
	f.Float64Var(&machine.Memory, "machine-memory", machine.Memory, "memory of a machine in GB")
	f.Float64Var(&machine.Disk, "machine-disk", machine.Disk, "disk of a machine in GB")
	f.StringVar(&engines, "engines", engines, "servers (PostgreSQL, Kafka, Redis), or cluster (posts in Cassandra, timelines in a Redis Cluster)")
	f.BoolVar(&costs, "costs", false, "print the measured costs, and plan nothing")
	f.StringVar(&file, "graph", "", "`file` of edges, plain or gzipped, that says how many users and follows there are")
	f.BoolVar(&undirected, "undirected", false, "each edge of --graph is two follows")
	f.BoolVar(&o.json, "json", false, "answer in JSON, for scripts")
	return cmd
}

func (a planned) write(w io.Writer) error {
	fmt.Fprintf(w, "At the peak: %s posts, %s deliveries and %s reads a second.\n\n",
		terminal.Grouped(int64(a.Rates.Posts)), terminal.Grouped(int64(a.Rates.Deliveries)), terminal.Grouped(int64(a.Rates.Reads)))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "ENGINE\tCORES\tMEMORY\tDISK\tNETWORK\tMACHINES\t")
	for _, e := range a.Engines {
		machines := fmt.Sprint(e.Machines)
		if e.TooLarge != "" {
			machines = "-"
		}
		fmt.Fprintf(table, "%s\t%.1f\t%s\t%s\t%.1f MB/s\t%s\t\n", e.Engine, e.Cores, gigabytes(e.Memory), gigabytes(e.Disk), e.Network/1e6, machines)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, e := range a.Engines {
		if e.Parts != "" {
			fmt.Fprintf(w, "%s: %s.\n", e.Engine, e.Parts)
		}
		if e.TooLarge != "" {
			fmt.Fprintf(w, "This %s %s.\n", e.Engine, e.TooLarge)
		}
	}
	_, err := fmt.Fprintf(w, "\nA machine has %.0f cores, %.0f GB of memory, %.0f GB of disk, and at most %.0f %% of each is in use: CORES has the rest in it, MEMORY and DISK have not. Replicas are counted, what each process takes anyway is not.\n",
		a.Machine.Cores, a.Machine.Memory/1e9, a.Machine.Disk/1e9, 100*a.Utilization)
	return err
}

// gigabytes is "-" for what does not grow with the load.
func gigabytes(bytes float64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f GB", bytes/1e9)
}

// writeCosts writes what was measured, a line for each row of the bench.
func writeCosts(w io.Writer, m capacity.Measured) error {
	names := []string{"skein", "postgres", "cassandra", "kafka", "redis", "redis-cluster"}
	fmt.Fprintf(w, "Microseconds of processor time, or bytes, for one; measured on %s with %d cores and %.0f GB of memory by: make costs\n\n",
		m.Date, m.Cores, float64(m.Memory)/1e9)
	if m.Note != "" {
		fmt.Fprintf(w, "Beware: %s.\n\n", m.Note)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "ONE\tROW\t%s\t\n", strings.ToUpper(strings.Join(names, "\t")))
	for _, c := range m.Costs {
		fmt.Fprintf(table, "%s\t%s\t", c.Unit, c.Row)
		for _, name := range names {
			cell := "-"
			if cost, ok := c.Of[name]; ok {
				cell = strconv.FormatFloat(cost, 'f', 1, 64)
			}
			fmt.Fprintf(table, "%s\t", cell)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
