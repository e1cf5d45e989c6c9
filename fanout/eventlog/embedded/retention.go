package embedded

import (
	"bytes"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// trimsPerRetention is how often a partition is looked at, so that it holds done
// records for at most that part of Retention longer.
const trimsPerRetention = 24

// trim removes the records of a partition that every group which ever consumed
// the topic has done, and that are older than Retention. It runs in a call of
// Commit, for it is commits that make records removable; it needs no timer. Its
// work is some twenty seeks and one range delete, at most once an hour by
// default. It need not be synced: what a crash takes back is done again.
func (l *Log) trim(t *topic, partition int) {
	now := l.clock()
	t.mu.Lock()
	p := &t.mu.partitions[partition]
	due := !now.Before(p.trimAt)
	if due {
		p.trimAt = now.Add(l.retention / trimsPerRetention)
	}
	from, to := p.floor, t.doneByAll(partition)
	t.mu.Unlock()
	if !due {
		return
	}
	cut, err := l.firstSince(t, partition, from, to, now.Add(-l.retention))
	if err == nil && cut > from {
		err = l.remove(t, partition, cut)
	}
	if err != nil {
		l.logger.Error("cannot remove old records of the event log; will try again",
			"folder", l.fate.dir, "topic", t.name, "partition", partition, "error", err)
	}
}

// doneByAll is the least committed offset of a partition; the caller holds t.mu,
// and knows that there is a group.
func (t *topic) doneByAll(partition int) int64 {
	done := int64(math.MaxInt64)
	for _, g := range t.mu.groups {
		done = min(done, g.committed[partition])
	}
	return done
}

// firstSince returns the offset of the first record in [from, to) that was
// appended at or after since; to if there is none. Append times never fall, so
// that halving finds it.
func (l *Log) firstSince(t *topic, partition int, from, to int64, since time.Time) (int64, error) {
	it, err := l.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	end := recordKey(t.id, partition, to)
	for from < to {
		middle := from + (to-from)/2
		if !it.SeekGE(recordKey(t.id, partition, middle)) || !lessKey(it.Key(), end) {
			if err := it.Error(); err != nil {
				return 0, err
			}
			to = middle // nothing lies there
			continue
		}
		h, err := headerOf(it.Value())
		if err != nil {
			return 0, err
		}
		if h.appended.Before(since) {
			from = offsetOf(it.Key()) + 1
		} else {
			to = middle
		}
	}
	return from, nil
}

// remove deletes a partition's records below cut, and notes that it did. A Reset
// may have gone back meanwhile, a group may have begun at the floor: those
// records stay.
func (l *Log) remove(t *topic, partition int, cut int64) error {
	t.order.Lock()
	defer t.order.Unlock()
	t.mu.Lock()
	from := t.mu.partitions[partition].floor
	cut = min(cut, t.doneByAll(partition))
	t.mu.Unlock()
	if cut <= from {
		return nil
	}
	b := l.db.NewBatch()
	defer b.Close()
	_ = b.DeleteRange(recordKey(t.id, partition, from), recordKey(t.id, partition, cut), nil)
	_ = b.Set(partitionKey(floorPrefix, t.id, partition), offsetValue(cut), nil)
	if err := l.guarded(func() error { return l.db.Apply(b, pebble.NoSync) }); err != nil {
		return err
	}
	t.mu.Lock()
	t.mu.partitions[partition].floor = cut
	t.mu.Unlock()
	return nil
}

func lessKey(a, b []byte) bool { return bytes.Compare(a, b) < 0 }
