package loadgen

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"skein/loadgen/report"
)

// report puts together what was measured and judged.
func (r *run) report(before, after scrape) *report.Report {
	rep := &report.Report{
		Workload: string(r.cfg.Workload),
		Seed:     strconv.FormatUint(r.cfg.Seed, 10),
		Engines: report.Engines{
			Posts: after.engine("posts"), Graph: after.engine("graph"),
			Log: after.engine("log"), Timelines: after.engine("timelines"),
		},
		Graph: report.Graph{
			Users:        int64(r.audience.Users()),
			Follows:      r.audience.Follows(),
			MaxFollowers: int64(r.audience.MaxFollowers()),
		},
		Load:    r.asked(),
		Figures: r.figures(before, after),
		Series:  r.series(),
	}
	r.recorder.mu.Lock()
	defer r.recorder.mu.Unlock()
	for _, s := range inOrder(r.recorder.mu.latency) {
		rep.Latency = append(rep.Latency, report.Latency{
			Call: s.name, Phase: s.phase, Quantiles: r.recorder.mu.latency[s].Quantiles(),
		})
	}
	for _, s := range inOrder(r.recorder.mu.lag) {
		rep.Lag = append(rep.Lag, report.Lag{
			Who: s.name, Phase: s.phase, Quantiles: r.recorder.mu.lag[s].Quantiles(), GaveUp: r.recorder.mu.gaveUp[s],
		})
	}
	for _, c := range r.history.Checks() {
		rep.Checks = append(rep.Checks, report.Check(c))
	}
	return rep
}

// asked is what the load was asked to be.
func (r *run) asked() *report.Load {
	l := &report.Load{
		Rate: r.cfg.Rate, ReadShare: r.cfg.ReadShare, Duration: r.cfg.Duration.Seconds(),
		LagBound: r.cfg.LagBound.Seconds(),
	}
	if r.bursts() {
		l.Celebrities, l.Burst = int64(len(r.audience.celebrities)), int64(r.cfg.Burst)
	}
	return l
}

// bursts reports whether there are celebrities who post in a burst.
func (r *run) bursts() bool { return r.cfg.Workload == Spike && len(r.audience.celebrities) > 0 }

// figures are the numbers that are not distributions. What nothing was measured
// of is nil.
func (r *run) figures(before, after scrape) []report.Figure {
	failed, _ := r.recorder.failures()
	r.recorder.mu.Lock()
	calls := maps.Clone(r.recorder.mu.calls)
	exhausted := r.recorder.mu.exhausted
	r.recorder.mu.Unlock()

	perSecond := func(n int64) *float64 {
		if r.loaded <= 0 {
			return nil
		}
		return new(float64(n) / r.loaded.Seconds())
	}
	deliveries := after.since(before, "skein_deliveries_total")
	var deliveryRate *float64
	if deliveries != nil {
		deliveryRate = perSecond(int64(*deliveries))
	}
	count := func(n int64) *float64 { return new(float64(n)) }
	return []report.Figure{
		{Name: "posts", Value: count(calls[callPost])},
		{Name: "posts_per_second", Value: perSecond(calls[callPost]), Unit: "1/s"},
		{Name: "reads_per_second", Value: perSecond(calls[callRead]), Unit: "1/s"},
		{Name: "live_timelines", Value: after.known("skein_timelines_live")},
		{Name: "deliveries", Value: deliveries},
		{Name: "deliveries_per_second", Value: deliveryRate, Unit: "1/s"},
		{Name: "delivery_repeats", Value: after.since(before, "skein_delivery_repeats_total")},
		{Name: "delivery_misses", Value: after.since(before, "skein_delivery_misses_total")},
		{Name: "lane_backlog", Value: after.waiting()},
		{Name: "viewers_checked", Value: count(r.checked.Load())},
		{Name: "pairs_checked", Value: count(r.pairs.Load())},
		{Name: "pairs_pushed", Value: count(r.pushed.Load())},
		{Name: "failed_calls", Value: count(failed)},
		{Name: "exhausted_calls", Value: count(exhausted)},
		{Name: "probes_given_up", Value: count(r.probes.gaveUp.Load())},
	}
}

// engine is a label of the servers' build information.
func (s scrape) engine(label string) *string {
	name, ok := s.engines[label]
	if !ok {
		return nil
	}
	return &name
}

// phases in the order in which they come.
var phases = []string{"before", "during", "after"}

// inOrder sorts by name, then by phase; decile_10 comes after decile_9.
func inOrder(of map[series]*report.Histogram) []series {
	key := func(s series) string { return strings.Replace(s.name, "decile_10", "decile_9+", 1) }
	return slices.SortedFunc(maps.Keys(of), func(a, b series) int {
		return cmp.Or(
			cmp.Compare(key(a), key(b)),
			cmp.Compare(slices.Index(phases, a.phase), slices.Index(phases, b.phase)),
		)
	})
}

// notes tells of what the table does not show.
func (r *run) notes() {
	_, failures := r.recorder.failures()
	for _, f := range failures {
		r.cfg.Progress.Note("failed: %s", f)
	}
	if n := r.probes.gaveUp.Load(); n > 0 {
		r.cfg.Progress.Note("%d probes gave up after %v; each counts as that lag", n, probeBounds*r.cfg.LagBound)
	}
	if late := r.loaded - r.cfg.Duration; late > time.Second {
		r.cfg.Progress.Note("the load took %v longer than planned: the target did not keep up with --rate",
			late.Round(100*time.Millisecond))
	}
}
