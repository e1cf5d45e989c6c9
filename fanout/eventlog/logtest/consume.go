package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"skein/fanout/eventlog"
)

func testFetchWaits(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	m := s.join(group)
	p := m.partition(0)
	ctx, cancel := context.WithCancel(s.ctx)
	failed := make(chan error)
	go func() {
		_, err := p.Fetch(ctx, 1)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the context of a waiting Fetch ended; it returned %v", err)
	}
	got := make(chan []string)
	go func() {
		records, err := s.read(p, 2, 10)
		try(s, err)
		got <- values(records)
	}()
	s.append("k", 0, 1)
	s.append("k", 1, 1)
	if v := <-got; !slices.Equal(v, []string{"value-0", "value-1"}) {
		t.Errorf("a waiting Fetch got %v", v)
	}
	m.leave()
}

func testGroups(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 5)
	one, two := s.join("one"), s.join("two")
	p := one.partition(0)
	end := s.fetch(p, 5, 5)[4].Offset + 1
	must(s, p.Commit(s.ctx, end))
	if got := s.fetch(two.partition(0), 5, 5); len(got) != 5 {
		t.Errorf("the second group got %d records of 5", len(got))
	}
	if s.pending("one") != 0 || s.pending("two") != 5 || s.pending("three") != 5 {
		t.Errorf("pending %d, %d, %d; want 0, 5, 5", s.pending("one"), s.pending("two"), s.pending("three"))
	}
	one.leave()
	two.leave()
}

func testReplayFromCommitted(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 30)
	m := s.join(group)
	p := m.partition(0)
	first := s.fetch(p, 20, 20)
	must(s, p.Commit(s.ctx, first[10].Offset))
	m.leave()

	m = s.join(group)
	if got := s.fetch(m.partition(0), 20, 6); got[0].Offset != first[10].Offset || string(got[19].Value) != "value-29" {
		t.Errorf("after a commit of %d, the group goes on at %d", first[10].Offset, got[0].Offset)
	}
	m.leave()
}

func testCommitNeverBackwards(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 10)
	m := s.join(group)
	p := m.partition(0)
	got := s.fetch(p, 10, 10)
	for _, i := range []int{6, 2, 0, 6} {
		must(s, p.Commit(s.ctx, got[i].Offset))
		if c := s.committed(group)[0]; c != got[6].Offset {
			t.Errorf("committed %d, then %d, and the group stands at %d", got[6].Offset, got[i].Offset, c)
		}
	}
	m.leave()
	m = s.join(group)
	if again := s.fetch(m.partition(0), 4, 4); again[0].Offset != got[6].Offset {
		t.Errorf("the group goes on at %d, not %d", again[0].Offset, got[6].Offset)
	}
	m.leave()
}

// testFirstError: an error of one handle ends the others and is returned.
func testFirstError(t *testing.T, place Place) {
	s := newScene(t, place, 3)
	broken := errors.New("broken")
	held := make(chan struct{}, 2)
	err := s.log.Consume(s.ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
		if p.ID() != 1 {
			held <- struct{}{}
			<-ctx.Done()
			return fmt.Errorf("stopped: %w", ctx.Err())
		}
		for range cap(held) {
			<-held
		}
		return fmt.Errorf("partition 1: %w", broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("Consume returned %v", err)
	}
	m := s.join(group) // what it held is free
	m.ownsAll(3)
	m.leave()
}

// testContextErrors: ErrRevoked and the end of the handle's context are no
// errors, but the end of another context is.
func testContextErrors(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	m := s.join(group)
	m.partition(0)
	m.leave() // its handle returns the context's error

	ctx, cancel := context.WithCancel(s.ctx)
	calls := 0
	must(s, s.log.Consume(ctx, group, s.topic, func(ctx context.Context, _ eventlog.Partition) error {
		calls++
		cancel()
		<-ctx.Done()
		return eventlog.ErrRevoked
	}))
	if calls != 1 {
		t.Errorf("%d calls of the handle, want 1", calls)
	}
	err := s.log.Consume(s.ctx, group, s.topic, func(context.Context, eventlog.Partition) error {
		return fmt.Errorf("asking a store: %w", context.DeadlineExceeded)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Consume returned %v", err)
	}
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.log.Consume(ended, group, s.topic, m.hold); err != nil {
		t.Errorf("Consume with a context that had ended returned %v", err)
	}
}

// testHandleReturnsEarly: a partition is never left without a handle.
func testHandleReturnsEarly(t *testing.T, place Place) {
	s := newScene(t, place, 1)
	s.append("k", 0, 4)
	ctx, cancel := context.WithCancel(s.ctx)
	var got []string
	must(s, s.log.Consume(ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
		records, err := s.read(p, 1, 1)
		if err != nil {
			return err
		}
		if got = append(got, values(records)...); len(got) == 4 {
			cancel()
		}
		// The handle may commit what it did when it is told to stop.
		return p.Commit(context.WithoutCancel(ctx), records[0].Offset+1)
	}))
	if want := []string{"value-0", "value-1", "value-2", "value-3"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if n := s.pending(group); n != 0 {
		t.Errorf("%d pending", n)
	}
}
