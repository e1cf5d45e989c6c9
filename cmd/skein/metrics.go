package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"skein/cmd/internal/engines"
	"skein/timeline"
)

// newRegistry returns a registry with what concerns the whole process.
func newRegistry(config engines.Config, timelines timeline.Store) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "skein_build_info",
		Help: "1; the labels say which version runs, on which engines.",
		ConstLabels: prometheus.Labels{
			"version": version,
			"posts":   engines.Scheme(config.Posts), "graph": engines.Scheme(config.Graph),
			"log": engines.Scheme(config.Log), "timelines": engines.Scheme(config.Timelines),
		},
	})
	build.Set(1)
	registry.MustRegister(build, timelineStats{timelines},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// timelineStats asks the timeline store how it is whenever it is scraped.
type timelineStats struct{ store timeline.Store }

var (
	timelinesLive    = prometheus.NewDesc("skein_timelines_live", "Timelines that can be read.", nil, nil)
	timelineEntries  = prometheus.NewDesc("skein_timeline_entries", "Entries in all timelines.", nil, nil)
	timelineBytes    = prometheus.NewDesc("skein_timeline_bytes", "Memory that all timelines take.", nil, nil)
	timelinesEvicted = prometheus.NewDesc("skein_timelines_evicted_total", "Timelines dropped for the byte limit.", nil, nil)
	timelinesExpired = prometheus.NewDesc("skein_timelines_expired_total", "Timelines dropped as nobody read them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (timelineStats) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{timelinesLive, timelineEntries, timelineBytes, timelinesEvicted, timelinesExpired} {
		to <- desc
	}
}

// Collect implements prometheus.Collector. A store that does not answer leaves
// these metrics out, and not the others.
func (t timelineStats) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stats, err := t.store.Stats(ctx)
	if err != nil {
		return
	}
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value int64) {
		to <- prometheus.MustNewConstMetric(desc, kind, float64(value))
	}
	send(timelinesLive, prometheus.GaugeValue, stats.Live)
	send(timelineEntries, prometheus.GaugeValue, stats.Entries)
	send(timelineBytes, prometheus.GaugeValue, stats.Bytes)
	send(timelinesEvicted, prometheus.CounterValue, stats.Evicted)
	send(timelinesExpired, prometheus.CounterValue, stats.Expired)
}

// newMetricsServer serves, for operators: /metrics; /healthz, which says that
// the process answers; /readyz, which says whether it should get work, and what is
// missing; /version; and profiles below /debug/pprof.
func newMetricsServer(registry *prometheus.Registry, ready http.Handler, config Config, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", ready)
	mux.HandleFunc("GET /version", serveVersion(config))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
