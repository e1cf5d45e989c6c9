package loadgen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"skein/loadgen/report"
)

// A report does not grow with the load's length: steps do.
func TestStepsAreFew(t *testing.T) {
	for _, duration := range []time.Duration{1, time.Second, 24 * time.Second, time.Minute, 10*time.Minute + 1, time.Hour, 1000 * time.Hour} {
		c := newCourse(duration)
		steps := int64(duration / c.step)
		if c.step < leastStep || c.step%leastStep != 0 || steps > mostSteps || c.step > leastStep && steps < mostSteps/2 {
			t.Errorf("a load of %v has %d steps of %v", duration, steps, c.step)
		}
	}
}

// Calls count where they were answered, only whole steps are shown, and a step
// without a call is 0; a step without a probe has no point.
func TestCourse(t *testing.T) {
	c := newCourse(3 * time.Second)
	for _, at := range []time.Duration{0, 100, 499, 1600, 2100} { // ms
		c.answered(callPost, at*time.Millisecond)
	}
	c.lagged("bystanders", 1700*time.Millisecond, 30*time.Millisecond)
	c.lagged("bystanders", 1800*time.Millisecond, 10*time.Millisecond)
	c.lagged("bystanders", -time.Millisecond, 20*time.Millisecond)

	lines := c.callLines(2200 * time.Millisecond)
	if len(lines) != 1 || lines[0].Name != callPost {
		t.Fatalf("lines %+v", lines)
	}
	if got := show(lines[0].Points); got != "0.25:6 0.75:0 1.25:0 1.75:2 " {
		t.Errorf("calls per second are %s", got)
	}
	lags := c.lagLines()
	if len(lags) != 1 || len(lags[0].Points) != 2 {
		t.Fatalf("lag %+v", lags)
	}
	late := lags[0].Points[1]
	if late.At != 1.75 || late.Count != 2 || *late.Max < 0.0297 || *late.Max > 0.0303 || *late.P50 > 0.0103 {
		t.Errorf("at %v: %d probes, p50 %v, max %v", late.At, late.Count, *late.P50, *late.Max)
	}
}

// show is a line in text; ? is unknown.
func show(points []report.Point) string {
	text := ""
	for _, p := range points {
		if p.Value == nil {
			text += fmt.Sprintf("%.4g:? ", p.At)
		} else {
			text += fmt.Sprintf("%.4g:%.4g ", p.At, *p.Value)
		}
	}
	return text
}

// A look that failed is a gap, in the rate on both sides of it too; so is a
// counter that began anew.
func TestLooksThatFailAreGaps(t *testing.T) {
	at := func(seconds int, large, deliveries float64) look {
		return look{at: time.Duration(seconds) * time.Second, scrape: scrape{
			sums: map[string]float64{"skein_deliveries_total": deliveries}, backlog: map[string]float64{"large": large},
		}}
	}
	looks := []look{at(10, 0, 100), at(11, 5, 300), {at: 12 * time.Second}, at(13, 2, 400), at(15, 0, 500), at(16, 0, 7)}
	lines := backlogLines(looks, 9*time.Second)
	if len(lines) != 1 || lines[0].Name != "large" {
		t.Fatalf("lines %+v", lines)
	}
	if got := show(lines[0].Points); got != "1:0 2:5 3:? 4:2 6:0 7:0 " {
		t.Errorf("backlog is %s", got)
	}
	if got := show(deliveryRates(looks, 9*time.Second)); got != "1.5:200 2.5:? 3.5:? 5:50 6.5:? " {
		t.Errorf("deliveries per second are %s", got)
	}
}

// A whole run: the report has what went on over time, with the burst.
func TestRunHasSeries(t *testing.T) {
	t.Parallel()
	var looked atomic.Int64
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "# TYPE skein_deliveries_total counter\nskein_deliveries_total %d\n"+
			"# TYPE skein_lane_backlog gauge\nskein_lane_backlog{lane=\"large\"} 2\nskein_lane_backlog{lane=\"small\"} 1\n", 100*looked.Add(1))
	}))
	t.Cleanup(metrics.Close)
	cfg := small((&fake{}).serve(t))
	cfg.Metrics, cfg.Duration, cfg.LagBound = []string{metrics.URL}, 2*time.Second, 500*time.Millisecond
	rep, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := rep.Series
	if s == nil || s.Step != 0.5 || s.Burst == nil || s.Burst.Begin != 1 || s.Burst.Over <= s.Burst.End {
		t.Fatalf("series %+v", s)
	}
	if len(s.Backlog) != 2 || len(s.Backlog[0].Points) < 2 || *s.Backlog[0].Points[0].Value != 2 {
		t.Errorf("backlog %+v", s.Backlog)
	}
	if len(s.Deliveries) < 1 || s.Deliveries[0].Value == nil || *s.Deliveries[0].Value <= 0 {
		t.Errorf("deliveries %s", show(s.Deliveries))
	}
	calls := 0.0
	for _, l := range s.Calls {
		if len(l.Points) < 3 {
			t.Errorf("%s: %s", l.Name, show(l.Points))
		}
		for _, p := range l.Points {
			calls += *p.Value * s.Step
		}
	}
	if calls < 1000 { // of 1,600 and the burst
		t.Errorf("%v calls were answered", calls)
	}
	var probed int64
	for _, l := range s.Lag {
		for _, p := range l.Points {
			probed += p.Count
		}
	}
	for _, l := range rep.Lag {
		if l.Who == "bystanders" || l.Who == "celebrity_followers" {
			probed -= l.Count
		}
	}
	if len(s.Lag) != 2 || probed != 0 {
		t.Errorf("%d groups; %d probes more than in the phases", len(s.Lag), probed)
	}
	if rep.Load == nil || rep.Load.Rate != 800 || rep.Load.Burst != 10 || rep.Load.Celebrities != 2 {
		t.Errorf("load %+v", rep.Load)
	}
}
