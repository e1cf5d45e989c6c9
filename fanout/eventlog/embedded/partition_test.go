package embedded

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/feed"
)

var single = eventlog.Topic{Name: "single", Partitions: 1}

// opened opens a log of one partition, closed with the test.
func opened(t *testing.T, fs vfs.FS, opts Options) *Log {
	t.Helper()
	opts.FS, opts.OnFatal = fs, func(err error) { t.Error(err) }
	l, err := Open("log", []eventlog.Topic{single}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func fill(t *testing.T, l *Log, n int) {
	t.Helper()
	for i := range n {
		r := eventlog.Record{Key: []byte("k"), Value: fmt.Append(nil, i), Post: feed.PostID(i + 1), Low: feed.PostID(i + 1)}
		if err := l.Append(t.Context(), single.Name, r); err != nil {
			t.Fatal(err)
		}
	}
}

// consume runs one handle and returns when it has.
func consume(t *testing.T, l *Log, group string, use func(context.Context, eventlog.Partition)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	err := l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		use(ctx, p)
		cancel()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestGap: data that is really missing is announced, in the middle and at the
// end, and the bound of what is pending covers it.
func TestGap(t *testing.T) {
	l := opened(t, vfs.NewMem(), Options{})
	fill(t, l, 10)
	id := l.topics[single.Name].id
	lose := func(from, to int64) {
		if err := l.db.DeleteRange(recordKey(id, 0, from), recordKey(id, 0, to), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	lose(3, 5)
	lose(8, 10)
	consume(t, l, planner, func(ctx context.Context, p eventlog.Partition) {
		for _, want := range []string{"false [0 1 2]", "true [5 6 7]", "true []"} {
			b, err := p.Fetch(ctx, 100)
			if err != nil {
				t.Error(err)
			}
			offsets := []int64{}
			for _, r := range b.Records {
				offsets = append(offsets, r.Offset)
			}
			if got := fmt.Sprint(b.Gap, " ", offsets); got != want {
				t.Errorf("got gap and offsets %s, want %s", got, want)
			}
		}
		if err := p.Commit(ctx, 8); err != nil {
			t.Error(err)
		}
	})
	pending, err := l.Pending(t.Context(), planner, single.Name)
	if err != nil || pending[0].Count != 2 || pending[0].Low != 0 {
		t.Errorf("two records are missing; pending is %+v, %v", pending, err)
	}
}

// TestRevokedWhileRunning: from the moment of revocation a handle cannot commit,
// however late it returns.
func TestRevokedWhileRunning(t *testing.T) {
	l := opened(t, vfs.NewMem(), Options{})
	fill(t, l, 1)
	topic := l.topics[single.Name]
	consume(t, l, planner, func(ctx context.Context, p eventlog.Partition) {
		// A member that is ahead in the list should have partition 0.
		topic.mu.Lock()
		g := topic.group(planner)
		other := &member{changed: make(chan struct{}, 1)}
		g.members = append([]*member{other}, g.members...)
		g.members[1].poke()
		topic.mu.Unlock()
		<-ctx.Done()
		if _, err := p.Fetch(t.Context(), 1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Fetch returned %v", err)
		}
		if err := p.Commit(t.Context(), 1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Commit returned %v", err)
		}
	})
}

// TestCommitBeyondTheEnd: it would skip records that are yet to come.
func TestCommitBeyondTheEnd(t *testing.T) {
	l := opened(t, vfs.NewMem(), Options{})
	fill(t, l, 2)
	consume(t, l, planner, func(ctx context.Context, p eventlog.Partition) {
		if err := p.Commit(ctx, 3); feed.CodeOf(err) != feed.CodeInvalid {
			t.Errorf("Commit of 3 of 2 records returned %v", err)
		}
	})
}
