package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"skein/fanout/eventlog"
)

// rebalanced lets a first member, who holds the partition, be slow to leave when
// a second one joins: it goes on for as long, and then commits. It returns what
// the commit returned, and whether the second had the partition before.
func rebalanced(t *testing.T, slow time.Duration) (commit error, twoOwners bool) {
	t.Helper()
	url := place(t)
	l := opened(t, url, single)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 1)...))
	other, err := Open(t.Context(), url, []eventlog.Topic{single}, Options{Logger: quiet})
	must(t, err)
	defer func() { must(t, other.Close()) }()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var given atomic.Bool // to the second
	joined := make(chan error, 1)
	committed := make(chan error, 1)
	began := false
	second := func() {
		joined <- other.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
			given.Store(true)
			<-ctx.Done()
			return nil
		})
	}
	must(t, l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		if began {
			<-ctx.Done()
			return nil
		}
		began = true
		if _, err := p.Fetch(ctx, 1); err != nil {
			return err
		}
		go second()
		<-ctx.Done()
		if _, err := p.Fetch(context.Background(), 1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("Fetch after the revocation returned %v", err)
		}
		done := time.After(slow)
		<-done // the work of a slow batch
		twoOwners = given.Load()
		committed <- p.Commit(context.Background(), 1)
		cancel()
		return nil
	}))
	must(t, <-joined)
	return <-committed, twoOwners
}

// TestSlowHandle: a handle that is slow to return keeps its partition beyond the
// session's timeout, as its member is seen to live, and may commit what it did.
func TestSlowHandle(t *testing.T) {
	t.Parallel()
	if err, two := rebalanced(t, sessionTimeout+2*time.Second); err != nil || two {
		t.Errorf("the commit returned %v; two owners: %v", err, two)
	}
}

// TestTooSlowHandle: one that is slower than a rebalance waits finds itself
// fenced, and moves nothing.
func TestTooSlowHandle(t *testing.T) {
	t.Parallel()
	if err, two := rebalanced(t, drainTimeout+5*time.Second); !errors.Is(err, eventlog.ErrRevoked) || !two {
		t.Errorf("the commit returned %v; given to the other: %v", err, two)
	}
}

// TestPendingWhileWorkMoves: a partition in which there is always something to
// do is never seen without it, whatever moves while Pending asks.
func TestPendingWhileWorkMoves(t *testing.T) {
	t.Parallel()
	const asks = 300
	l := opened(t, place(t), single)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 1)...))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var done atomic.Int64 // records committed, at most; one more is always there
	moved := make(chan error, 1)
	go func() {
		moved <- l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
			for n := int64(1); ctx.Err() == nil; n++ {
				if err := l.Append(context.WithoutCancel(ctx), single.Name, numbered(int(n), 1)...); err != nil {
					return err
				}
				if err := p.Commit(context.WithoutCancel(ctx), n); err != nil {
					return err
				}
				done.Store(n)
			}
			return nil
		})
	}()
	for range asks {
		pending, err := l.Pending(ctx, group, single.Name)
		must(t, err)
		after := done.Load() + 2 // of the one in flight, committed or not
		if p := pending[0]; p.Count < 1 || int64(p.Low) > after {
			t.Fatalf("%+v, while post %d is the first to do at most", p, after)
		}
	}
	cancel()
	must(t, <-moved)
}
