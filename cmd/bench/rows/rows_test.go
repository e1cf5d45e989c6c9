package rows

import (
	"context"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"skein/cmd/bench/report"
	"skein/deploy/local/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is one that takes no longer than it must.
func bench(t *testing.T) *Bench {
	return &Bench{
		Dir: t.TempDir(), Rounds: 1, Phase: 200 * time.Millisecond, Brief: true,
		Log: slog.New(slog.DiscardHandler), Progress: func(line string) { t.Log(line) },
	}
}

// tiny is every row, small enough for a test.
var tiny = []Row{
	createPosts{users: 100, follows: 1_000, clients: 8},
	deliver{users: 500, follows: 5_000, celebrities: 1, share: 0.5, entries: 50, posts: 300},
	million{followers: 40_000, entries: 10, target: 1},
	homeReads{users: 300, follows: 6_000, celebrities: 1, share: 0.5, posts: 3_000, clients: 8, target: 0.6},
	latency{users: 300, follows: 3_000, posts: 3_000, readers: 5, few: 20, many: 200},
	bystanders{users: 300, follows: 6_000, posts: 3_000, fans: 2_000, burst: 20, postRate: 50, readRate: 50},
	entryBytes{timelines: 1_000, entries: 800},
	deliverRedis{onServers, deliver{users: 500, follows: 5_000, celebrities: 1, share: 0.5, entries: 800, posts: 300}, 0.7},
	million{on: onServers, followers: 40_000, entries: 10, target: 3.5},
	homeReads{on: onRedis, users: 300, follows: 6_000, celebrities: 1, share: 0.5, posts: 3_000, clients: 8, target: 0.4},
	entryBytesRedis{timelines: 10, entries: timelineCap},
	readsIn{viewers: 300, follows: 20, authors: 100, posts: 3_000, clients: 4},
	createPosts{on: onServers, users: 100, follows: 1_000, clients: 8},
	deliverRedis{onCluster, deliver{users: 500, follows: 5_000, celebrities: 1, share: 0.5, entries: 800, posts: 300}, 0.6},
	createPosts{on: onAll, users: 100, follows: 1_000, clients: 8},
	authorPages{authors: 20, posts: 60, clients: 4},
	lagServers{users: 300, follows: 6_000, posts: 10_000, clients: 8, reads: 2},
}

// cheapest is the row that is measured in a short test.
var cheapest = entryBytes{timelines: 1_000, entries: 800}

// Every row of the plan gives its figures, with all that the schema asks for, and
// leaves nothing on the disk. Short: the cheapest of them.
func TestRows(t *testing.T) {
	rows := append(slices.Clone(tiny), readsSpread{viewers: 100, follows: 5, posts: 60, clients: 4})
	if testing.Short() {
		rows = []Row{cheapest}
	}
	for _, row := range rows {
		t.Run(row.Names()[0], func(t *testing.T) {
			if _, heap := row.(entryBytes); !heap { // which is the process's
				t.Parallel()
			}
			b := bench(t)
			b.Sizes = true
			if needsCassandra(row) {
				if os.Getenv("SKEIN_TEST_CLUSTERS") != "true" {
					t.Skip("starts a Cassandra of its own for each row, two minutes in all; make test-cluster runs it")
				}
				b.Phase = time.Second // its first calls take that long
			}
			figures, err := row.Measure(t.Context(), b)
			servers.Require(t, err)
			var names []string
			for _, f := range figures {
				names = append(names, f.Name)
				check(t, f)
			}
			for _, cost := range b.Costs {
				for engine, of := range cost.Of {
					if math.IsNaN(of) || of < 0 || cost.Row != names[0] {
						t.Errorf("%v of %s for a %s of %s", of, engine, cost.Unit, cost.Row)
					}
				}
			}
			if !slices.Equal(names, row.Names()) {
				t.Errorf("figures %v, want %v", names, row.Names())
			}
			if left, err := os.ReadDir(b.Dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

func needsCassandra(row Row) bool {
	name := row.Names()[0]
	return strings.HasSuffix(name, "_cassandra") || name == "reads_spread"
}

func check(t *testing.T, f report.Row) {
	t.Helper()
	// Where sizes are tiny, what counts from an acknowledgement may be there before it.
	instant := f.Value == 0 && f.Name == "million_memory"
	if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) || f.Value <= 0 && !instant {
		t.Errorf("%s is %v", f.Name, f.Value)
	}
	if f.Unit == "" || f.Better != report.Higher && f.Better != report.Lower || f.Target != nil && *f.Target <= 0 {
		t.Errorf("%s: unit %q, better %q, target %v", f.Name, f.Unit, f.Better, f.Target)
	}
	if (f.Ceiling == nil) != (f.CeilingName == nil) || f.Ceiling != nil && !(*f.Ceiling > 0) {
		t.Errorf("%s: ceiling %v, named %v", f.Name, f.Ceiling, f.CeilingName)
	}
	for _, want := range []string{" users, ", " live timelines, ", " bytes a post, ", " threads; ", "; left out: "} {
		if !strings.Contains(f.Setup, want) {
			t.Errorf("%s: the setup says nothing of %q: %s", f.Name, want, f.Setup)
		}
	}
}

// The rows of the design, in its order; the tiny ones are the same.
func TestAll(t *testing.T) {
	want := []string{
		"posts_embedded", "deliveries_memory", "million_memory", "reads_memory", "read_latency_follows",
		"bystander_lag", "bystander_read_p99", "bytes_memory",
		"deliveries_redis", "million_redis", "reads_redis", "bytes_redis", "reads_vs_postgres_in", "posts_postgres",
		"deliveries_cluster", "posts_cassandra", "author_page_cassandra", "lag_servers_p50", "lag_servers_p99",
	}
	for _, rows := range [][]Row{All(), tiny} {
		var names []string
		for _, row := range rows {
			names = append(names, row.Names()...)
		}
		if !slices.Equal(names, want) {
			t.Errorf("rows %v, want %v", names, want)
		}
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  []string // the first name of each row found
		bad   bool
	}{
		{nil, []string{"posts_embedded", "deliveries_memory", "million_memory", "reads_memory", "read_latency_follows", "bystander_lag", "bytes_memory", "deliveries_redis", "million_redis", "reads_redis", "bytes_redis", "reads_vs_postgres_in", "posts_postgres", "deliveries_cluster", "posts_cassandra", "author_page_cassandra", "lag_servers_p50"}, false},
		{[]string{"bytes_memory"}, []string{"bytes_memory"}, false},
		{[]string{"bystander_read_p99"}, []string{"bystander_lag"}, false},
		{[]string{"bystander_read_p99", "bystander_lag", "million_memory"}, []string{"million_memory", "bystander_lag"}, false},
		{[]string{"million_memory", "nonsense"}, nil, true},
	} {
		found, err := Find(All(), c.names...)
		var got []string
		for _, row := range found {
			got = append(got, row.Names()[0])
		}
		if (err != nil) != c.bad || !slices.Equal(got, c.want) {
			t.Errorf("Find(%v) = %v, %v; want %v", c.names, got, err, c.want)
		}
		if c.bad && !(strings.Contains(err.Error(), "nonsense") && strings.Contains(err.Error(), "reads_memory")) {
			t.Errorf("the error names neither the row nor those there are: %v", err)
		}
	}
}

func TestRowsEndWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := bench(t)
	b.Phase = time.Hour
	b.Progress = func(string) { time.AfterFunc(300*time.Millisecond, cancel) }
	if _, err := tiny[0].Measure(ctx, b); err == nil {
		t.Error("an interrupted row gave a figure")
	}
	if left, err := os.ReadDir(b.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
