package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"skein/loadgen/oracle"
	"skein/loadgen/report"
)

// What a run can come to, besides nil. All of these come with a report.
var (
	// ErrViolated: the oracle found a violation of the timeline contract.
	ErrViolated = errors.New("the timeline contract was violated")
	// ErrFailedCalls: calls failed for another reason than RESOURCE_EXHAUSTED.
	ErrFailedCalls = errors.New("calls failed that should not")
	// ErrInterrupted: the context ended before the run did. What the report
	// says holds, but it does not say that everything was checked.
	ErrInterrupted = errors.New("interrupted")
)

// Run carries out a whole run and reports on it. The error wraps ErrConfig when
// nothing was measured, or one or more of ErrViolated, ErrFailedCalls and
// ErrInterrupted; these come with a report, other errors (the target is not
// there, the graph cannot be loaded) without. When Run returns, nothing that it
// started is left.
func Run(ctx context.Context, cfg Config) (*report.Report, error) {
	if cfg.Progress == nil {
		cfg.Progress = silent{}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	notes := &noted{Progress: cfg.Progress}
	cfg.Progress = notes
	r, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.fleet.close()
	// Before anything is written, so that who is refused leaves the server as it was.
	if err := r.compareGraph(ctx, r.viewers[:min(compared, len(r.viewers))]); err != nil && ctx.Err() == nil {
		return nil, err
	}
	if err := r.importGraph(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	before := r.scrape(ctx)
	stages := []func(context.Context){r.warm, r.watched(r.load, r.settle), r.check}
	for _, stage := range stages {
		if ctx.Err() == nil {
			stage(ctx)
		}
	}
	after := r.lastKnown(r.scrape(ctx))
	r.doubt(ctx)
	r.restore(ctx)
	r.notes()
	rep := r.report(before, after)
	rep.Interrupted, rep.Notes = ctx.Err() != nil, notes.all()
	return rep, r.verdict(ctx)
}

// run is one run under way.
type run struct {
	cfg      Config
	audience *audience
	viewers  []uint32 // who is checked
	fleet    *fleet
	history  *oracle.History
	recorder *recorder
	mark     string // of this run, in its posts' texts and idempotency keys

	origin time.Time // of all moments
	// began is the moment at which the load began. Written before the load's
	// goroutines start.
	began oracle.Moment
	// loaded is how long the load took, until its last call returned.
	loaded time.Duration

	// lanes[i] orders the acts of user i: held alone for an act, shared for a
	// scroll, and in both cases during the call, since that is what must not
	// overlap.
	lanes []sync.RWMutex
	// acted holds viewers whose act has just returned, for the scrolls that
	// look whether it shows. It is short, so that they are fresh; more are
	// forgotten.
	acted chan uint32

	// What was judged after the load: whole timelines, and the pairs in them.
	checked, pairs, pushed atomic.Int64

	probes probes

	// looks at the servers' metrics, while the load goes on and settles. They
	// belong to watch until it has ended.
	looks []look
}

func prepare(ctx context.Context, cfg Config) (*run, error) {
	cfg.Progress.Stage("graph", 1)
	g, err := cfg.OpenGraph()
	if err != nil {
		return nil, err
	}
	cfg.Progress.Add(1)
	f, err := dial(ctx, cfg.Targets)
	if err != nil {
		return nil, err
	}
	a := newAudience(g, cfg.Celebrities, rand.New(rand.NewPCG(cfg.Seed, 1)))
	r := &run{
		cfg: cfg, audience: a, fleet: f, recorder: newRecorder(cfg.Duration),
		mark:   fmt.Sprintf("r%08x", rand.Uint32()), // not seeded: two runs must differ
		origin: time.Now(),
		lanes:  make([]sync.RWMutex, g.Users()),
		acted:  make(chan uint32, scrollers),
	}
	r.viewers = r.sampleViewers()
	r.probes.init()
	r.history = oracle.New(oracle.Config{Graph: g, Run: r.mark, Seed: cfg.Seed, LagBound: cfg.LagBound})
	return r, nil
}

// sampleViewers draws who is checked, in random order. Celebrities are checked
// as often as anybody.
func (r *run) sampleViewers() []uint32 {
	users := r.audience.Users()
	all := make([]uint32, users)
	for i := range all {
		all[i] = uint32(i)
	}
	rng := rand.New(rand.NewPCG(r.cfg.Seed, 2))
	rng.Shuffle(users, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:r.cfg.sample(users)]
}

// now is the present on the clock of all moments.
func (r *run) now() oracle.Moment { return time.Since(r.origin) }

// verdict is Run's error for a run that came to its report.
func (r *run) verdict(ctx context.Context) error {
	var errs []error
	if n := r.history.Violations(); n > 0 {
		errs = append(errs, fmt.Errorf("%w: %d times", ErrViolated, n))
	}
	if n, _ := r.recorder.failures(); n > 0 {
		errs = append(errs, fmt.Errorf("%w: %d", ErrFailedCalls, n))
	}
	if ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("%w: not everything was checked", ErrInterrupted))
	}
	return errors.Join(errs...)
}
