package fanout

import (
	"context"

	"skein/fanout/eventlog"
)

// The topics of the log. Their names and partitions are part of what is stored.
const (
	topicPosts  = "posts"
	topicLarge  = "chunks-large"
	topicBulk   = "chunks-bulk"
	topicParked = "parked"
	topicAside  = "set-aside"

	// Group is the one consumer group of all workers: what it has pending of Topics is
	// still to be delivered.
	Group = "fanout"

	partitions = 8
)

// Topics returns the topics that the log must have.
func Topics() []eventlog.Topic {
	return []eventlog.Topic{
		{Name: topicPosts, Partitions: partitions},
		{Name: topicLarge, Partitions: partitions},
		{Name: topicBulk, Partitions: partitions},
		{Name: topicParked, Partitions: partitions},
		{Name: topicAside, Partitions: 1, Kept: true},
	}
}

const (
	// smallFollowers is the most followers of a post that is delivered by the
	// planner itself.
	smallFollowers = 1_000
	// largeFollowers is the most followers of a post in the large lane; above
	// it lies bulk.
	largeFollowers = 100_000
	// chunkFollowers is about how many followers a chunk has: hashes are not even, and
	// a few more still fit into one page of a listing, or into two of bulk.
	chunkFollowers = listPage * 15 / 16
)

// laneOf returns the topic for the chunks of a post to so many followers; "" for
// a post that needs none.
func laneOf(followers int64) string {
	switch {
	case followers <= smallFollowers:
		return ""
	case followers <= largeFollowers:
		return topicLarge
	}
	return topicBulk
}

// lane is a topic and what is done with its records.
type lane struct {
	topic string
	// batch is how many records are handled, and repeated, together.
	batch int
	// handle does the work of records, and leaves in later what the log must
	// have before that is done. It is idempotent. An error says that the batch
	// must be handled again; a record that cannot be handled is set aside by
	// handle itself.
	handle func(ctx context.Context, records []eventlog.Record, later later) error
}

func (f *Fanout) lanes() []lane {
	return []lane{
		{topic: topicPosts, batch: 256, handle: f.plan},
		{topic: topicLarge, batch: 16, handle: f.largeLane().handle},
		{topic: topicBulk, batch: 16, handle: f.bulkLane().handle},
		{topic: topicParked, batch: 64, handle: f.deliverParked},
	}
}
