package logtest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
)

// patience is how long an engine may take for anything: a Kafka group takes
// seconds to form. Nothing here waits longer than it must.
const patience = time.Minute

const group = "readers"

var started, topicsMade = time.Now().UnixNano(), atomic.Int64{}

func newTopic(partitions int) eventlog.Topic {
	return eventlog.Topic{Name: fmt.Sprintf("logtest-%d-%d", started, topicsMade.Add(1)), Partitions: partitions}
}

// tb is what *testing.T, *testing.B and *rapid.T share.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// must ends the test on an error. Only the test's own goroutine may call it.
func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// try is must for other goroutines: the test goes on, and fails.
func try(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}

// scene is a log with one topic, for the length of a test.
type scene struct {
	tb
	log   eventlog.Log
	topic string
	ctx   context.Context // ends when patience does
}

func newScene(t testing.TB, place Place, partitions int) *scene {
	t.Helper()
	topic := newTopic(partitions)
	log, err := place(t)(topic)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(func() {
		cancel()
		must(t, log.Close())
	})
	return &scene{tb: t, log: log, topic: topic.Name, ctx: ctx}
}

// record makes the n-th record: its value, key and post tell n.
func record(n int) eventlog.Record {
	return eventlog.Record{
		Key: fmt.Appendf(nil, "key-%d", n), Value: fmt.Appendf(nil, "value-%d", n),
		Post: feed.PostID(1000 + n), Low: feed.PostID(900 + n),
	}
}

// read is fetch for handles and other goroutines, where a test must not end.
func (s *scene) read(p eventlog.Partition, n, limit int) ([]eventlog.Record, error) {
	var got []eventlog.Record
	for len(got) < n {
		b, err := p.Fetch(s.ctx, min(limit, n-len(got)))
		if err != nil {
			return nil, err
		}
		if b.Gap || len(b.Records) == 0 || len(b.Records) > limit {
			return nil, fmt.Errorf("a Fetch returned %d records of at most %d, gap %v", len(b.Records), limit, b.Gap)
		}
		got = append(got, b.Records...)
	}
	for i := 1; i < len(got); i++ {
		if got[i].Offset <= got[i-1].Offset {
			return nil, fmt.Errorf("offset %d follows %d", got[i].Offset, got[i-1].Offset)
		}
	}
	return got, nil
}

// append appends records first to first+n-1, of one key if key is not "".
func (s *scene) append(key string, first, n int) {
	s.Helper()
	must(s, s.log.Append(s.ctx, s.topic, recordsOf(key, first, n)...))
}

func recordsOf(key string, first, n int) []eventlog.Record {
	records := make([]eventlog.Record, n)
	for i := range records {
		records[i] = record(first + i)
		if key != "" {
			records[i].Key = []byte(key)
		}
	}
	return records
}

// fetch gets exactly n records, in calls of at most limit.
func (s *scene) fetch(p eventlog.Partition, n, limit int) []eventlog.Record {
	s.Helper()
	got, err := s.read(p, n, limit)
	must(s, err)
	return got
}

// values of records, in their order.
func values(records []eventlog.Record) []string {
	var v []string
	for _, r := range records {
		v = append(v, string(r.Value))
	}
	return v
}

// pending returns the sum of a group's counts.
func (s *scene) pending(group string) (count int64) {
	s.Helper()
	all, err := s.log.Pending(s.ctx, group, s.topic)
	must(s, err)
	for _, p := range all {
		count += p.Count
	}
	return count
}

func (s *scene) committed(group string) []int64 {
	s.Helper()
	offsets, err := s.log.Committed(s.ctx, group, s.topic)
	must(s, err)
	return offsets
}
