package capacity

import (
	"fmt"
	"math"
)

// Costs is what one post, one delivery and one read take.
type Costs struct {
	Engines []Engine
	// Utilization is how busy processors may be at the peak, 0 to 1.
	Utilization float64
}

// Engine is the costs of one engine. Post, Delivery and Read are microseconds of
// processor time; the rest is bytes. Zero is none.
type Engine struct {
	Name                 string
	Post, Delivery, Read float64
	// Replicas is how many copies of its data there are. Each does the work of every
	// post and delivery; a read is the work of ReadFrom of them.
	Replicas, ReadFrom float64

	// PostBytes is what a post takes on disk beside its text, which is there
	// PostCopies times; FollowBytes what a follow takes, both its sides.
	PostBytes, PostCopies, FollowBytes float64
	// EventBytes is what the record of a post takes in the log beside its text,
	// which is there EventCopies times, for EventDays.
	EventBytes, EventCopies, EventDays float64
	// TimelineBytes is what a stored timeline takes in memory.
	TimelineBytes float64

	// What goes over the wire for a post, a delivery and a read, beside the texts;
	// a post moves its own WirePosts times, a read those of ReadPosts posts.
	PostWire, WirePosts, DeliveryWire, ReadWire, ReadPosts float64

	// OneMachine says that the engine does not spread: all of a copy is on one.
	OneMachine bool
	// Parts tells how the engine is divided when it serves a load; nil for nothing.
	Parts func(Load, Need) string
}

// Topics that work goes through, and the partitions of each, as fan-out makes them.
const (
	Topics     = 4
	Partitions = 8
)

// What is chosen, not measured.
const (
	utilization = 0.5
	// page is how many posts a read has; eventDays how long the log is kept.
	page, eventDays = 50, 7
	// The rows of the bench that the costs come from, without and with a spread.
	postsRow, spreadPostsRow           = "posts_postgres", "posts_cassandra"
	deliveriesRow, spreadDeliveriesRow = "deliveries_redis", "deliveries_cluster"
	readsRow, spreadReadsRow           = "reads_vs_postgres_in", "reads_spread"
	bytesRow                           = "bytes_redis"
)

// Servers returns the costs with PostgreSQL, Kafka and Redis. Processor time, and bytes
// on disk and in memory, are those of m; the clients of the bench are counted as Skein's.
// Bytes on the wire are rough estimates, not measured.
func Servers(m Measured) Costs {
	e := func(name string) Engine { return m.engine(name, postsRow, deliveriesRow, readsRow) }
	return Costs{Utilization: utilization, Engines: []Engine{
		skein(e("skein")),
		postgres(e("postgres"), m),
		kafka(e("kafka"), m),
		redis(e("redis"), m),
	}}
}

// Spread returns them with posts in Cassandra, users and follows in PostgreSQL, Kafka,
// and timelines in a Redis Cluster.
func Spread(m Measured) Costs {
	e := func(name string) Engine { return m.engine(name, spreadPostsRow, spreadDeliveriesRow, spreadReadsRow) }
	graph := postgres(e("postgres"), m)
	graph.PostBytes, graph.PostCopies, graph.PostWire, graph.WirePosts = 0, 0, 100, 0
	graph.ReadWire, graph.ReadPosts = 100, 0
	cluster := redis(e("redis-cluster"), m)
	cluster.Parts = func(_ Load, n Need) string {
		masters := math.Ceil(max(3, float64(n.Machines)/cluster.Replicas))
		return fmt.Sprintf("%.0f masters with %.0f of the 16,384 slots each, %.1f MB a slot", masters, 16384/masters, n.Memory/cluster.Replicas/16384/1e6)
	}
	return Costs{Utilization: utilization, Engines: []Engine{
		skein(e("skein")),
		graph,
		cassandra(e("cassandra"), m),
		kafka(e("kafka"), m),
		cluster,
	}}
}

// engine is one whose processor time three rows have measured.
func (m Measured) engine(name, posts, deliveries, reads string) Engine {
	return Engine{
		Name: name, Replicas: 1, ReadFrom: 1,
		Post: m.of(posts, Post, name), Delivery: m.of(deliveries, Delivery, name), Read: m.of(reads, Read, name),
	}
}

func skein(e Engine) Engine {
	e.PostWire, e.WirePosts, e.ReadWire, e.ReadPosts = 200, 2, page*30, page
	return e
}

// postgres is a primary and its standby.
func postgres(e Engine, m Measured) Engine {
	e.Replicas, e.OneMachine = 2, true
	e.PostBytes, e.PostCopies = m.of(postsRow, PostBytes, "postgres"), 1
	e.FollowBytes = m.of(readsRow, FollowBytes, "postgres")
	e.PostWire, e.WirePosts, e.DeliveryWire, e.ReadWire, e.ReadPosts = 600, 1, 10, 20*page, page
	return e
}

// cassandra has three copies of everything, and asks two of them when it reads. A post's
// text is in its own row and in its author's.
func cassandra(e Engine, m Measured) Engine {
	const authorDays = 398 // of ids in a partition of an author
	e.Replicas, e.ReadFrom = 3, 2
	e.PostBytes, e.PostCopies = m.of(spreadPostsRow, PostBytes, "cassandra"), 2
	e.PostWire, e.WirePosts, e.ReadWire, e.ReadPosts = 1000, 3, 120*page, page
	e.Parts = func(l Load, _ Need) string {
		posts := min(authorDays, l.Days) * l.Posts
		return fmt.Sprintf("a partition for each post, and one for each author and %d days: %.0f posts of %.0f KB for the mean author", authorDays, posts, posts*(e.PostBytes/2+l.PostBytes)/1e3)
	}
	return e
}

// kafka keeps a record of each post, without its text, in each topic that it passes. What
// it takes during reads is its consumers' polling, and left out.
func kafka(e Engine, m Measured) Engine {
	e.Read, e.Replicas, e.ReadFrom = 0, 3, 0
	e.EventBytes, e.EventDays = m.of(postsRow, PostBytes, "kafka"), eventDays
	e.PostWire = 180
	e.Parts = func(l Load, _ Need) string {
		return fmt.Sprintf("%d topics of %d partitions, so at most %d workers; %.0f posts a second in each at the peak", Topics, Partitions, Partitions, l.Rates().Posts/Partitions)
	}
	return e
}

// redis has a master and a replica of each timeline, and reads from the master.
func redis(e Engine, m Measured) Engine {
	e.Replicas = 2
	e.TimelineBytes = m.of(bytesRow, TimelineBytes, "redis")
	e.DeliveryWire, e.ReadWire = 60, 2500
	return e
}
