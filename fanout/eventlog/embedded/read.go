package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/internal/readonly"
)

// maxReadBytes bounds what one Fetch or Read takes into memory (F4); it may be
// exceeded by the last record.
const maxReadBytes = 4 << 20

// Read implements eventlog.Log. It may return fewer records than there are, when
// they are large; it returns none only where there are none.
func (l *Log) Read(ctx context.Context, topic string, partition int, offset int64, limit int) ([]eventlog.Record, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := t.check(partition); err != nil {
		return nil, err
	}
	t.mu.Lock()
	head := t.mu.partitions[partition].head
	t.mu.Unlock()
	return l.read(t, partition, max(offset, 0), head, limit)
}

// LastPosts returns the posts of the last records of each partition of a topic, each of
// them at most.
func (l *Log) LastPosts(ctx context.Context, topic string, each int) ([]feed.PostID, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	var posts []feed.PostID
	for partition := range t.tails {
		t.mu.Lock()
		floor, head := t.mu.partitions[partition].floor, t.mu.partitions[partition].head
		t.mu.Unlock()
		records, err := l.read(t, partition, max(floor, head-int64(each)), head, each)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.Post.Valid() {
				posts = append(posts, r.Post)
			}
		}
	}
	return posts, nil
}

// read returns the records from offset from up to head (exclusive), in order.
func (l *Log) read(t *topic, partition int, from, head int64, limit int) ([]eventlog.Record, error) {
	if limit < 1 {
		return nil, fmt.Errorf("event log: a limit of %d records, need at least 1", limit)
	}
	if from >= head {
		return nil, nil
	}
	it, err := l.db.NewIter(&pebble.IterOptions{
		LowerBound: recordKey(t.id, partition, from),
		UpperBound: recordKey(t.id, partition, head),
	})
	if err != nil {
		return nil, l.unreadable(t, err)
	}
	var records []eventlog.Record
	size := 0
	for ok := it.First(); ok && len(records) < limit && size < maxReadBytes; ok = it.Next() {
		r, err := recordOf(it.Key(), it.Value(), partition)
		if err != nil {
			return nil, l.unreadable(t, errors.Join(err, it.Close()))
		}
		records = append(records, r)
		size += recordLen(&r)
	}
	if err := it.Close(); err != nil {
		return nil, l.unreadable(t, err)
	}
	return records, l.fate.failed()
}

func (l *Log) unreadable(t *topic, err error) error {
	return feed.Unavailable(fmt.Sprintf("read topic %q of the event log in %s", t.name, l.fate.dir), readonly.Plain(err))
}

// bounds of all keys that begin with prefix, which does not end in 0xff.
func bounds(prefix []byte) *pebble.IterOptions {
	upper := append([]byte(nil), prefix...)
	for i := len(upper) - 1; i >= 0; i-- {
		if upper[i]++; upper[i] != 0 {
			break
		}
	}
	return &pebble.IterOptions{LowerBound: prefix, UpperBound: upper}
}

// scan visits all keys that begin with prefix, in order. key and value are
// valid during the visit only.
func scan(db *pebble.DB, prefix []byte, visit func(key, value []byte) error) error {
	it, err := db.NewIter(bounds(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = visit(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}
