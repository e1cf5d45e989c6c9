package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what runs, and where",
		Example: "  local status",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.printStatus(known) },
	}
}

// printStatus prints a table of engines. Those that never ran show as absent.
func (p *program) printStatus(names []string) error {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ENGINE\tVERSION\tSTATE\tPID\tMEMORY\tURL\tLOG")
	for _, name := range names {
		s, err := p.open(name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			fmt.Fprintf(table, "%s\t-\tabsent\t-\t-\t-\t-\n", name)
		case err != nil:
			return err
		case s.Running():
			fmt.Fprintf(table, "%s\t%s\truns\t%d\t%s\t%s\t%s\n", name, s.Version(), s.Pid(), megabytes(s.Memory()), s.URL(), s.Log())
		default:
			fmt.Fprintf(table, "%s\t%s\tstopped\t-\t-\t-\t%s\n", name, s.Version(), s.Log())
		}
	}
	return table.Flush()
}

// megabytes prints a size; the system does not tell it to everybody.
func megabytes(bytes int64) string {
	if bytes == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d MB", bytes>>20)
}

// variables are those that name an engine: in tests, and for `skein serve`.
var variables = map[string]struct{ test, serve []string }{
	servers.Postgres: {[]string{"SKEIN_TEST_POSTGRES"}, []string{"SKEIN_POSTS", "SKEIN_GRAPH"}},
	servers.Kafka:    {[]string{"SKEIN_TEST_KAFKA"}, []string{"SKEIN_LOG"}},
	servers.Redis:    {[]string{"SKEIN_TEST_REDIS"}, []string{"SKEIN_TIMELINES"}},

	servers.RedisCluster: {[]string{"SKEIN_TEST_REDIS_CLUSTER"}, []string{"SKEIN_TIMELINES"}},
	servers.Cassandra:    {[]string{"SKEIN_TEST_CASSANDRA"}, []string{"SKEIN_POSTS", "SKEIN_GRAPH"}},

	servers.CassandraCluster: {[]string{"SKEIN_TEST_CASSANDRA"}, []string{"SKEIN_POSTS", "SKEIN_GRAPH"}},
}

func (p *program) envCommand() *cobra.Command {
	var serve bool
	command := &cobra.Command{
		Use:   "env",
		Short: "Print what to export so that tests, or servers, use what runs",
		Long: `Print what to export so that tests, or servers, use what runs. Where several engines
that run are for the same variable, the last one counts: a cluster over one server,
Cassandra over PostgreSQL.`,
		Example: "  eval \"$(go run ./deploy/local env)\"\n  eval \"$(go run ./deploy/local env --servers)\" && bin/skein serve",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.env(serve) },
	}
	command.Flags().BoolVar(&serve, "servers", false, "the variables of `skein serve`, not those of the tests")
	return command
}

func (p *program) env(serve bool) error {
	found, err := p.running(known)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("no engine runs: start some with up")
	}
	for _, s := range found {
		names := variables[s.Name()].test
		if serve {
			names = variables[s.Name()].serve
		}
		for _, name := range names {
			fmt.Fprintf(p.stdout, "export %s='%s'\n", name, s.URL()) // no URL of ours holds a quote
		}
	}
	return nil
}
