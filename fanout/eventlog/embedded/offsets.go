package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/feed"
)

// commit moves a group's offset, in memory and in the batch that it returns, for
// which the caller waits. The caller holds the topic's order lock.
func (l *Log) commit(t *topic, g *group, partition int, offset int64) (*pebble.Batch, error) {
	b := l.db.NewBatch()
	l.put(b, t, partition, g.name, offset)
	if err := l.apply(b); err != nil {
		return nil, err
	}
	t.mu.Lock()
	g.committed[partition] = offset
	t.mu.Unlock()
	return b, nil
}

// standing returns a group's committed offsets, the floors for a group that
// never was, and the heads.
func (t *topic) standing(group string) (committed, heads []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.mu.groups[group]; g != nil {
		committed = slices.Clone(g.committed)
	} else {
		committed = t.floors()
	}
	for _, p := range t.mu.partitions {
		heads = append(heads, p.head)
	}
	return committed, heads
}

// Committed implements eventlog.Log. A group that never was begins at the oldest
// record kept.
func (l *Log) Committed(ctx context.Context, group, topic string) ([]int64, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	committed, _ := t.standing(group)
	return committed, nil
}

// Pending implements eventlog.Log. It costs one seek for each partition, at any
// backlog: the first record not committed bounds all that follow it.
func (l *Log) Pending(ctx context.Context, group, topic string) ([]eventlog.Pending, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	committed, heads := t.standing(group)
	it, err := l.db.NewIter(nil)
	if err != nil {
		return nil, l.unreadable(t, err)
	}
	pending := make([]eventlog.Pending, len(heads))
	for i := range pending {
		pending[i] = eventlog.Pending{Partition: i, Count: heads[i] - committed[i], Low: feed.MaxPostID}
		if pending[i].Count > 0 {
			err = errors.Join(err, t.oldest(it, &pending[i], committed[i], heads[i]))
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, l.unreadable(t, err)
	}
	return pending, l.fate.failed()
}

// oldest fills in Low and Since from the first record in [from, head). If there
// is none (they are missing, or were done and removed just now) it says 0, which
// bounds everything.
func (t *topic) oldest(it *pebble.Iterator, p *eventlog.Pending, from, head int64) error {
	p.Low = 0
	if !it.SeekGE(recordKey(t.id, p.Partition, from)) || !lessKey(it.Key(), recordKey(t.id, p.Partition, head)) {
		return it.Error()
	}
	h, err := headerOf(it.Value())
	if err == nil {
		p.Low, p.Since = h.low, h.appended
	}
	return err
}

// Reset implements eventlog.Log. An offset older than what is retained means the
// oldest record, one beyond the end means the end. A group that never was is
// made.
func (l *Log) Reset(ctx context.Context, group, topic string, partition int, offset int64) error {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return err
	}
	defer leave()
	if err := t.check(partition); err != nil {
		return err
	}
	if group == "" {
		return fmt.Errorf("event log: a group of topic %q has no name", topic)
	}
	if err := l.register(t, group); err != nil {
		return err
	}
	t.order.Lock()
	b, err := l.reset(t, group, partition, offset)
	t.order.Unlock()
	if err != nil {
		return err
	}
	return l.wait(b)
}

func (l *Log) reset(t *topic, group string, partition int, offset int64) (*pebble.Batch, error) {
	t.mu.Lock()
	g, p := t.group(group), t.mu.partitions[partition]
	busy := len(g.members) > 0 || slices.ContainsFunc(g.owners, func(m *member) bool { return m != nil })
	t.mu.Unlock()
	if busy {
		return nil, feed.Invalid(feed.Violation{
			Field:       "group",
			Description: fmt.Sprintf("%q has members in topic %q; stop them before its offsets are moved", group, t.name),
		})
	}
	return l.commit(t, g, partition, min(max(offset, p.floor), p.head))
}
