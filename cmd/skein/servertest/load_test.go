package servertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/loadgen"
	"skein/loadgen/report"
)

// callTimeout is longer than any failure here may hold up a call, also on a machine
// with other work.
const callTimeout = 20 * time.Second

// load is a run of the load generator against a fleet.
type load struct {
	fleet   *fleet
	clients []client // of its API servers
	begun   time.Time
	planned time.Duration // of the load itself
	// warm is closed when all is ready for the load, which begins when gate is
	// closed; ended when all is over.
	warm, gate, ended chan struct{}
	// What came of it, once ended.
	report *report.Report
	err    error

	mu struct {
		sync.Mutex
		stage   string
		seconds int64    // of the load that have passed
		notes   []string // when stages began, which calls failed
	}
}

// Stage implements loadgen.Progress. The load begins at the gate. What is delivered
// late counts too: timelines are checked when nothing waits any more.
func (l *load) Stage(name string, _ int64) {
	switch name {
	case "load":
		close(l.warm)
		<-l.gate
	case "check":
		l.drain()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.stage = name
	l.mu.notes = append(l.mu.notes, fmt.Sprintf("%s %s after %v", time.Now().Format(time.TimeOnly), name, time.Since(l.begun).Round(time.Millisecond)))
}

// drain waits until all is delivered.
func (l *load) drain() {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for late := time.After(patience); ; {
		waits := l.waits()
		if waits == nil {
			return
		}
		select {
		case <-again.C:
		case <-late:
			l.Note("failed: not all is delivered after %v: %v", patience, waits)
			return
		}
	}
}

// waits returns nil when no API server knows of anything that waits for delivery.
func (l *load) waits() error {
	if waits := l.fleet.backlog(); len(waits) > 0 {
		return fmt.Errorf("the backlog is %v", waits)
	}
	// A backlog that cannot be asked for stays what it was; the top does not rise.
	for i, api := range l.fleet.apis {
		before, err := api.metric(aboveTop)
		if err == nil {
			_, _, err = home(context.Background(), l.clients[i], 1)
		}
		after, afterErr := api.metric(aboveTop)
		if err := errors.Join(err, afterErr); err != nil {
			return err
		}
		if after > before {
			return fmt.Errorf("%s pulls what lies above the top", api.name)
		}
	}
	return nil
}

// aboveTop counts reads that found the delivered-through id late.
const aboveTop = "skein_above_top_reads_total"

// Add implements loadgen.Progress.
func (l *load) Add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.stage == "load" {
		l.mu.seconds += n
	}
}

// Note implements loadgen.Progress.
func (l *load) Note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.notes = append(l.mu.notes, fmt.Sprintf(format, args...))
}

// passed returns how many seconds of the load are over.
func (l *load) passed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.seconds
}

// begin lets the load generator loose on the fleet, with a load that begins when
// the gate is closed. The graph is small, but has authors whose posts are cut into
// chunks.
func (f *fleet) begin(t *testing.T, duration time.Duration, gate chan struct{}) *load {
	t.Helper()
	l := &load{fleet: f, clients: f.clients(t), begun: time.Now(), planned: duration, warm: make(chan struct{}), gate: gate, ended: make(chan struct{})}
	config := loadgen.DefaultConfig()
	config.Targets = f.targets()
	config.Users, config.Follows, config.Celebrities, config.CelebrityShare = 1300, 12_000, 5, 0.9
	config.Rate, config.ReadShare, config.Duration = f.on.rate, 0.6, duration
	if f.flaw != "" {
		config.NoProbes = true
	}
	if f.flaw != "" && !clusters { // there it is not alone
		config.Rate /= 2
	}
	config.Seed = f.seed
	config.Progress, config.CallTimeout = l, callTimeout
	t.Logf("%s: seed %d", f.name, f.seed)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); <-l.ended })
	go func() {
		defer close(l.ended)
		l.report, l.err = loadgen.Run(ctx, config)
	}()
	return l
}

// await waits until so much of the load is over.
func (l *load) await(t *testing.T, seconds int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s: %d s of the load", l.fleet.name, seconds), func() bool {
		select {
		case <-l.ended:
			t.Fatalf("%s: the load ended after %d s: %v", l.fleet.name, l.passed(), l.err)
		default:
		}
		return l.passed() >= seconds
	})
}

// result waits for the end and returns the report.
func (l *load) result(t *testing.T) *report.Report {
	t.Helper()
	select {
	case <-l.ended:
	case <-time.After(l.planned + patience):
		t.Fatalf("%s: the load does not end", l.fleet.name)
	}
	if l.report == nil {
		t.Fatalf("%s: no report: %v", l.fleet.name, l.err)
	}
	return l.report
}

// wantRight fails the test unless the oracle found nothing wrong, on pairs of
// which at least the share pushed was pushed, and no call failed but with a code
// that is allowed, and nothing was left waiting.
func (l *load) wantRight(t *testing.T, pushed float64, allowed ...string) {
	t.Helper()
	rep := l.result(t)
	for _, c := range rep.Checks {
		if c.Violations > 0 {
			t.Errorf("%s: %d violations of %d, such as %s", c.Name, c.Violations, c.Tried, strings.Join(c.Examples, "\n\t"))
		}
		t.Logf("%s: %d tried, %v", c.Name, c.Tried, c.BySource)
	}
	if l.err != nil && !errors.Is(l.err, loadgen.ErrFailedCalls) && !errors.Is(l.err, loadgen.ErrViolated) {
		t.Errorf("the run: %v", l.err)
	}
	for _, note := range l.mu.notes {
		t.Log(note)
		if failed, ok := strings.CutPrefix(note, "failed: "); ok && !excused(failed, allowed) {
			t.Errorf("calls failed that should not: %s", failed)
		}
	}
	pairs, byPush := figure(t, rep, "pairs_checked"), figure(t, rep, "pairs_pushed")
	t.Logf("%.0f pairs, %.0f pushed; %.0f calls refused as too many", pairs, byPush, figure(t, rep, "exhausted_calls"))
	if pairs < 10_000 || byPush < pairs*pushed {
		t.Errorf("of %.0f pairs %.0f were pushed, want %.0f %% of 10,000 at least", pairs, byPush, pushed*100)
	}
}

// excused reports whether a failure, "Call: Code, …", has an allowed code.
func excused(failed string, allowed []string) bool {
	for _, code := range allowed {
		if strings.Contains(failed, ": "+code+", ") {
			return true
		}
	}
	return false
}

// wantViolated fails the test unless the oracle found posts missing.
func (l *load) wantViolated(t *testing.T) {
	t.Helper()
	rep := l.result(t)
	if !errors.Is(l.err, loadgen.ErrViolated) {
		t.Errorf("the oracle says %v of the %s build", l.err, l.fleet.flaw)
	}
	for _, c := range rep.Checks {
		if c.Violations > 0 {
			t.Logf("%s, %s: %d violations of %d, such as %s", l.fleet.flaw, c.Name, c.Violations, c.Tried, c.Examples[0])
		}
		lacks := func(example string) bool { return strings.Contains(example, " is missing") }
		if c.Name == "T1" && !slices.ContainsFunc(c.Examples, lacks) {
			t.Errorf("T1 holds in the %s build, which loses posts", l.fleet.flaw)
		}
	}
}

func figure(t *testing.T, rep *report.Report, name string) float64 {
	t.Helper()
	for _, f := range rep.Figures {
		if f.Name == name && f.Value != nil {
			return *f.Value
		}
	}
	t.Fatalf("the report has no figure %s", name)
	return 0
}
