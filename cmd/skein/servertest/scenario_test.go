package servertest

import (
	"testing"
	"time"
)

// scenario is a failure under load, and what must come of it.
type scenario struct {
	// on is what the fleets run over; onServers if it is left out.
	on stack
	// duration of the load. The failure begins after two seconds of it, and must
	// be over some seconds before its end.
	duration time.Duration
	// fail breaks something, and mends it, for all loads; and calls arm at a moment
	// from which on nothing heals the loss of a chunk.
	fail func(t *testing.T, loads []*load)
	// pushed is the least share of pairs that a worker must have delivered.
	pushed float64
	// allowed are the codes with which calls may fail.
	allowed []string
}

// run has fleets suffer the failure: the intact one must be right, the broken builds
// must be found. All at once, but where nodes of clusters leave no processors for a
// second fleet. With -short there are no broken builds, and less of a load.
func (s scenario) run(t *testing.T) {
	if s.on == (stack{}) {
		s.on = onServers
	}
	switch {
	case testing.Short():
		s.duration /= 2
		s.among(t, "")
	case clusters:
		for _, flaw := range []string{"", lossy, idle} {
			for _, f := range ours.fleets {
				f.kill()
			}
			s.among(t, flaw)
		}
	default:
		s.among(t, "", lossy, idle)
	}
}

// among runs the scenario on the fleets of flaws.
func (s scenario) among(t *testing.T, flaws ...string) {
	t.Helper()
	var fleets []*fleet
	for _, flaw := range flaws {
		fleets = append(fleets, running(t, s.on, flaw))
	}
	loads := begin(t, fleets, s.duration)
	for _, l := range loads {
		l.await(t, 2)
	}
	s.fail(t, loads)
	for _, l := range loads {
		if l.fleet.flaw == "" {
			l.wantRight(t, s.pushed, s.allowed...)
		} else if l.wantViolated(t); l.fleet.flaw == lossy && !l.fleet.dropped() {
			t.Error("there was no chunk to drop")
		}
	}
}

// armWhenRead is arm after enough viewers have read, and have a timeline again, for
// a loss to show.
func armWhenRead(t *testing.T, loads []*load) {
	t.Helper()
	for _, l := range loads {
		l.await(t, l.passed()+2)
	}
	arm(t, loads)
}

// begin begins a load on each fleet, all at the same time.
func begin(t *testing.T, fleets []*fleet, duration time.Duration) (loads []*load) {
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
		case <-time.After(4 * patience): // imports into Cassandra take long beside each other
			t.Fatalf("%s: there is no load yet after %v", l.fleet.name, time.Since(l.begun))
		}
	}
	return loads
}

// longOnly skips a scenario for which -short has another.
func longOnly(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a load of many seconds; run without -short")
	}
}
