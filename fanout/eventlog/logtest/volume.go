package logtest

import (
	"context"
	"runtime"
	"strconv"
	"testing"

	"skein/fanout/eventlog"
	"skein/feed"
)

// testBigBacklog: a reader's memory does not grow with the backlog (F4), whatever
// the limit that it asks for.
func testBigBacklog(t *testing.T, place Place) {
	const size, each, bound = 4 << 10, 1000, 64 << 20
	calls := 48 // 196 MB
	if testing.Short() {
		calls = 24
	}
	s := newScene(t, place, 1)
	before := heap()
	records := make([]eventlog.Record, each)
	for c := range calls {
		for i := range records {
			value := make([]byte, size)
			copy(value, strconv.Itoa(c*each+i))
			records[i] = eventlog.Record{Key: []byte("k"), Value: value, Post: feed.PostID(c*each + i + 1)}
		}
		must(s, s.log.Append(s.ctx, s.topic, records...))
	}
	clear(records)

	n, worst := 0, uint64(0)
	ctx, cancel := context.WithCancel(s.ctx)
	must(s, s.log.Consume(ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
		for n < calls*each {
			b, err := p.Fetch(ctx, calls*each)
			if err != nil {
				return err
			}
			worst = max(worst, heap())
			for _, r := range b.Records {
				if n++; r.Post != feed.PostID(n) {
					t.Errorf("post %d at place %d", r.Post, n)
				}
			}
			if err := p.Commit(ctx, b.Records[len(b.Records)-1].Offset+1); err != nil {
				return err
			}
		}
		cancel()
		return nil
	}))
	if n != calls*each {
		t.Errorf("read %d records of %d", n, calls*each)
	}
	if worst > before+bound {
		t.Errorf("the heap grew from %d to %d MB with a backlog of %d MB", before>>20, worst>>20, calls*each*size>>20)
	}
}

// heap is how many bytes live objects take.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
