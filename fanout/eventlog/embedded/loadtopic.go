package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

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
