package logtest

import (
	"context"
	"fmt"
	"sync"
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
			return nil, fmt.Errorf("Fetch returned %d records of at most %d, gap %v", len(b.Records), limit, b.Gap)
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

// member is a member of a group whose partitions the test uses itself.
type member struct {
	scene  *scene
	cancel context.CancelFunc
	done   chan error

	mu struct {
		sync.Mutex
		owned   map[int]eventlog.Partition
		changed chan struct{} // closed at each change
	}
}

// join starts Consume; its handles hand their partition to the test, and return
// when they must.
func (s *scene) join(group string) *member {
	ctx, cancel := context.WithCancel(s.ctx)
	m := &member{scene: s, cancel: cancel, done: make(chan error, 1)}
	m.mu.owned, m.mu.changed = map[int]eventlog.Partition{}, make(chan struct{})
	go func() { m.done <- s.log.Consume(ctx, group, s.topic, m.hold) }()
	return m
}

func (m *member) hold(ctx context.Context, p eventlog.Partition) error {
	m.set(p.ID(), p)
	<-ctx.Done()
	m.set(p.ID(), nil)
	return ctx.Err()
}

func (m *member) set(id int, p eventlog.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.owned[id] = p; p == nil {
		delete(m.mu.owned, id)
	}
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}

// owns waits until the member's partitions satisfy ok, and returns them.
func (m *member) owns(what string, ok func(map[int]eventlog.Partition) bool) map[int]eventlog.Partition {
	m.scene.Helper()
	for {
		m.mu.Lock()
		owned, changed := map[int]eventlog.Partition{}, m.mu.changed
		for id, p := range m.mu.owned {
			owned[id] = p
		}
		m.mu.Unlock()
		if ok(owned) {
			return owned
		}
		select {
		case <-changed:
		case <-m.scene.ctx.Done():
			m.scene.Fatalf("the member never had %s; it has %d partitions", what, len(owned))
		}
	}
}

func (m *member) ownsAll(n int) map[int]eventlog.Partition {
	m.scene.Helper()
	return m.owns(fmt.Sprintf("%d partitions", n), func(o map[int]eventlog.Partition) bool { return len(o) == n })
}

// partition waits for one partition.
func (m *member) partition(id int) eventlog.Partition {
	m.scene.Helper()
	return m.owns(fmt.Sprintf("partition %d", id), func(o map[int]eventlog.Partition) bool { return o[id] != nil })[id]
}

// leave ends Consume, which has no error to return.
func (m *member) leave() {
	m.scene.Helper()
	m.cancel()
	must(m.scene, m.ended())
}

// ended waits for Consume to return.
func (m *member) ended() error {
	m.scene.Helper()
	select {
	case err := <-m.done:
		return err
	case <-time.After(patience):
		m.scene.Fatalf("Consume did not return")
		return nil
	}
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
