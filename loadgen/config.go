package loadgen

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"skein/feed"
	"skein/loadgen/graph"
)

// Workload names what the load does over time.
type Workload string

const (
	// Steady is the same mix from beginning to end.
	Steady Workload = "steady"
	// Spike is Steady, and in the middle of it the celebrities post in a burst.
	Spike Workload = "spike"
)

// SyntheticGraph is the Config.Graph that is drawn and not read from a file.
const SyntheticGraph = "synthetic"

// Config says what to run. Start from DefaultConfig.
type Config struct {
	// Targets are addresses of servers, host:port; calls go round robin.
	Targets []string
	// Metrics are URLs of the servers' metrics, as many as there are servers to
	// sum over. Empty: what only they tell is unknown.
	Metrics []string

	Workload Workload

	// Graph is the path of an edge list, or SyntheticGraph.
	Graph        string
	GraphOptions graph.Options // of a file
	// Users, Follows and CelebrityShare shape a synthetic graph.
	Users          int
	Follows        int64
	CelebrityShare float64 // of the users follow each celebrity, 0 to 1
	// Celebrities is how many of the most followed users count as such.
	Celebrities int

	Rate      float64       // calls a second, without the burst
	ReadShare float64       // of these calls are home reads, 0 to 1
	Burst     int           // posts of the celebrities together
	Duration  time.Duration // of the load
	// Sample is how many viewers are checked; 0 means all up to 50,000, of
	// larger graphs 5,000.
	Sample   int
	LagBound time.Duration
	// NoProbes leaves the lag unmeasured. A probe waits for its post for long,
	// which a run on a server that loses posts may not want to.
	NoProbes bool
	// Seed repeats the graph and the choice of every call.
	Seed uint64

	// CallTimeout bounds a call; one that takes longer has an unknown outcome.
	CallTimeout time.Duration
	// InFlight bounds the calls of the load that wait for the server.
	InFlight int
	// Progress is told how far the run is; nil tells nobody.
	Progress Progress
}

// Progress is told how far a run is. Its methods may be called concurrently,
// except for Stage.
type Progress interface {
	// Stage begins a stage of total steps.
	Stage(name string, total int64)
	// Add says that n more steps of the stage are done.
	Add(n int64)
	// Note says something that the user should know.
	Note(format string, args ...any)
}

// DefaultConfig is a steady run on a small synthetic graph against a server on
// this machine.
func DefaultConfig() Config {
	return Config{
		Targets:        []string{"127.0.0.1:7460"},
		Workload:       Steady,
		Graph:          SyntheticGraph,
		Users:          10_000,
		Follows:        400_000,
		Celebrities:    5,
		CelebrityShare: 0.3,
		Rate:           500,
		ReadShare:      0.5,
		Burst:          25,
		Duration:       30 * time.Second,
		LagBound:       5 * time.Second,
		Seed:           1,
		CallTimeout:    5 * time.Second,
		InFlight:       1024,
	}
}

// ErrConfig is in the chain of every error that says that a run cannot begin
// because of what it was asked to do.
var ErrConfig = errors.New("wrong configuration")

// Validate returns every mistake in c, each under its flag's name.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, flag, must string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("%w: --%s must be %s", ErrConfig, flag, must))
		}
	}
	check(len(c.Targets) > 0, "target", "given")
	for _, m := range c.Metrics {
		u, err := url.Parse(m)
		check(err == nil && strings.HasPrefix(u.Scheme, "http") && u.Host != "", "metrics", "a URL like http://127.0.0.1:7461")
	}
	check(c.Workload == Steady || c.Workload == Spike, "workload", "steady or spike")
	check(c.Graph != "", "graph", "a file or synthetic")
	check(c.Rate > 0 && c.Rate <= 1e6, "rate", "above 0 and at most 1,000,000")
	check(c.ReadShare >= 0 && c.ReadShare <= 1, "read-share", "from 0 to 1")
	check(c.Burst >= 0, "burst", "0 or more")
	check(c.Workload != Spike || c.Burst > 0 && c.Celebrities > 0, "burst", "above 0 for a spike, and --celebrities too")
	check(c.Celebrities >= 0, "celebrities", "0 or more")
	check(c.Duration > 0, "duration", "above 0")
	check(c.LagBound > 0, "lag-bound", "above 0")
	check(c.Sample >= 0, "sample", "0 or more")
	check(c.CallTimeout > 0, "call-timeout", "above 0")
	check(c.InFlight > 0, "in-flight", "above 0")
	return errors.Join(wrong...)
}

// OpenGraph reads or draws the graph, and notes what a file held that could not
// be used. The error wraps ErrConfig. Of c it uses what shapes the graph, Seed
// and Progress.
func (c Config) OpenGraph() (*graph.Graph, error) {
	if c.Progress == nil {
		c.Progress = silent{}
	}
	if c.Graph == SyntheticGraph {
		g, err := graph.Synthesize(graph.Synthetic{
			Users: c.Users, Follows: c.Follows, Celebrities: c.Celebrities,
			CelebrityShare: c.CelebrityShare, Seed: c.Seed,
		})
		return g, asFlags(err)
	}
	g, notes, err := graph.Open(c.Graph, c.GraphOptions)
	if err != nil {
		return nil, fmt.Errorf("%w: graph: %w", ErrConfig, err)
	}
	if notes.Shifted {
		c.Progress.Note("%s contains node 0: every id is one higher here", c.Graph)
	}
	if notes.Skipped > 0 {
		c.Progress.Note("%s: %d bad lines skipped; the first: %s", c.Graph, notes.Skipped, notes.FirstSkipped)
	}
	return g, nil
}

// asFlags names the flags of a graph's description that are wrong.
func asFlags(err error) error {
	wrong, ok := errors.AsType[*feed.Error](err)
	if !ok {
		return err
	}
	var all []error
	for _, f := range wrong.Fields {
		flag := strings.ReplaceAll(f.Field, "_", "-")
		all = append(all, fmt.Errorf("%w: --%s %s", ErrConfig, flag, f.Description))
	}
	return errors.Join(all...)
}

// sample is how many of users are checked.
func (c Config) sample(users int) int {
	switch {
	case c.Sample > 0:
		return min(c.Sample, users)
	case users <= 50_000:
		return users
	default:
		return 5_000
	}
}

// noted is a Progress that remembers its notes, for the report.
type noted struct {
	Progress
	mu struct {
		sync.Mutex
		notes []string
	}
}

func (n *noted) Note(format string, args ...any) {
	n.mu.Lock()
	n.mu.notes = append(n.mu.notes, fmt.Sprintf(format, args...))
	n.mu.Unlock()
	n.Progress.Note(format, args...)
}

func (n *noted) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.mu.notes)
}

// silent is the Progress that tells nobody.
type silent struct{}

func (silent) Stage(string, int64) {}
func (silent) Add(int64)           {}
func (silent) Note(string, ...any) {}
