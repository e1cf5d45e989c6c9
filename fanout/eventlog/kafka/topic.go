package kafka

import (
	"fmt"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"skein/fanout/eventlog"
)

// topic is what does not change of a topic, and what is remembered of its records.
type topic struct {
	eventlog.Topic
	name   string        // in Kafka
	limit  int           // most bytes of a batch of records that Kafka takes
	spread atomic.Uint32 // the partition of the next append without a key
	marks  []marks       // by partition
	checks checks        // of what groups committed of it
}

// partitionOf places a key by its hash, the same in every engine. It must not
// change.
func (t *topic) partitionOf(key []byte) int {
	return int(xxhash.Sum64(key) % uint64(t.Partitions))
}

// check reports a partition that the topic does not have.
func (t *topic) check(partition int) error {
	if partition < 0 || partition >= t.Partitions {
		return fmt.Errorf("event log: topic %q has partitions 0 to %d, not %d", t.Name, t.Partitions-1, partition)
	}
	return nil
}

func (l *Log) topic(name string) (*topic, error) {
	t, ok := l.topics[name]
	if !ok {
		return nil, fmt.Errorf("event log: topic %q is unknown; name it when the log is opened", name)
	}
	return t, nil
}
