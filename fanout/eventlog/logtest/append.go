package logtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
)

func testAppendFetchCommit(t *testing.T, place Place) {
	const partitions, records = 4, 200
	s := newScene(t, place, partitions)
	before := time.Now().Add(-time.Minute) // the log's clock may differ from ours
	must(s, s.log.Append(s.ctx, s.topic))
	s.append("", 0, records/2)
	s.append("", records/2, records/2)
	count := map[int]int{}
	for n := range records {
		count[s.log.PartitionOf(s.topic, record(n).Key)]++
	}
	if got := s.pending(group); got != records {
		t.Errorf("%d pending of %d before anybody read", got, records)
	}

	m := s.join(group)
	seen := map[string]eventlog.Record{}
	for id, p := range m.ownsAll(partitions) {
		if p.ID() != id {
			t.Errorf("partition %d says that it is %d", id, p.ID())
		}
		if count[id] == 0 {
			continue
		}
		got := s.fetch(p, count[id], 7)
		for _, r := range got {
			seen[string(r.Value)] = r
			if r.Partition != id || r.AppendTime.Before(before) {
				t.Errorf("a record of partition %d says partition %d, appended %v", id, r.Partition, r.AppendTime)
			}
		}
		end := got[len(got)-1].Offset + 1
		must(s, p.Commit(s.ctx, end))
		if committed := s.committed(group)[id]; committed != end {
			t.Errorf("committed %d, the group says %d", end, committed)
		}
	}
	for n := range records {
		want, got := record(n), seen[fmt.Sprintf("value-%d", n)]
		if !bytes.Equal(got.Key, want.Key) || got.Post != want.Post || got.Low != want.Low {
			t.Errorf("record %d came back as %+v", n, got)
		}
	}
	m.leave()
	pending, err := s.log.Pending(s.ctx, group, s.topic)
	must(s, err)
	for i, p := range pending {
		if want := (eventlog.Pending{Partition: i, Low: feed.MaxPostID}); p != want {
			t.Errorf("all is done, and pending is %+v", p)
		}
	}
}

func testEqualKeys(t *testing.T, place Place) {
	const partitions, keys, rounds = 5, 40, 3
	s := newScene(t, place, partitions)
	for range rounds {
		s.append("", 0, keys)
	}
	used := map[int]int{}
	for id := range partitions {
		records, err := s.log.Read(s.ctx, s.topic, id, 0, keys*rounds)
		must(s, err)
		for _, r := range records {
			used[id]++
			if p := s.log.PartitionOf(s.topic, r.Key); p != id {
				t.Errorf("key %s belongs to partition %d, its record is in %d", r.Key, p, id)
			}
		}
	}
	if len(used) < 2 {
		t.Errorf("%d keys fill one partition of %d", keys, partitions)
	}
	if total := sum(maps.Values(used)); total != keys*rounds {
		t.Errorf("%d records of %d", total, keys*rounds)
	}
	if p := s.log.PartitionOf("never-made", []byte("key")); p != -1 {
		t.Errorf("an unknown topic has partition %d", p)
	}
}

// testPartitionsNeverChange: where a key goes is part of what is stored, and the
// same in all engines.
func testPartitionsNeverChange(t *testing.T, place Place) {
	five, eight := newTopic(5), newTopic(8)
	log, err := place(t)(five, eight)
	must(t, err)
	for _, want := range []struct {
		key             string
		ofFive, ofEight int
	}{
		{"a", 0, 3},
		{"author", 1, 5},
		{"42", 1, 1},
		{"9223372036854775807", 1, 3},
		{"\x00\x00\x00\x01", 3, 5},
		{"\xff", 4, 4},
	} {
		if p := log.PartitionOf(five.Name, []byte(want.key)); p != want.ofFive {
			t.Errorf("key %q belongs to partition %d of 5, want %d", want.key, p, want.ofFive)
		}
		if p := log.PartitionOf(eight.Name, []byte(want.key)); p != want.ofEight {
			t.Errorf("key %q belongs to partition %d of 8, want %d", want.key, p, want.ofEight)
		}
	}
	must(t, log.Close())
}

func testEmptyKeys(t *testing.T, place Place) {
	s := newScene(t, place, 3)
	records := make([]eventlog.Record, 60)
	for i := range records {
		records[i] = eventlog.Record{Value: fmt.Append(nil, i)}
	}
	for batch := range slices.Chunk(records, 5) {
		must(s, s.log.Append(s.ctx, s.topic, batch...))
	}
	used, total := 0, 0
	for id := range 3 {
		got, err := s.log.Read(s.ctx, s.topic, id, 0, len(records))
		must(s, err)
		total += len(got)
		if len(got) > 0 {
			used++
		}
	}
	if total != len(records) || used < 2 {
		t.Errorf("%d records of %d, in %d partitions", total, len(records), used)
	}
}

func testUnknownNames(t *testing.T, place Place) {
	s := newScene(t, place, 2)
	if err := s.log.Append(s.ctx, "never-made", record(0)); err == nil {
		t.Error("Append to an unknown topic succeeded")
	}
	if err := s.log.Consume(s.ctx, group, "never-made", nil); err == nil {
		t.Error("Consume of an unknown topic succeeded")
	}
	if _, err := s.log.Pending(s.ctx, group, "never-made"); err == nil {
		t.Error("Pending of an unknown topic succeeded")
	}
	for _, p := range []int{-1, 2} {
		if _, err := s.log.Read(s.ctx, s.topic, p, 0, 1); err == nil {
			t.Errorf("Read of partition %d of 2 succeeded", p)
		}
		if err := s.log.Reset(s.ctx, group, s.topic, p, 0); err == nil {
			t.Errorf("Reset of partition %d of 2 succeeded", p)
		}
	}
	if got := s.pending(group); got != 0 {
		t.Errorf("%d pending of nothing", got)
	}
}

// testReopen: what was appended and committed outlives the process.
func testReopen(t *testing.T, place Place) {
	topic, open := newTopic(1), place(t)
	log, err := open(topic)
	must(t, err)
	s := &scene{tb: t, log: log, topic: topic.Name, ctx: t.Context()}
	s.append("k", 0, 10)
	m := s.join(group)
	p := m.partition(0)
	got := s.fetch(p, 10, 10)
	must(s, p.Commit(s.ctx, got[3].Offset+1))
	m.leave()
	must(s, log.Close())

	other := newTopic(2)
	s.log, err = open(topic, other)
	must(t, err)
	s.append("k", 10, 1)
	must(s, s.log.Append(s.ctx, other.Name, record(0)))
	m = s.join(group)
	again := s.fetch(m.partition(0), 7, 3)
	if !slices.Equal(values(again[:6]), values(got[4:])) || string(again[6].Value) != "value-10" {
		t.Errorf("after the restart came %v", values(again))
	}
	m.leave()
	must(s, s.log.Close())
}

func sum[N int | int64](numbers func(func(N) bool)) (total N) {
	for n := range numbers {
		total += n
	}
	return total
}
