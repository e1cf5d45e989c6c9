package report

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest duration that a histogram tells from longer ones.
const longest = time.Hour

// Histogram collects durations, in microseconds up to an hour and to three
// digits; what lies outside counts as the nearest that it knows. It takes some
// 200 KB, however many are recorded. Safe for concurrent use.
type Histogram struct {
	mu struct {
		sync.Mutex
		counts *hdrhistogram.Histogram
	}
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	h := &Histogram{}
	h.mu.counts = hdrhistogram.New(1, longest.Microseconds(), 3)
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
