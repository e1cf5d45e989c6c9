package rows

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// closedLoop lets clients call again and again for a time, each as soon as its
// last call has returned, and returns how many calls a second were answered in
// that time. The first error ends it.
func closedLoop(ctx context.Context, clients int, length time.Duration, call func(ctx context.Context, client int) error) (float64, error) {
	group, ctx := errgroup.WithContext(ctx)
	var answered atomic.Int64
	end := time.Now().Add(length)
	for client := range clients {
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := call(ctx, client); err != nil {
					return err
				}
				if time.Now().After(end) {
					return nil
				}
				answered.Add(1)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(answered.Load()) / length.Seconds(), nil
}

// eachOf calls do for 0 to n-1 from workers goroutines, in no order. The first
// error ends it.
func eachOf(ctx context.Context, n, workers int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range workers {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// openInFlight bounds the calls of an open loop that wait for their answer.
const openInFlight = 512

// openLoop makes rate calls a second, evenly spaced, for a time, whether or not
// earlier ones have returned, and calls each with the moment at which it was due:
// from then on its caller waits. It returns when all have.
func openLoop(ctx context.Context, rate int, length time.Duration, call func(ctx context.Context, n int, due time.Time) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openInFlight)
	gap := time.Second / time.Duration(rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	begin := time.Now()
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * gap)
		if due.Sub(begin) >= length || ctx.Err() != nil {
			break
		}
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		group.Go(func() error { return call(ctx, n, due) })
	}
	return group.Wait()
}

// sample collects durations from many goroutines.
type sample struct {
	mu sync.Mutex
	of []time.Duration
}

func (s *sample) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = append(s.of, d)
}

// quantile returns the least duration that a part q of all does not exceed, in
// seconds; NaN when there are none.
func (s *sample) quantile(q float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.of) == 0 {
		return math.NaN()
	}
	slices.Sort(s.of)
	rank := max(int(math.Ceil(q*float64(len(s.of)))), 1)
	return s.of[rank-1].Seconds()
}
