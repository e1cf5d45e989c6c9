package logtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"skein/fanout/eventlog"
)

// testMemberDies: what a member read and did not commit is read by the next.
func testMemberDies(t *testing.T, place Place) {
	s := newScene(t, place, 2)
	s.append("", 0, 40)
	n := int(s.pending(group))
	first := s.join(group)
	for id, p := range first.ownsAll(2) {
		records, err := s.log.Read(s.ctx, s.topic, id, 0, n)
		must(s, err)
		s.fetch(p, len(records), n)
	}
	first.leave()
	second, total := s.join(group), 0
	for id, p := range second.ownsAll(2) {
		records, err := s.log.Read(s.ctx, s.topic, id, 0, n)
		must(s, err)
		total += len(s.fetch(p, len(records), n))
	}
	if total != n {
		t.Errorf("the second member got %d of %d records", total, n)
	}
	second.leave()
}

// testOneOwner: a handle that is slow to leave keeps its partition until then.
func testOneOwner(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 1)
	entered, told := make(chan struct{}), make(chan struct{})
	var returned atomic.Bool
	ctx, cancel := context.WithCancel(s.ctx)
	first := make(chan error, 1)
	go func() {
		first <- s.log.Consume(ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
			close(entered)
			<-ctx.Done()
			close(told)
			// Whoever gets the partition too early comes in here.
			for range 1000 {
				_, err := s.log.Pending(s.ctx, group, s.topic)
				try(s, err)
			}
			returned.Store(true)
			return nil
		})
	}()
	<-entered
	ctx2, cancel2 := context.WithCancel(s.ctx)
	second := make(chan error, 1)
	go func() {
		second <- s.log.Consume(ctx2, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
			if !returned.Load() {
				t.Error("the partition has two owners")
			}
			_, err := s.read(p, 1, 1)
			cancel2()
			return err
		})
	}()
	cancel()
	<-told
	must(s, <-first)
	if !returned.Load() {
		t.Error("Consume returned before its handle")
	}
	must(s, <-second)
}

// testRevoked: a partition that was taken away reads and commits nothing.
func testRevoked(t *testing.T, place Place) {
	s := newScene(t, place, 2)
	s.append("", 0, 20)
	first := s.join(group)
	had := first.ownsAll(2)
	second := s.join(group)
	kept := first.ownsAll(1)
	second.ownsAll(1)
	before := s.committed(group)
	for id, p := range had {
		if kept[id] == p {
			continue
		}
		if _, err := p.Fetch(s.ctx, 1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Fetch of a revoked partition returned %v", err)
		}
		if err := p.Commit(s.ctx, before[id]+1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Commit of a revoked partition returned %v", err)
		}
		if now := s.committed(group); now[id] != before[id] {
			t.Errorf("a revoked member moved partition %d from %d to %d", id, before[id], now[id])
		}
	}
	first.leave()
	for id, p := range second.ownsAll(2) {
		if err := had[id].Commit(s.ctx, before[id]+1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Commit by a member that left returned %v", err)
		}
		if _, err := p.Fetch(s.ctx, 1); err != nil {
			t.Errorf("the remaining member cannot read partition %d: %v", id, err)
		}
	}
	second.leave()
}
