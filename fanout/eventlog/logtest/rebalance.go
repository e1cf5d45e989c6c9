package logtest

import (
	"context"
	"sync"
	"testing"

	"skein/fanout/eventlog"
)

// ledger is what the test knows of a group's reading.
type ledger struct {
	t tb

	mu struct {
		sync.Mutex
		owner     map[int]string
		seen      map[string]int
		committed map[int]int64
		changed   chan struct{}
	}
}

func newLedger(t tb) *ledger {
	l := &ledger{t: t}
	l.mu.owner, l.mu.seen, l.mu.committed = map[int]string{}, map[string]int{}, map[int]int64{}
	l.mu.changed = make(chan struct{})
	return l
}

func (l *ledger) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

// until waits for a condition, which is asked under the lock.
func (l *ledger) until(s *scene, what string, ok func() bool) {
	s.Helper()
	for {
		l.mu.Lock()
		met, changed := ok(), l.mu.changed
		l.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			s.Fatalf("waited in vain until %s", what)
		}
	}
}

func (l *ledger) owns(name string) (n int) {
	for _, owner := range l.mu.owner {
		if owner == name {
			n++
		}
	}
	return n
}

// work reads and commits in small steps, and holds the log to its promises.
func (l *ledger) work(name string) func(context.Context, eventlog.Partition) error {
	return func(ctx context.Context, p eventlog.Partition) error {
		id := p.ID()
		l.note(func() {
			if other := l.mu.owner[id]; other != "" {
				l.t.Errorf("%s was given partition %d while %s had it", name, id, other)
			}
			l.mu.owner[id] = name
		})
		defer l.note(func() { delete(l.mu.owner, id) })
		for {
			b, err := p.Fetch(ctx, 3)
			if err != nil {
				return err
			}
			l.note(func() {
				if b.Gap {
					l.t.Errorf("a gap in partition %d", id)
				}
				for _, r := range b.Records {
					l.mu.seen[string(r.Value)]++
					if r.Offset < l.mu.committed[id] {
						l.t.Errorf("%s got offset %d of partition %d, below the committed %d", name, r.Offset, id, l.mu.committed[id])
					}
				}
			})
			end := b.Records[len(b.Records)-1].Offset + 1
			if err := p.Commit(ctx, end); err != nil {
				return err
			}
			l.note(func() { l.mu.committed[id] = end })
		}
	}
}

// testRebalance: a second member joins and leaves while records come. None is
// skipped, none that was committed comes again, no partition has two owners.
func testRebalance(t *testing.T, place Place) {
	const partitions, records = 4, 600
	s := newScene(t, place, partitions)
	l := newLedger(t)
	start := func(name string) (stop func()) {
		ctx, cancel := context.WithCancel(s.ctx)
		done := make(chan error, 1)
		go func() { done <- s.log.Consume(ctx, group, s.topic, l.work(name)) }()
		return func() {
			cancel()
			must(s, <-done)
		}
	}
	stopFirst := start("first")
	l.until(s, "the first has all", func() bool { return l.owns("first") == partitions })
	s.append("", 0, records/3)
	stopSecond := start("second")
	s.append("", records/3, records/3)
	l.until(s, "both have some", func() bool {
		return l.owns("first") > 0 && l.owns("second") > 0 && len(l.mu.owner) == partitions
	})
	s.append("", 2*records/3, records/3)
	stopFirst()
	l.until(s, "the second has all", func() bool { return l.owns("second") == partitions })
	l.until(s, "all are read", func() bool { return len(l.mu.seen) == records })
	stopSecond()
}
