package logtest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"skein/fanout/eventlog"
	"skein/feed"
)

// testPendingModel holds Pending against a list of what was appended: it counts
// exactly, and its bound is below every post not done, but no lower than what
// the oldest of them states.
func testPendingModel(t *testing.T, place Place) {
	rapid.Check(t, func(r *rapid.T) {
		partitions := rapid.IntRange(1, 3).Draw(r, "partitions")
		topic := newTopic(partitions)
		log, err := place(t)(topic)
		must(r, err)
		s := &scene{tb: r, log: log, topic: topic.Name, ctx: t.Context()}
		member := s.join(group)
		// In this order: the member first, whatever fails.
		defer func() { must(t, log.Close()) }()
		defer member.leave()
		m := &model{
			scene: s, owned: member.ownsAll(partitions),
			records: make([][]eventlog.Record, partitions), done: make([]int, partitions),
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"commit": m.commit,
			"":       m.check,
		})
	})
}

type model struct {
	*scene
	owned   map[int]eventlog.Partition
	records [][]eventlog.Record // by partition
	done    []int               // how many are committed
	low     feed.PostID         // no later post is below
}

func (m *model) append(r *rapid.T) {
	m.low += feed.PostID(rapid.IntRange(0, 50).Draw(r, "raise"))
	n := rapid.IntRange(1, 4).Draw(r, "n")
	records := make([]eventlog.Record, n)
	before := make([]int, len(m.records))
	for i := range records {
		records[i] = eventlog.Record{
			Key:  fmt.Appendf(nil, "k%d", rapid.IntRange(0, 9).Draw(r, "key")),
			Post: m.low + feed.PostID(rapid.IntRange(0, 100).Draw(r, "post")), Low: m.low,
		}
		before[m.log.PartitionOf(m.topic, records[i].Key)]++
	}
	must(r, m.log.Append(m.ctx, m.topic, records...))
	for id, n := range before {
		if n > 0 {
			m.records[id] = append(m.records[id], m.fetch(m.owned[id], n, n)...)
		}
	}
}

func (m *model) commit(r *rapid.T) {
	id := rapid.IntRange(0, len(m.records)-1).Draw(r, "partition")
	upTo := rapid.IntRange(0, len(m.records[id])).Draw(r, "up to")
	offset := int64(0)
	if upTo > 0 {
		offset = m.records[id][upTo-1].Offset + 1
	}
	must(r, m.owned[id].Commit(m.ctx, offset))
	m.done[id] = max(m.done[id], upTo)
}

func (m *model) check(r *rapid.T) {
	pending, err := m.log.Pending(m.ctx, group, m.topic)
	must(r, err)
	if len(pending) != len(m.records) {
		r.Fatalf("%d partitions of %d", len(pending), len(m.records))
	}
	for id, p := range pending {
		todo := m.records[id][m.done[id]:]
		if p.Partition != id || p.Count != int64(len(todo)) {
			r.Fatalf("partition %d: %+v, want %d", id, p, len(todo))
		}
		if len(todo) == 0 {
			if p.Low != feed.MaxPostID || !p.Since.IsZero() {
				r.Fatalf("partition %d: nothing is to do, and yet %+v", id, p)
			}
			continue
		}
		for _, record := range todo {
			if record.Post < p.Low {
				r.Fatalf("partition %d: post %d is to do, Low is %d", id, record.Post, p.Low)
			}
		}
		if p.Low < todo[0].Low || !p.Since.Equal(todo[0].AppendTime) {
			r.Fatalf("partition %d: %+v; the oldest states %d and is of %v", id, p, todo[0].Low, todo[0].AppendTime)
		}
	}
}

// testPendingBeforeAppendReturns: whoever knows that an append returned finds
// its record counted, and bounded.
func testPendingBeforeAppendReturns(t *testing.T, place Place) {
	const writers, each = 4, 50
	s := newScene(t, place, 2)
	var appended atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := w*each + i
				try(s, s.log.Append(s.ctx, s.topic, eventlog.Record{
					Key: fmt.Append(nil, n), Post: feed.PostID(100 + n), Low: 100,
				}))
				appended.Add(1)
			}
		})
	}
	for known := int64(0); known < writers*each; {
		known = appended.Load()
		if got := s.pending(group); got < known {
			t.Fatalf("%d appends returned, %d records are pending", known, got)
		}
	}
	wg.Wait()
	pending, err := s.log.Pending(s.ctx, group, s.topic)
	must(s, err)
	for _, p := range pending {
		if p.Count == 0 || p.Low > 100 || p.Since.IsZero() {
			t.Errorf("pending %+v", p)
		}
	}
}
