package kafka

import (
	"context"
	"sync"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
)

// TestBrokerAway: while Kafka hangs, and while it is down, calls fail in bounded
// time with feed.CodeUnavailable; when it is back everything goes on, and
// nothing that was acknowledged is lost (W2). See TestNoHeartbeat for what a member
// remains that Kafka still knows.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	server := ownBroker(t)
	l := opened(t, server.URL(), single)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	handled := make(chan string, 100)
	consumed := make(chan error, 1)
	go func() {
		consumed <- l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
			for {
				b, err := p.Fetch(ctx, 100)
				if err != nil {
					return err
				}
				if b.Gap {
					t.Error("a gap")
				}
				for _, r := range b.Records {
					handled <- string(r.Value)
				}
				if err := p.Commit(ctx, b.Next); err != nil {
					return err
				}
			}
		})
	}()
	must(t, l.Append(ctx, single.Name, numbered(0, 1)...))
	awaitValue(ctx, t, handled, "0")

	must(t, server.Pause())
	failsInTime(ctx, t, l)
	must(t, server.Kill())
	failsInTime(ctx, t, l)
	must(t, server.Start(ctx))
	for pause := newPause(); l.Append(ctx, single.Name, numbered(1, 1)...) != nil; pause.wait(ctx) {
		must(t, ctx.Err())
	}
	awaitValue(ctx, t, handled, "1")
	for pause := newPause(); ; pause.wait(ctx) {
		pending, err := l.Pending(ctx, group, single.Name)
		must(t, err)
		if pending[0].Count == 0 {
			break
		}
	}
	cancel()
	must(t, <-consumed)
}

// failsInTime wants each call to fail, and to say why, within its patience.
func failsInTime(ctx context.Context, t *testing.T, l *Log) {
	t.Helper()
	var calls sync.WaitGroup
	for name, call := range map[string]func() error{
		"Append":    func() error { return l.Append(ctx, single.Name, numbered(0, 3)...) },
		"Pending":   func() error { _, err := l.Pending(ctx, group, single.Name); return err },
		"Committed": func() error { _, err := l.Committed(ctx, group, single.Name); return err },
		"Read":      func() error { _, err := l.Read(ctx, single.Name, 0, 0, 1); return err },
		"Reset":     func() error { return l.Reset(ctx, "others", single.Name, 0, 0) },
	} {
		calls.Go(func() {
			began := time.Now()
			err := call()
			if feed.CodeOf(err) != feed.CodeUnavailable {
				t.Errorf("%s returned %v", name, err)
			}
			if took := time.Since(began); took > callPatience+requestTimeout {
				t.Errorf("%s took %v to say %v", name, took, err)
			}
		})
	}
	calls.Wait()
}

func awaitValue(ctx context.Context, t *testing.T, values <-chan string, want string) {
	t.Helper()
	for {
		select {
		case got := <-values:
			if got == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("record %s did not come", want)
		}
	}
}
