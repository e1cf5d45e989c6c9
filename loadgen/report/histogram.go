package report

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest duration that a histogram tells from longer ones.
const longest = time.Hour

// Histogram collects durations, in microseconds up to an hour; what lies outside
// counts as the nearest that it knows. Its memory does not grow with what is
// recorded. Safe for concurrent use.
type Histogram struct {
	mu struct {
		sync.Mutex
		counts *hdrhistogram.Histogram
	}
}

// NewHistogram returns an empty histogram of three digits. It takes some 200 KB.
func NewHistogram() *Histogram { return newHistogram(3) }

// NewRoughHistogram returns an empty histogram that is exact to one percent. It
// takes some 30 KB, for where there are many.
func NewRoughHistogram() *Histogram { return newHistogram(2) }

func newHistogram(digits int) *Histogram {
	h := &Histogram{}
	h.mu.counts = hdrhistogram.New(1, longest.Microseconds(), digits)
	return h
}

// Record adds one duration.
func (h *Histogram) Record(d time.Duration) {
	d = min(max(d, time.Microsecond), longest)
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.mu.counts.RecordValue(d.Microseconds()) // fails only out of range
}

// Quantiles of what was recorded so far.
func (h *Histogram) Quantiles() Quantiles {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := h.mu.counts
	if counts.TotalCount() == 0 {
		return Quantiles{}
	}
	seconds := func(microseconds int64) *float64 {
		return new(float64(microseconds) / 1e6)
	}
	return Quantiles{
		Count: counts.TotalCount(),
		P50:   seconds(counts.ValueAtPercentile(50)),
		P99:   seconds(counts.ValueAtPercentile(99)),
		P999:  seconds(counts.ValueAtPercentile(99.9)),
		Max:   seconds(counts.Max()),
	}
}
