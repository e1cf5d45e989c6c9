package loadgen

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

const exposition = `# TYPE skein_build_info gauge
skein_build_info{posts="embedded",graph="embedded",log="kafka",timelines="memory",version="v1"} 1
# TYPE skein_deliveries_total counter
skein_deliveries_total 40
# TYPE skein_lane_backlog gauge
skein_lane_backlog{lane="small"} 1
skein_lane_backlog{lane="large"} 2
`

// Sums go over servers, but for the lanes, which all servers share; what is not there
// is unknown, not 0.
func TestScrape(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, exposition)
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	r := &run{cfg: Config{Metrics: []string{server.URL, server.URL + "/metrics"}, Progress: silent{}}}
	s := r.scrape(t.Context())
	if v := s.waiting(); v == nil || *v != 3 {
		t.Errorf("backlog %v, want 3", v)
	}
	before := scrape{sums: map[string]float64{"skein_deliveries_total": 50}}
	if v := s.since(before, "skein_deliveries_total"); v == nil || *v != 30 {
		t.Errorf("deliveries %v, want 30", v)
	}
	before.sums["skein_deliveries_total"] = 90
	if v := s.since(before, "skein_deliveries_total"); v != nil {
		t.Errorf("a counter that began anew grew by %v", *v)
	}
	if v := s.known("skein_timelines_live"); v != nil {
		t.Errorf("a metric that is not there is %v", *v)
	}
	if e := s.engine("log"); e == nil || *e != "kafka" {
		t.Errorf("log engine %v", e)
	}

	r.cfg.Metrics = append(r.cfg.Metrics, server.URL+"/elsewhere")
	if s := r.scrape(t.Context()); s.waiting() != nil || s.engine("log") != nil {
		t.Error("half of the servers make a sum")
	}
}

// A lane that a server cannot ask is unknown, unless another server could.
func TestScrapeUnknownLane(t *testing.T) {
	lanes := []string{"skein_lane_backlog{lane=\"small\"} NaN\nskein_lane_backlog{lane=\"outbox\"} 7\n", "skein_lane_backlog{lane=\"small\"} 2\n"}
	var metrics []string
	for _, lane := range lanes {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "# TYPE skein_lane_backlog gauge\n"+lane)
		}))
		defer server.Close()
		metrics = append(metrics, server.URL)
	}
	defer http.DefaultClient.CloseIdleConnections()
	r := &run{cfg: Config{Metrics: metrics[:1], Progress: silent{}}}
	one := r.scrape(t.Context())
	if v := one.waiting(); v != nil {
		t.Errorf("with an unknown lane the backlog is %v", *v)
	}
	for _, line := range backlogLines([]look{{scrape: one}}, 0) {
		if p := line.Points[0].Value; (p == nil) != (line.Name == "small") {
			t.Errorf("lane %s: %v", line.Name, p)
		}
	}
	r.cfg.Metrics = metrics
	if v := r.scrape(t.Context()).waiting(); v == nil || *v != 9 {
		t.Errorf("with a server that knows the lane the backlog is %v, want 9", v)
	}
}

// What servers told before they died stays known.
func TestLastKnown(t *testing.T) {
	known := scrape{sums: map[string]float64{"a": 1}}
	r := &run{looks: []look{{scrape: scrape{sums: map[string]float64{"a": 0}}}, {scrape: known}, {}}}
	if got := r.lastKnown(scrape{}).known("a"); got == nil || *got != 1 {
		t.Errorf("after a failure %v is known, want 1", got)
	}
	if got := r.lastKnown(scrape{sums: map[string]float64{"a": 2}}).known("a"); got == nil || *got != 2 {
		t.Errorf("without one %v is known, want 2", got)
	}
}
