package rows

import (
	"context"
	"errors"
	"fmt"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
)

// bystanders is what a celebrity's burst does to those who have nothing to do
// with it.
type bystanders struct {
	users    int // bystanders
	follows  int64
	posts    int // of bystanders, beforehand
	fans     int // of the celebrity
	burst    int // posts of the celebrity a second
	postRate int // posts of bystanders a second
	readRate int // reads of bystanders a second
}

func (bystanders) Names() []string { return []string{"bystander_lag", "bystander_read_p99"} }

func (r bystanders) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("bystander_lag, bystander_read_p99: making %s users and %s fans", report.Count(r.users), report.Count(r.fans))
	g, err := graph.Synthesize(graph.Synthetic{Users: r.users, Follows: r.follows, Seed: seed})
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, inProcess, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	town := &spike{bystanders: r, stores: s, graph: g, shift: celebrity + feed.UserID(r.fans)}
	if err := town.fill(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, town.service.close()) }()

	// The turns that are measured are those with the burst; those without are
	// what they are compared to. The two figures come out of the same turns.
	var calm, loud []*waits
	turn := func(celebrities int, into *[]*waits) func() (float64, error) {
		return func() (float64, error) {
			w, err := town.turn(ctx, celebrities)
			*into = append(*into, w)
			return w.read.quantile(0.99), err
		}
	}
	if _, _, err := b.alternate(ctx, "bystanders", turn(r.burst, &loud), turn(0, &calm)); err != nil {
		return nil, err
	}
	return r.rows(calm[1:], loud[1:]), nil
}

// waits are how long bystanders waited in one turn.
type waits struct{ lag, read sample }

// rows compares turns without and with the burst: by the p99, also of the lag,
// since half of the bystanders' posts are delivered before their authors have read
// the acknowledgement, which counts as no lag at all.
func (r bystanders) rows(calm, loud []*waits) []report.Row {
	of := func(turns []*waits, quantile func(*waits) float64) float64 {
		var all []float64
		for _, turn := range turns {
			all = append(all, quantile(turn))
		}
		return median(all)
	}
	row := func(name, kind string, sample func(*waits) *sample) report.Row {
		at := func(q float64) func(*waits) float64 {
			return func(w *waits) float64 { return sample(w).quantile(q) }
		}
		return report.Row{
			Name: name, Value: of(loud, at(0.99)) / of(calm, at(0.99)), Unit: "x", Better: report.Lower, Target: new(1.5),
			Setup: report.Setup{
				Users: r.users + r.fans + 1, LiveTimelines: r.users + r.fans, PostBytes: len(text),
				How: fmt.Sprintf("%s bystanders post %d and read %d times a second in an open loop over gRPC on loopback, "+
					"while a celebrity posts %d times a second to %s live timelines, policy push: "+
					"p50 and p99 of %s %.2f and %.2f ms without it, %.2f and %.2f ms with it",
					report.Count(r.users), r.postRate, r.readRate, r.burst, report.Count(r.fans), kind,
					1e3*of(calm, at(0.5)), 1e3*of(calm, at(0.99)), 1e3*of(loud, at(0.5)), 1e3*of(loud, at(0.99))),
				LeftOut: "a network; reads of the celebrity's followers",
			}.String(),
		}
	}
	return []report.Row{
		row("bystander_lag", "the lag from acknowledgement to the last readable entry", func(w *waits) *sample { return &w.lag }),
		row("bystander_read_p99", "a read", func(w *waits) *sample { return &w.read }),
	}
}
