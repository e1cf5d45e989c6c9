package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/feed"
)

// wind is a clock that stands still until it is moved.
type wind struct{ now time.Time }

func (w *wind) clock() time.Time { return w.now }

// oldest returns the offset of the first record kept, or where the next goes.
func oldest(t *testing.T, l *Log) int64 {
	t.Helper()
	records, err := l.Read(t.Context(), single.Name, 0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) == 0 {
		return l.topics[single.Name].tails[0].next
	}
	return records[0].Offset
}

func commit(t *testing.T, l *Log, group string, offset int64) {
	t.Helper()
	consume(t, l, group, func(ctx context.Context, p eventlog.Partition) {
		if err := p.Commit(ctx, offset); err != nil {
			t.Error(err)
		}
	})
}

// TestRetention: a record goes when every group has done it and it is old, not
// before. Its offset never comes again.
func TestRetention(t *testing.T) {
	fs, w := vfs.NewMem(), &wind{now: time.Unix(1_800_000_000, 0)}
	opts := Options{Clock: w.clock, Retention: time.Hour}
	l := opened(t, fs, opts)
	fill(t, l, 10) // offsets 0 … 9
	w.now = w.now.Add(30 * time.Minute)
	fill(t, l, 10) // offsets 10 … 19
	commit(t, l, "slow", 4)
	commit(t, l, "fast", 15)
	w.now = w.now.Add(45 * time.Minute) // the first ten are old now
	for _, step := range []struct {
		group  string
		offset int64
		oldest int64
	}{
		{"fast", 16, 4}, // what slow has not done is kept
		{"slow", 8, 4},  // looked at just now
		{"", 0, 0},      // time passes
		{"slow", 9, 9},
		{"", 0, 0},
		{"slow", 18, 10}, // the others are too young
	} {
		if step.group == "" {
			w.now = w.now.Add(time.Hour / trimsPerRetention)
			continue
		}
		commit(t, l, step.group, step.offset)
		if got := oldest(t, l); got != step.oldest {
			t.Errorf("%s committed %d: the oldest record is %d, want %d", step.group, step.offset, got, step.oldest)
		}
	}
	if err := l.Reset(t.Context(), "slow", single.Name, 0, 0); err != nil {
		t.Fatal(err)
	}
	pending, err := l.Pending(t.Context(), "slow", single.Name)
	if err != nil || pending[0].Count != 10 || pending[0].Low != 1 {
		t.Errorf("moved back to the oldest record, pending is %+v, %v", pending, err)
	}
}

// TestEmptiedPartition: when all was removed, a restart still knows which offset
// comes next, and a new group begins there.
func TestEmptiedPartition(t *testing.T) {
	fs, w := vfs.NewMem(), &wind{now: time.Unix(1_800_000_000, 0)}
	opts := Options{Clock: w.clock, Retention: time.Hour}
	l := opened(t, fs, opts)
	fill(t, l, 10)
	w.now = w.now.Add(2 * time.Hour)
	commit(t, l, planner, 10)
	if records, err := l.Read(t.Context(), single.Name, 0, 0, 1); err != nil || len(records) != 0 {
		t.Fatalf("still there: %v, %v", records, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	l = opened(t, fs, opts)
	fill(t, l, 1)
	if got := oldest(t, l); got != 10 {
		t.Errorf("the next record got offset %d, want 10", got)
	}
	consume(t, l, "new", func(ctx context.Context, p eventlog.Partition) {
		b, err := p.Fetch(ctx, 5)
		if err != nil || b.Gap || len(b.Records) != 1 {
			t.Errorf("a new group got %+v, %v", b, err)
		}
	})
}

// TestClockGoesBack: append times of a partition never fall, so that the age of
// records can be halved for.
func TestClockGoesBack(t *testing.T) {
	w := &wind{now: time.Unix(1_800_000_000, 0)}
	l := opened(t, vfs.NewMem(), Options{Clock: feed.Clock(w.clock)})
	fill(t, l, 1)
	w.now = w.now.Add(-time.Hour)
	fill(t, l, 1)
	records, err := l.Read(t.Context(), single.Name, 0, 0, 2)
	if err != nil || records[1].AppendTime.Before(records[0].AppendTime) {
		t.Errorf("%+v, %v", records, err)
	}
}
