package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/fanout/eventlog"
)

// storm is what a test knows while members come and go.
type storm struct {
	sync.Mutex
	t       *testing.T
	handled map[int]map[int64]int // by partition and offset: how often
	values  map[string]bool
	total   int
	changed chan struct{}
	calm    chan struct{} // closed while batches take no time
}

// rage makes a part of the batches last until they are told to stop.
func (s *storm) rage() {
	s.Lock()
	defer s.Unlock()
	s.calm = make(chan struct{})
}

func (s *storm) lull() {
	s.Lock()
	defer s.Unlock()
	close(s.calm)
}

func (s *storm) weather() <-chan struct{} {
	s.Lock()
	defer s.Unlock()
	return s.calm
}

func (s *storm) note(partition int, records []eventlog.Record) {
	s.Lock()
	defer s.Unlock()
	if s.handled[partition] == nil {
		s.handled[partition] = map[int64]int{}
	}
	for _, r := range records {
		s.handled[partition][r.Offset]++
		s.values[string(r.Value)] = true
		s.total++
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for a condition, which is asked under the lock.
func (s *storm) until(ctx context.Context, what string, ok func() bool) {
	s.t.Helper()
	for {
		s.Lock()
		met, changed := ok(), s.changed
		s.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// work handles batches and commits them as a worker does. Of the batches that it
// has in hand when it is told to stop, it commits one half and drops the other.
func (s *storm) work(ctx context.Context, p eventlog.Partition) error {
	for {
		b, err := p.Fetch(ctx, 7)
		if err != nil {
			return err
		}
		if b.Gap {
			s.t.Errorf("a gap in partition %d", p.ID())
		}
		s.note(p.ID(), b.Records)
		if b.Next%3 == 0 {
			select {
			case <-s.weather():
			case <-ctx.Done():
				if b.Next%2 == 0 {
					return nil
				}
			}
		}
		if err := p.Commit(context.WithoutCancel(ctx), b.Next); err != nil {
			return err
		}
	}
}

// hold checks that nothing is committed that was not handled.
func (s *storm) hold(l *Log, topic string) {
	s.t.Helper()
	committed, err := l.Committed(s.t.Context(), group, topic)
	must(s.t, err)
	s.Lock()
	defer s.Unlock()
	for p, end := range committed {
		for offset := range end {
			if s.handled[p][offset] == 0 {
				s.t.Fatalf("partition %d: %d is committed, and %d was never handled", p, end, offset)
			}
		}
	}
}

// TestRebalanceStorm: members join and leave at random while records come. None
// is skipped, nothing is committed that was not handled, and each change repeats
// at most the batches in flight (F2).
func TestRebalanceStorm(t *testing.T) {
	t.Parallel()
	const partitions, slots, changes, each = 6, 4, 20, 50
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	topic := eventlog.Topic{Name: "storm", Partitions: partitions}
	url := place(t)
	l := opened(t, url, topic)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := &storm{t: t, handled: map[int]map[int64]int{}, values: map[string]bool{}, changed: make(chan struct{})}
	s.rage()

	var members [slots]func()
	start := func(slot int) {
		memberCtx, leave := context.WithCancel(ctx)
		log, err := Open(ctx, url, []eventlog.Topic{topic}, Options{Logger: quiet}) // as another process does
		must(t, err)
		done := make(chan error, 1)
		go func() { done <- log.Consume(memberCtx, group, topic.Name, s.work) }()
		members[slot] = func() {
			leave()
			must(t, errors.Join(<-done, log.Close()))
		}
	}
	start(0)
	for change := range changes {
		must(t, l.Append(ctx, topic.Name, numbered(change*each, each)...))
		if slot := rng.IntN(slots); members[slot] == nil {
			start(slot)
		} else {
			members[slot]()
			members[slot] = nil
		}
		some := slices.ContainsFunc(members[:], func(leave func()) bool { return leave != nil })
		if rng.IntN(2) == 0 && some { // else the next change comes in the middle of this one
			s.lull()
			s.until(ctx, fmt.Sprintf("change %d is over", change), func() bool { return len(s.values) >= change*each })
			s.rage()
		}
		s.hold(l, topic.Name)
	}
	if members[0] == nil {
		start(0)
	}
	s.lull()
	s.until(ctx, "all are handled", func() bool { return len(s.values) == changes*each })
	for _, leave := range members {
		if leave != nil {
			leave()
		}
	}
	s.hold(l, topic.Name)
	if repeated := s.total - changes*each; repeated > changes*partitions*7 {
		t.Errorf("%d records were handled again in %d changes", repeated, changes)
	} else {
		t.Logf("%d records, %d handled again", changes*each, repeated)
	}
}
