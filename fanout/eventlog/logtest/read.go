package logtest

import (
	"slices"
	"testing"
)

func testRead(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	if got, err := s.log.Read(s.ctx, s.topic, 0, 0, 10); err != nil || len(got) != 0 {
		t.Errorf("an empty partition reads as %v, %v", values(got), err)
	}
	s.append("k", 0, 20)
	all, err := s.log.Read(s.ctx, s.topic, 0, 0, 100)
	must(s, err)
	if len(all) != 20 {
		t.Fatalf("%d records of 20", len(all))
	}
	for i, r := range all {
		want := record(i)
		if string(r.Value) != string(want.Value) || r.Post != want.Post || r.Low != want.Low || r.Partition != 0 {
			t.Errorf("record %d reads as %+v", i, r)
		}
	}
	some, err := s.log.Read(s.ctx, s.topic, 0, all[5].Offset, 3)
	must(s, err)
	if !slices.Equal(values(some), values(all[5:8])) {
		t.Errorf("three from the sixth: %v", values(some))
	}
	none, err := s.log.Read(s.ctx, s.topic, 0, all[19].Offset+1, 3)
	if err != nil || len(none) != 0 {
		t.Errorf("beyond the end lies %v, %v", values(none), err)
	}
	if _, err := s.log.Read(s.ctx, s.topic, 0, 0, 0); err == nil {
		t.Error("a limit of 0 was accepted")
	}
	// Readers own what they get.
	clear(all[0].Value)
	again, err := s.log.Read(s.ctx, s.topic, 0, all[0].Offset, 1)
	must(s, err)
	if string(again[0].Value) != "value-0" {
		t.Errorf("what a reader changed is %q for the next", again[0].Value)
	}
	if s.pending(group) != 20 {
		t.Error("Read moved a group")
	}
}

func testReset(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 10)
	m := s.join(group)
	p := m.partition(0)
	got := s.fetch(p, 10, 10)
	must(s, p.Commit(s.ctx, got[9].Offset+1))
	if err := s.log.Reset(s.ctx, group, s.topic, 0, got[0].Offset); err == nil {
		t.Error("Reset of a group with a member succeeded")
	}
	m.leave()
	if n := s.pending(group); n != 0 {
		t.Errorf("%d pending after a refused Reset", n)
	}
	for _, i := range []int{2, 7, 4, 0} {
		must(s, s.log.Reset(s.ctx, group, s.topic, 0, got[i].Offset))
		if c, n := s.committed(group)[0], s.pending(group); c != got[i].Offset || n != int64(10-i) {
			t.Errorf("moved to %d, the group stands at %d with %d pending", got[i].Offset, c, n)
		}
	}
	must(s, s.log.Reset(s.ctx, group, s.topic, 0, got[3].Offset))
	m = s.join(group)
	if again := s.fetch(m.partition(0), 7, 10); !slices.Equal(values(again), values(got[3:])) {
		t.Errorf("the group was moved to the fourth record and read %v", values(again))
	}
	m.leave()

	must(s, s.log.Reset(s.ctx, "new", s.topic, 0, got[8].Offset))
	if n := s.pending("new"); n != 2 {
		t.Errorf("a group made by Reset has %d pending, want 2", n)
	}
}
