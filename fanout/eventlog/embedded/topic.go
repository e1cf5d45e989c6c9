package embedded

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"skein/fanout/eventlog"
)

// topic is the memory of one topic: its heads, its groups and their members.
type topic struct {
	name   string
	id     uint32
	spread atomic.Uint32 // the partition of the next record without a key

	// order is held while something is decided and handed to Pebble.
	order sync.Mutex
	tails []tail // guarded by order

	mu struct {
		sync.Mutex
		partitions []partition
		groups     map[string]*group
	}
}

// tail is what the next record of a partition gets.
type tail struct {
	next     int64 // its offset
	appended int64 // its append time at least, in ns since 1970; they never fall
}

// partition is what readers know of a partition.
type partition struct {
	floor  int64         // records below were removed
	head   int64         // records below are durable
	wake   chan struct{} // closed when head moves; nil while nobody waits
	trimAt time.Time     // when to look for removable records again
}

// partitionOf places a key by its hash. The hash is part of the layout: it must
// not change.
func (t *topic) partitionOf(key []byte) int {
	return int(xxhash.Sum64(key) % uint64(len(t.tails)))
}

// placeOf places a record by its key; those without one go round in turn.
func (t *topic) placeOf(r *eventlog.Record) int {
	if len(r.Key) == 0 {
		return int(t.spread.Add(1) % uint32(len(t.tails)))
	}
	return t.partitionOf(r.Key)
}

// advance moves heads forward, when the records below are durable, and wakes
// those who wait for them. heads has one for each partition, 0 for none.
func (t *topic) advance(heads []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, head := range heads {
		p := &t.mu.partitions[i]
		if head <= p.head {
			continue
		}
		p.head = head
		if p.wake != nil {
			close(p.wake)
			p.wake = nil
		}
	}
}

// await returns a partition's head if it is above offset, else a channel that is
// closed when it moves.
func (t *topic) await(partition int, offset int64) (head int64, wake <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.mu.partitions[partition]
	if p.head > offset {
		return p.head, nil
	}
	if p.wake == nil {
		p.wake = make(chan struct{})
	}
	return 0, p.wake
}

// check reports a partition that the topic does not have.
func (t *topic) check(partition int) error {
	if partition < 0 || partition >= len(t.tails) {
		return fmt.Errorf("event log: topic %q has partitions 0 to %d, not %d", t.name, len(t.tails)-1, partition)
	}
	return nil
}
