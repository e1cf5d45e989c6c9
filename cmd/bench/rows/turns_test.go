package rows

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{4, 2}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{1, 100, 2, 3}, 2.5},
	} {
		if got := median(c.of); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.of, got, c.want)
		}
	}
}

// Value and ceiling take turns; the first round is for warm-up and counts for
// neither.
func TestAlternate(t *testing.T) {
	b := bench(t)
	b.Rounds = 5
	b.Profiles = filepath.Join(t.TempDir(), "profiles")
	order, n := "", 0.0
	turn := func(name string, sign float64) func() (float64, error) {
		return func() (float64, error) {
			order += name
			n++
			return sign * n, nil
		}
	}
	value, ceiling, err := b.alternate(t.Context(), "it", turn("A", 1), turn("B", -1))
	if err != nil {
		t.Fatal(err)
	}
	// Values are 1 (warm-up), 3, 5, 7, 9, 11, ceilings -2, -4, -6, …
	if order != "ABABABABABAB" || value != 7 || ceiling != -8 {
		t.Errorf("order %s, value %v, ceiling %v", order, value, ceiling)
	}
	for _, name := range []string{"it.cpu.pprof", "it.allocs.pprof"} {
		if info, err := os.Stat(filepath.Join(b.Profiles, name)); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	fails := func() (float64, error) { return 0, broken }
	if _, _, err := b.alternate(t.Context(), "it", fails, nil); !errors.Is(err, broken) {
		t.Errorf("a value that fails: %v", err)
	}
	if _, _, err := b.alternate(t.Context(), "it", turn("A", 1), fails); !errors.Is(err, broken) {
		t.Errorf("a ceiling that fails: %v", err)
	}
}

func TestClosedLoop(t *testing.T) {
	var calls, most, now atomic.Int64
	const length = 50 * time.Millisecond
	rate, err := closedLoop(t.Context(), 3, length, func(context.Context, int) error {
		raise(&most, now.Add(1))
		defer now.Add(-1)
		calls.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := math.Round(rate * length.Seconds())
	if made := float64(calls.Load()); counted > made || counted < made-3 || counted == 0 {
		t.Errorf("%v calls counted of %v made", counted, made)
	}
	if most.Load() > 3 {
		t.Errorf("%d calls at once by 3 clients", most.Load())
	}
	broken := errors.New("broken")
	if _, err := closedLoop(t.Context(), 3, time.Hour, func(context.Context, int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a call that fails: %v", err)
	}
}

// An open loop does not wait for answers, and tells when a call was due.
func TestOpenLoop(t *testing.T) {
	const rate, length = 200, 100 * time.Millisecond
	begin, release := time.Now(), make(chan struct{})
	var calls atomic.Int64
	err := openLoop(t.Context(), rate, length, func(_ context.Context, n int, due time.Time) error {
		if at := due.Sub(begin) - time.Duration(n)*time.Second/rate; at < 0 || at > time.Second {
			t.Errorf("call %d is due %v off", n, at)
		}
		if calls.Add(1) == 20 {
			close(release)
		}
		<-release // none returns before all were made
		return nil
	})
	if err != nil || calls.Load() != 20 {
		t.Errorf("%d calls, want 20 (%v)", calls.Load(), err)
	}
}

func TestQuantile(t *testing.T) {
	var s sample
	if !math.IsNaN(s.quantile(0.5)) {
		t.Error("a quantile of nothing")
	}
	for n := 100; n > 0; n-- {
		s.add(time.Duration(n) * time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 0.001, 0.5: 0.05, 0.99: 0.099, 1: 0.1} {
		if got := s.quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v s, want %v", q, got, want)
		}
	}
}

// raise makes a at least n.
func raise(a *atomic.Int64, n int64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}
