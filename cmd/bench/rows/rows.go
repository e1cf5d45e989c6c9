// Package rows measures Skein: each row is one figure of the design, on the real
// engines, with its ceiling measured beside it. It knows targets, and neither
// decides nor hides whether they are reached.
//
// # How a row is measured
//
// Its stores lie in a folder of its own, on the disk that Bench.Dir is on, and go
// when the row ends. Servers that a row needs are its own: started in that folder,
// as durable as in production, and stopped when the row ends, however it does; where
// one cannot be had, the row fails with what to do. Set-up and a first round for warm-up are not counted. Then
// value and ceiling take turns, so that what changes on the machine meanwhile
// meets both, and each is told as the median of its rounds. Clients run in this
// process, and share its processors with the server.
package rows

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
)

// Bench is what all rows share.
type Bench struct {
	// Dir is the folder in which rows make theirs. It should be on a disk.
	Dir string
	// Rounds is how often value and ceiling take turns, at least 1.
	Rounds int
	// Phase is how long each turn of a closed or open loop takes.
	Phase time.Duration
	// Log takes what the parts under test have to say.
	Log *slog.Logger
	// Profiles, unless "", is the folder to which each row writes a profile of
	// the processors in its last turn, and one of all its allocations.
	Profiles string
	// Costs gets what a unit of work took of each engine, of every row that knows.
	Costs []capacity.Cost
	// Brief is that of servers.Spec: for tests, as it makes the figures wrong.
	Brief bool
	// Sizes has rows look at the files of their servers as well, for Costs.
	Sizes bool
	// Progress is told what a row is at; nil for silence.
	Progress func(string)
}

// Row is one figure, or a few that are measured together.
type Row interface {
	// Names of the figures, in the order of Measure's.
	Names() []string
	// Measure takes up to two minutes. It ends early when ctx does.
	Measure(ctx context.Context, b *Bench) ([]report.Row, error)
}

// All returns every row at the size of the design.
func All() []Row {
	return []Row{
		createPosts{users: 10_000, follows: 200_000, clients: 64},
		deliver{users: 100_000, follows: 2_200_000, celebrities: 2, share: 0.05, entries: 800, posts: 10_000},
		million{followers: 1_000_000, entries: 100, target: 1},
		homeReads{users: 20_000, follows: 800_000, celebrities: 5, share: 0.6, posts: 250_000, clients: 64, target: 0.6},
		latency{users: 20_000, follows: 400_000, celebrities: 5, share: 0.6, posts: 200_000, readers: 200, few: 50, many: 5_000},
		bystanders{users: 10_000, follows: 400_000, posts: 20_000, fans: 200_000, burst: 5, postRate: 200, readRate: 1_000},
		entryBytes{timelines: 20_000, entries: 800},
		deliverRedis{onServers, deliver{users: 100_000, follows: 1_000_000, celebrities: 2, share: 0.05, entries: 800, posts: 5_000}, 0.7},
		million{on: onServers, followers: 1_000_000, entries: 50, target: 3.5},
		homeReads{on: onRedis, users: 20_000, follows: 800_000, celebrities: 5, share: 0.6, posts: 60_000, clients: 64, target: 0.4},
		entryBytesRedis{timelines: 500, entries: timelineCap},
		readsIn{viewers: 2_000, follows: 200, authors: 80_000, posts: 2_000_000, clients: 64},
		createPosts{on: onServers, users: 10_000, follows: 200_000, clients: 64},
		deliverRedis{onCluster, deliver{users: 50_000, follows: 500_000, celebrities: 2, share: 0.05, entries: 800, posts: 5_000}, 0.6},
		createPosts{on: onAll, users: 10_000, follows: 200_000, clients: 64},
		authorPages{authors: 400, posts: 100, clients: 64},
		lagServers{users: 10_000, follows: 400_000, posts: 200_000, clients: 64, reads: 5},
	}
}

// ForCosts returns the rows that a plan of capacity is made of: those of [All] that know
// what a post, a delivery and a read cost on servers, and what no other row measures,
// reads of posts in Cassandra.
func ForCosts() []Row {
	rows, err := Find(All(), "posts_postgres", "posts_cassandra", "deliveries_redis", "deliveries_cluster", "reads_vs_postgres_in", "bytes_redis")
	if err != nil {
		panic(err) // they are named above
	}
	return append(rows, readsSpread{viewers: 400, follows: 20, posts: 50, clients: 8})
}

// Find returns those of all that measure one of names; all of them when there
// are no names. An unknown name is an error that lists the known.
func Find(all []Row, names ...string) ([]Row, error) {
	if len(names) == 0 {
		return all, nil
	}
	var found []Row
	var known []string
	for _, row := range all {
		known = append(known, row.Names()...)
		if slices.ContainsFunc(row.Names(), func(n string) bool { return slices.Contains(names, n) }) {
			found = append(found, row)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no row %q; choose from %v", name, known)
		}
	}
	return found, nil
}
