package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
)

// patience bounds every wait of a test.
const patience = time.Minute

const group = "readers"

var single = eventlog.Topic{Name: "posts", Partitions: 1}

// opened makes the topics at url and opens the log.
func opened(t *testing.T, url string, topics ...eventlog.Topic) *Log {
	t.Helper()
	must(t, Migrate(t.Context(), url, topics, MigrateOptions{Logger: quiet}))
	l, err := Open(t.Context(), url, topics, Options{Logger: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// numbered are records first … first+n-1: their values and posts tell which, and
// each bounds what follows.
func numbered(first, n int) []eventlog.Record {
	records := make([]eventlog.Record, n)
	for i := range records {
		id := first + i
		records[i] = eventlog.Record{Key: fmt.Appendf(nil, "k%d", id), Value: fmt.Append(nil, id), Post: feed.PostID(id + 1), Low: feed.PostID(id + 1)}
	}
	return records
}

// holding joins the group, waits for partition 0 and lets use have it; then it
// leaves.
func holding(t *testing.T, l *Log, use func(ctx context.Context, p eventlog.Partition) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	used := errors.New("not used")
	err := l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		used = use(ctx, p)
		cancel()
		return nil
	})
	must(t, errors.Join(err, used))
}

// expect fetches and wants these values, after a gap or not.
func expect(ctx context.Context, p eventlog.Partition, gap bool, values ...string) (next int64, err error) {
	var got []string
	gapped := false
	for len(got) < len(values) {
		b, err := p.Fetch(ctx, 100)
		if err != nil {
			return 0, err
		}
		gapped = gapped || b.Gap
		for _, r := range b.Records {
			got = append(got, string(r.Value))
		}
		next = b.Next
	}
	if gapped != gap || fmt.Sprint(got) != fmt.Sprint(values) {
		return next, fmt.Errorf("got %v, gap %v; want %v, gap %v", got, gapped, values, gap)
	}
	return next, nil
}
