package capacity

// Costs is what one post, one delivery and one read take.
type Costs struct {
	Engines []Engine
	// Utilization is how busy processors may be at the peak, and how full memory and
	// disks, 0 to 1.
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
	// Least is the fewest machines with which it goes on when one of them dies, where
	// that is more than Replicas.
	Least float64

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

	// OneMachine says that the engine does not spread: all of a copy is on one. Instead
	// says what to do when that is too small.
	OneMachine bool
	Instead    string
	// OneCore says that each server runs on one core: the only one of a copy, or one
	// of a cluster's masters.
	OneCore bool
	// Parts tells how the engine is divided when it serves a load; nil for nothing.
	Parts func(Load, Need) string
}

// Topics that work goes through, and the partitions of each, as fan-out makes them,
// whatever the load: their number is part of what is stored.
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
		kafka(e("kafka"), m, deliveriesRow),
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
	return Costs{Utilization: utilization, Engines: []Engine{
		skein(e("skein")),
		graph,
		cassandra(e("cassandra"), m),
		kafka(e("kafka"), m, spreadDeliveriesRow),
		redisCluster(e("redis-cluster"), m),
	}}
}
