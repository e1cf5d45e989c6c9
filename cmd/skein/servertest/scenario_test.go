package servertest

import (
	"testing"
	"time"
)

// scenario is a failure under load, and what must come of it.
type scenario struct {
	// duration of the load. The failure begins after two seconds of it, and its
	// last five are quiet.
	duration time.Duration
	// engines breaks and mends what all fleets share, processes those of one.
	engines   func(t *testing.T)
	processes func(t *testing.T, f *fleet)
	// pushed is the least share of pairs that a worker must have delivered.
	pushed float64
	// allowed are the codes with which calls may fail.
	allowed []string
}

// run has all fleets suffer the failure at once. The intact one must be right; the
// broken builds must be found. With -short there are none.
func (s scenario) run(t *testing.T) {
	fleets := []*fleet{running(t, "")}
	if !testing.Short() {
		fleets = append(fleets, running(t, lossy), running(t, idle))
	}
	loads := together(t, fleets, s.duration)
	for _, l := range loads {
		l.await(t, 2)
	}
	if s.engines != nil {
		s.engines(t)
	}
	for _, f := range fleets {
		if s.processes != nil {
			s.processes(t, f)
		}
	}
	for _, l := range loads[1:] {
		if l.fleet.flaw == lossy {
			// By then enough have a timeline again for a loss to show.
			l.await(t, l.passed()+2)
			must(t, l.fleet.arm())
		}
	}
	loads[0].wantRight(t, s.pushed, s.allowed...)
	for _, l := range loads[1:] {
		if l.wantViolated(t); l.fleet.flaw == lossy && !l.fleet.dropped() {
			t.Error("there was no chunk to drop")
		}
	}
}

// together begins a load on each fleet, all at the same time.
func together(t *testing.T, fleets []*fleet, duration time.Duration) (loads []*load) {
	t.Helper()
	gate := make(chan struct{})
	defer close(gate)
	for _, f := range fleets {
		loads = append(loads, f.begin(t, duration, gate))
	}
	for _, l := range loads {
		select {
		case <-l.warm:
		case <-l.ended:
			t.Fatalf("%s: there is no load: %v", l.fleet.name, l.err)
		case <-time.After(patience):
			t.Fatalf("%s: no load within %v", l.fleet.name, patience)
		}
	}
	return loads
}

// Redis is emptied under load: timelines are rebuilt as they are read (T7), and
// what is posted meanwhile is not lost (T1).
func TestRedisIsFlushed(t *testing.T) {
	if testing.Short() {
		t.Skip("TestRedisIsKilled is the short one")
	}
	scenario{duration: 10 * time.Second, pushed: 0.05, engines: func(t *testing.T) {
		ours.command(t, "FLUSHALL")
	}}.run(t)
}
