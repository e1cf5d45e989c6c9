package capacity

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
	// Replicas is how many copies of its data there are.
	Replicas float64

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
}

// Servers returns the costs with PostgreSQL, Kafka and Redis. Processor time, and bytes
// on disk and in memory, are measured by the runs that docs/capacity.md names; the
// clients of the bench are counted as Skein's. Bytes on the wire are rough estimates,
// not measured; Utilization is a choice.
func Servers() Costs {
	const page = 50
	return Costs{
		Utilization: 0.5,
		Engines: []Engine{
			{Name: "skein", Post: 320, Delivery: 1.6, Read: 536, Replicas: 1, PostWire: 200, WirePosts: 2, ReadWire: page * 30, ReadPosts: page},
			{
				Name: "postgres", Post: 372, Delivery: 0.6, Read: 347, Replicas: 2, OneMachine: true,
				PostBytes: 125, PostCopies: 1, FollowBytes: 158,
				PostWire: 600, WirePosts: 1, DeliveryWire: 10, ReadWire: 20 * page, ReadPosts: page / 2,
			},
			{
				Name: "kafka", Post: 373, Delivery: 1.6, Replicas: 3,
				EventBytes: 87, EventDays: 7, PostWire: 180,
			},
			{
				Name: "redis", Post: 6, Delivery: 4.1, Read: 103, Replicas: 2,
				TimelineBytes: 8320, DeliveryWire: 60, ReadWire: 2500,
			},
		},
	}
}
