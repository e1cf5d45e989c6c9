// Package eventlog is the contract of the log between those who post and those
// who deliver: topics cut into partitions, read by groups that remember how far
// they got. Engines are its subfolders; logtest holds the suite that each must
// pass. It does not know what its records mean, except that each concerns a post.
//
// The log is the buffer of fan-out, so it may grow for hours while nobody reads.
// Its one promise beyond keeping what it acknowledged is that it can say, cheaply
// and at any backlog, below which post id nothing is left to do: see Record.Low.
//
// Nobody may rely on order: publishers race, and publish again after a crash.
package eventlog

import (
	"context"
	"errors"
	"time"

	"skein/feed"
)

// ErrRevoked is returned by Fetch and Commit when the partition belongs to
// another member of the group now. What was committed before stands.
var ErrRevoked = errors.New("the partition was revoked")

// Record is one item of a topic.
type Record struct {
	// Key decides the partition: equal keys go to the same one.
	Key []byte
	// Value is the event. Appenders must not change Key and Value afterwards;
	// readers own those that they get.
	Value []byte
	// Post is the post concerned; 0 for none.
	Post feed.PostID
	// Low is a lower bound of the posts of this record and of every record
	// that will be appended to its partition after it, but for repeats of what
	// was appended before. Appenders state it; the log believes them.
	Low feed.PostID
	// Partition, Offset and AppendTime are set by the log. Offsets of a
	// partition rise, and mostly by one.
	Partition  int
	Offset     int64
	AppendTime time.Time
}

// Topic names a topic and its number of partitions, fixed when it is made.
type Topic struct {
	Name       string
	Partitions int
	// Kept topics lose nothing by age alone, however long nobody is done with it.
	Kept bool
}

// Pending is what a group has not done of one partition.
type Pending struct {
	Partition int
	// Count of records not committed.
	Count int64
	// Low is a lower bound of their posts; feed.MaxPostID when Count is 0.
	Low feed.PostID
	// Since is when the oldest of them was appended; zero when Count is 0.
	Since time.Time
}

// Batch is what Fetch got.
type Batch struct {
	// Records in the order of their offsets; never empty, unless Gap.
	Records []Record
	// Gap: records before these were lost before the group read them.
	Gap bool
	// Next is the offset to commit when the batch is done.
	Next int64
}

// Partition is one partition assigned to one member. It is used by one goroutine
// at a time.
type Partition interface {
	// ID is its number, from 0.
	ID() int

	// Fetch returns the next records, at most limit and a few MiB of them, in
	// order, each once, from the group's committed offset on; a new group
	// begins at the oldest record kept. It waits for the first. It ends with
	// ErrRevoked, or with the context's error.
	Fetch(ctx context.Context, limit int) (Batch, error)

	// Commit says that every record below offset is done, and lasts. Never
	// backwards: a lower one than before is ignored. After the context of
	// Consume has ended it still works until handle returns. After a
	// revocation it may work until handle returns, and fails with ErrRevoked
	// from when another member has the partition.
	Commit(ctx context.Context, offset int64) error
}

// Log is an event log. All methods are safe for concurrent use, and may fail
// with feed.CodeUnavailable. An unknown topic is a programming error and is
// reported as such.
type Log interface {
	// Append adds records to a topic. When it returns nil they are durable;
	// after an error, some may be.
	Append(ctx context.Context, topic string, records ...Record) error

	// PartitionOf returns the partition to which records with key go. It never
	// changes. It is -1 for an unknown topic, and for an empty key, whose
	// records go to any.
	PartitionOf(topic string, key []byte) int

	// Consume joins a group for a topic and calls handle, in a goroutine of
	// its own, for each partition that this member is given, again and again
	// as the membership changes. The context passed to handle ends when the
	// partition is revoked or ctx ends; handle then returns soon, and nobody
	// else gets the partition before. Consume returns when ctx has ended and
	// every handle has returned: nil, or the first error of a handle that
	// was neither ErrRevoked nor its context's, which also ends the others;
	// an engine may outlast feed.CodeUnavailable of a Commit as well.
	Consume(ctx context.Context, group, topic string, handle func(context.Context, Partition) error) error

	// Pending tells what a group has not done of a topic, by partition. A
	// record counts from before Append returns until its commit.
	Pending(ctx context.Context, group, topic string) ([]Pending, error)

	// Read returns up to limit records of a partition from offset on, a few MiB
	// at most, without a group and without waiting; none means the end. For
	// looking at and replaying old ones.
	Read(ctx context.Context, topic string, partition int, offset int64, limit int) ([]Record, error)

	// Committed returns a group's committed offset of each partition.
	Committed(ctx context.Context, group, topic string) ([]int64, error)

	// Reset moves a group's committed offset of a partition to offset, backward
	// or forward, to the nearest that is retained.
	//
	// feed.CodeInvalid: the group has a member.
	Reset(ctx context.Context, group, topic string, partition int, offset int64) error

	// Close ends it; calls of Consume return first.
	Close() error
}
