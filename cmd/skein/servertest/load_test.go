package servertest

import (
	"context"
	"errors"
	"fmt"
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
	fleet *fleet
	begun time.Time
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

// Stage implements loadgen.Progress.
func (l *load) Stage(name string, _ int64) {
	if name == "load" {
		close(l.warm)
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.stage = name
	l.mu.notes = append(l.mu.notes, fmt.Sprintf("%s %s after %v", time.Now().Format(time.TimeOnly), name, time.Since(l.begun).Round(time.Millisecond)))
}

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
	l := &load{fleet: f, begun: time.Now(), warm: make(chan struct{}), gate: gate, ended: make(chan struct{})}
	config := loadgen.DefaultConfig()
	config.Targets = f.targets()
	config.Users, config.Follows, config.Celebrities, config.CelebrityShare = 2500, 20_000, 5, 0.5
	config.Rate, config.ReadShare, config.Duration = 200, 0.5, duration
	if f.flaw != "" {
		config.Rate, config.Sample = 100, 500
	}
	config.Seed = uint64(time.Now().UnixNano())
	config.Progress, config.CallTimeout = l, callTimeout
	t.Logf("%s: seed %d", f.name, config.Seed)
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
	case <-time.After(patience):
		t.Fatalf("%s: the load does not end", l.fleet.name)
	}
	if l.report == nil {
		t.Fatalf("%s: no report: %v", l.fleet.name, l.err)
	}
	return l.report
}

// wantRight fails the test unless the oracle found nothing wrong, on pairs of
// which at least the share pushed was pushed, and no call failed but with a code
// that is allowed. Afterwards the backlog returns to zero.
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
	var waits []string
	defer func() {
		if len(waits) > 0 {
			t.Errorf("the backlog: %v", waits)
		}
	}()
	eventually(t, "the backlog is zero", func() bool {
		waits = l.fleet.backlog()
		return len(waits) == 0
	})
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
		if c.Name == "T1" && c.Violations == 0 {
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
