package embedded

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"skein/fanout/eventlog"
	"skein/feed"
)

var posts = eventlog.Topic{Name: "posts", Partitions: 3}

const planner = "planner"

type place struct {
	partition int
	offset    int64
}

// truth is what a log promised before it died: records acknowledged, records
// shown to a reader, commits acknowledged.
type truth struct {
	mu        sync.Mutex
	acked     map[string]bool
	seen      map[place]string
	committed map[int]int64
}

func newTruth() *truth {
	return &truth{acked: map[string]bool{}, seen: map[place]string{}, committed: map[int]int64{}}
}

func (tr *truth) note(change func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	change()
}

// clone is the truth at one moment.
func (tr *truth) clone() *truth {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return &truth{acked: maps.Clone(tr.acked), seen: maps.Clone(tr.seen), committed: maps.Clone(tr.committed)}
}

// hold says what a log that came back does not keep of its promises (W2, F2).
func (tr *truth) hold(t *testing.T, l *Log) {
	t.Helper()
	there, at := map[string]bool{}, map[place]string{}
	for p := range posts.Partitions {
		for offset := int64(0); ; {
			records, err := l.Read(t.Context(), posts.Name, p, offset, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				if r.Offset != offset {
					t.Fatalf("partition %d: offset %d is missing", p, offset)
				}
				there[string(r.Value)], at[place{p, r.Offset}] = true, string(r.Value)
				offset++
			}
		}
	}
	for value := range tr.acked {
		if !there[value] {
			t.Errorf("record %s was acknowledged and is lost", value)
		}
	}
	for where, value := range tr.seen {
		if at[where] != value {
			t.Errorf("%v was shown as %q and is %q now", where, value, at[where])
		}
	}
	committed, err := l.Committed(t.Context(), planner, posts.Name)
	if err != nil {
		t.Fatal(err)
	}
	for p, offset := range tr.committed {
		if committed[p] < offset {
			t.Errorf("partition %d: a commit of %d was acknowledged, the group stands at %d", p, offset, committed[p])
		}
	}
}

// watcher is told what a log promises, as soon as it did.
type watcher struct {
	acked     func(value string)
	seen      func(place, string)
	committed func(partition int, offset int64)
}

func (tr *truth) watcher() watcher {
	return watcher{
		acked:     func(value string) { tr.note(func() { tr.acked[value] = true }) },
		seen:      func(p place, value string) { tr.note(func() { tr.seen[p] = value }) },
		committed: func(p int, offset int64) { tr.note(func() { tr.committed[p] = offset }) },
	}
}

// load appends from several goroutines, and reads and commits, until ctx ends or
// the log fails. name makes the values of one run differ from those of others.
func load(ctx context.Context, l *Log, name string, w watcher) {
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				values, records := make([]string, 1+n%3), []eventlog.Record(nil)
				for i := range values {
					values[i] = fmt.Sprintf("%s-%d-%d-%d", name, writer, n, i)
					records = append(records, eventlog.Record{
						Key: []byte(values[i]), Value: []byte(values[i]), Post: feed.PostID(n + 1),
					})
				}
				if l.Append(ctx, posts.Name, records...) != nil {
					return
				}
				for _, v := range values {
					w.acked(v)
				}
			}
		})
	}
	_ = l.Consume(ctx, planner, posts.Name, func(ctx context.Context, p eventlog.Partition) error {
		for {
			b, err := p.Fetch(ctx, 5)
			if err != nil {
				return err
			}
			for _, r := range b.Records {
				w.seen(place{p.ID(), r.Offset}, string(r.Value))
			}
			end := b.Records[len(b.Records)-1].Offset + 1
			if err := p.Commit(ctx, end); err != nil {
				return err
			}
			w.committed(p.ID(), end)
		}
	})
	wg.Wait()
}
