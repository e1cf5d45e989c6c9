package fanout

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/timeline"
)

// metrics are the fan-out's figures (F7). Labels are bounded: never a user's id.
type metrics struct {
	deliveries, repeats, misses prometheus.Counter
	loud, aside                 prometheus.Counter
	asideNow                    prometheus.Gauge
	retries, tiers              *prometheus.CounterVec
	backlog                     *prometheus.GaugeVec
	lag                         *prometheus.HistogramVec
}

// outbox is the lane ahead of all others: what the log does not have yet.
const outbox = "outbox"

// laneNames are the topics as users see them.
var laneNames = map[string]string{
	topicPosts: "small", topicLarge: "large", topicBulk: "bulk", topicParked: "parked",
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		deliveries: counter("skein_deliveries_total", "Entries appended to timelines."),
		repeats:    counter("skein_delivery_repeats_total", "Deliveries whose entry was there already, or lies below the bottom."),
		misses:     counter("skein_delivery_misses_total", "Deliveries that found no timeline, as the viewer has not read lately."),
		loud:       counter("skein_loud_posts_total", "Posts left to be pulled, as their author is loud."),
		aside:      counter("skein_set_aside_total", "Events that could not be handled."),
		asideNow: f.NewGauge(prometheus.GaugeOpts{
			Name: "skein_set_aside", Help: "Posts that are set aside now, and pulled by readers.",
		}),
		retries: vec("skein_batch_retries_total", "Batches handled again after a failure, by lane.", "lane"),
		tiers:   vec("skein_tier_changes_total", "Authors who changed tier, by the tier that they got.", "tier"),
		backlog: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_lane_backlog", Help: "Records that wait or are in work, by lane; NaN while it cannot be asked.",
		}, []string{"lane"}),
		lag: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skein_lane_lag_seconds",
			Help:    "From a post's id to its delivery, by lane; in large and bulk each chunk counts, so the highest is the post's.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 20),
		}, []string{"lane"}),
	}
	for _, name := range laneNames { // present from the start, at zero
		m.pending(name, 0, nil)
		m.lag.WithLabelValues(name)
	}
	m.pending(outbox, 0, nil)
	return m
}

func (m *metrics) count(o timeline.Outcome) {
	m.deliveries.Add(float64(o.Entries))
	m.repeats.Add(float64(o.Repeats))
	m.misses.Add(float64(o.Misses))
}

// pending tells the backlog of a lane. One that cannot be asked is not a number: it is
// neither empty nor what it was.
func (m *metrics) pending(lane string, count int64, err error) {
	backlog := float64(count)
	if err != nil {
		backlog = math.NaN()
	}
	m.backlog.WithLabelValues(lane).Set(backlog)
}

// observe measures the lag of records that are done.
func (m *metrics) observe(topic string, records []eventlog.Record, now time.Time) {
	for _, r := range records {
		m.observePost(topic, r.Post, now)
	}
}

func (m *metrics) observePost(topic string, post feed.PostID, now time.Time) {
	if post.Valid() {
		m.lag.WithLabelValues(laneNames[topic]).Observe(now.Sub(post.Time()).Seconds())
	}
}
