package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"skein/timeline"
)

// metrics are the server's counters. Labels are bounded: never a user's id.
type metrics struct {
	homeReads, userReads     prometheus.Counter
	entries                  []prometheus.Counter // by timeline.Origin
	rebuilds, degraded, late prometheus.Counter
	aboveTop                 prometheus.Counter
	followHits, followMisses prometheus.Counter
	followUnchanged          prometheus.Counter
	postHits, postMisses     prometheus.Counter
	recentReads, recentLoads prometheus.Counter
}

// newMetrics makes the counters, registered with r unless it is nil.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	reads := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_reads_total", Help: "Timeline pages served, by kind of timeline.",
	}, []string{"timeline"})
	entries := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_read_posts_total", Help: "Posts on home timeline pages, by where they came from.",
	}, []string{"source"})
	follows := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_follow_cache_total", Help: "Look-ups of cached follow sets, by result.",
	}, []string{"result"})
	posts := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_post_cache_total", Help: "Look-ups of cached posts, by result.",
	}, []string{"result"})
	m := &metrics{
		homeReads:       reads.WithLabelValues("home"),
		userReads:       reads.WithLabelValues("user"),
		rebuilds:        counter("skein_rebuilds_total", "Timelines made afresh from storage."),
		degraded:        counter("skein_degraded_reads_total", "Home reads pulled from storage because the store of timelines failed."),
		late:            counter("skein_late_ids_total", "Posts that needed another id because storage was slow."),
		aboveTop:        counter("skein_above_top_reads_total", "Home reads that pulled what lies above the delivered-through id."),
		followHits:      follows.WithLabelValues("hit"),
		followMisses:    follows.WithLabelValues("miss"),
		followUnchanged: follows.WithLabelValues("unchanged"),
		postHits:        posts.WithLabelValues("hit"),
		postMisses:      posts.WithLabelValues("miss"),
		recentReads:     counter("skein_loud_reads_total", "Look-ups of a loud author's recent posts."),
		recentLoads:     counter("skein_loud_loads_total", "Look-ups of a loud author's recent posts that went to storage."),
		entries:         make([]prometheus.Counter, len(sources)),
	}
	names := [...]string{
		timeline.Pushed: "pushed", timeline.FromRebuild: "rebuilt", timeline.Own: "own",
		timeline.NewlyFollowed: "newly_followed", timeline.Pulled: "pulled",
		timeline.AboveTop: "above_top", timeline.BelowBottom: "below_bottom",
	}
	for origin, name := range names {
		if name != "" {
			m.entries[origin] = entries.WithLabelValues(name)
		}
	}
	return m
}
