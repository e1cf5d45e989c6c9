package loadgen

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// scrapeWithin bounds the reading of all servers' metrics.
const scrapeWithin = 5 * time.Second

// laneBacklog is the metric that each server tells of the log that all share.
const laneBacklog = "skein_lane_backlog"

// scrape is what the servers' metrics said at one moment, summed over servers.
// A metric that is not there is not in sums.
type scrape struct {
	sums    map[string]float64
	backlog map[string]float64 // of each lane, NaN where unknown: the largest that any server told
	engines map[string]string  // labels of skein_build_info
}

// scrape reads the metrics, if it was told where, also of a run that was
// interrupted. What cannot be read is unknown, and noted.
func (r *run) scrape(ctx context.Context) scrape {
	s, err := readMetrics(context.WithoutCancel(ctx), r.cfg.Metrics)
	if err != nil {
		r.cfg.Progress.Note("the metrics are not used: %v", err)
	}
	return s
}

// readMetrics sums over all servers. One that cannot be read makes everything
// unknown, since half a sum is no figure.
func readMetrics(ctx context.Context, addresses []string) (scrape, error) {
	s := scrape{sums: map[string]float64{}, backlog: map[string]float64{}, engines: map[string]string{}}
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	for _, address := range addresses {
		if err := s.read(ctx, address); err != nil {
			return scrape{}, err
		}
	}
	return s, nil
}

// read adds the metrics of one server; without a path, they are at /metrics.
func (s *scrape) read(ctx context.Context, address string) error {
	where, err := url.Parse(address)
	if err != nil {
		return err
	}
	if where.Path == "" || where.Path == "/" {
		where.Path = "/metrics"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return err
	}
	request.Close = true // a connection that is kept would outlive the run
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", where, answer.Status)
	}
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return err
	}
	for name, family := range families {
		s.add(name, family)
	}
	return nil
}

func (s *scrape) add(name string, family *dto.MetricFamily) {
	for _, m := range family.GetMetric() {
		if name == "skein_build_info" {
			for _, label := range m.GetLabel() {
				s.engines[label.GetName()] = label.GetValue()
			}
		}
		// At most one of these is there.
		v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		if name != laneBacklog {
			s.sums[name] += v
			continue
		}
		for _, label := range m.GetLabel() { // it has one, the lane
			lane := label.GetValue()
			if known, ok := s.backlog[lane]; !ok || math.IsNaN(known) || v > known {
				s.backlog[lane] = v
			}
		}
	}
}

// waiting returns the records in all lanes, nil if a lane is not known.
func (s scrape) waiting() *float64 {
	if len(s.backlog) == 0 {
		return nil
	}
	sum := 0.0
	for _, records := range s.backlog {
		sum += records
	}
	if math.IsNaN(sum) {
		return nil
	}
	return &sum
}

// known returns the sum of a metric, nil if it is not known.
func (s scrape) known(name string) *float64 {
	v, ok := s.sums[name]
	if !ok {
		return nil
	}
	return &v
}

// since returns by how much a counter grew, nil if that is not known: one that
// shrank belongs to a server that was started again.
func (s scrape) since(before scrape, name string) *float64 {
	was, is := before.known(name), s.known(name)
	if is == nil {
		return nil
	}
	v := *is
	if was != nil {
		v -= *was
	}
	if v < 0 {
		return nil
	}
	return &v
}
