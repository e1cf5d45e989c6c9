package logtest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
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

func testLargeRecords(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	const n, size = 20, 900 << 10 // Kafka's usual limit is 1 MiB
	for i := range n {
		value := bytes.Repeat([]byte{byte(i)}, size)
		must(s, s.log.Append(s.ctx, s.topic, eventlog.Record{Key: []byte("k"), Value: value}))
	}
	m := s.join(group)
	for i, r := range s.fetch(m.partition(0), n, n) {
		if len(r.Value) != size || bytes.Count(r.Value, []byte{byte(i)}) != size {
			t.Errorf("record %d came back changed, with %d bytes", i, len(r.Value))
		}
	}
	m.leave()
}

func testConcurrentAppends(t *testing.T, place Place) {
	const writers, calls, each = 8, 20, 5
	s := newScene(t, place, 3)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for c := range calls {
				try(s, s.log.Append(s.ctx, s.topic, recordsOf("", (w*calls+c)*each, each)...))
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for id := range 3 {
		last := int64(-1)
		for offset := int64(0); ; offset = last + 1 {
			records, err := s.log.Read(s.ctx, s.topic, id, offset, 100)
			must(s, err)
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				seen[string(r.Value)]++
				if r.Offset <= last {
					t.Fatalf("offset %d after %d", r.Offset, last)
				}
				last = r.Offset
			}
		}
	}
	for n := range writers * calls * each {
		if got := seen[fmt.Sprintf("value-%d", n)]; got != 1 {
			t.Errorf("record %d is there %d times", n, got)
		}
	}
}
