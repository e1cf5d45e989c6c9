package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

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

// loadTopic reads a topic's state from the store.
func loadTopic(db *pebble.DB, name string, stored storedTopic) (*topic, error) {
	t := &topic{name: name, id: stored.id, tails: make([]tail, stored.partitions)}
	t.mu.partitions = make([]partition, stored.partitions)
	t.mu.groups = map[string]*group{}
	for i := range t.tails {
		if err := t.loadPartition(db, i); err != nil {
			return nil, fmt.Errorf("read topic %q, partition %d: %w", name, i, err)
		}
	}
	return t, nil
}

func (t *topic) loadPartition(db *pebble.DB, i int) error {
	p, end := &t.mu.partitions[i], &t.tails[i]
	floor, closer, err := db.Get(partitionKey(floorPrefix, t.id, i))
	if err == nil {
		p.floor = int64(binary.BigEndian.Uint64(floor))
		err = closer.Close()
	} else if errors.Is(err, pebble.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	// The floor counts: after all records were removed, it alone keeps their
	// offsets from being given again.
	end.next = p.floor
	if err := t.loadTail(db, i, end); err != nil {
		return err
	}
	p.head = end.next
	prefix := partitionKey(commitPrefix, t.id, i)
	return scan(db, prefix, func(key, value []byte) error {
		if len(value) != 8 {
			return errShortValue
		}
		g := t.group(string(key[len(prefix):]))
		g.committed[i] = int64(binary.BigEndian.Uint64(value))
		if g.committed[i] > p.head {
			return fmt.Errorf("group %q committed offset %d, but the records end at %d", g.name, g.committed[i], p.head)
		}
		return nil
	})
}

// loadTail finds the last record, which every later one follows.
func (t *topic) loadTail(db *pebble.DB, i int, end *tail) error {
	it, err := db.NewIter(bounds(partitionKey(recordPrefix, t.id, i)))
	if err != nil {
		return err
	}
	if it.Last() {
		h, err := headerOf(it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		*end = tail{next: max(end.next, offsetOf(it.Key())+1), appended: h.appended.UnixNano()}
	}
	return it.Close()
}
