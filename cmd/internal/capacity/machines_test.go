package capacity

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Whatever the load and the machine, with costs as measured: what a plan calls enough is,
// and what it calls too large does not fit.
func TestPlan_Machines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	between := func(least, most float64) float64 { // each order of magnitude as often
		return least * math.Pow(most/least, random.Float64())
	}
	engines := []Costs{Servers(LastMeasured()), Spread(LastMeasured())}
	for range 20_000 {
		l := Load{
			Users: int64(between(1, 1e10)), Follows: between(1, 1000), Active: between(0.01, 1), Pushed: random.Float64(),
			Posts: between(0.01, 10), Reads: between(0.1, 1000), Peak: between(1, 30), PostBytes: 140, Days: between(0.1, 1000),
		}
		m := Machine{between(1, 128), between(1e9, 1e12), between(1e11, 1e14)}
		for _, c := range engines {
			for i, n := range Plan(l, c, m) {
				p := place{c.Engines[i], n, l.Rates(), m, c.Utilization}
				p.check(t)
				if t.Failed() {
					t.Fatalf("of %+v on %+v", l, m)
				}
			}
		}
	}
}

// place is an engine and the machines that a plan has for it.
type place struct {
	Engine
	Need
	rates       Rates
	machine     Machine
	utilization float64
}

// busy is how many cores the engine's answering copies have busy, all of them together.
func (p place) busy() float64 {
	return (p.rates.Posts*p.Post + p.rates.Deliveries*p.Delivery + p.rates.Reads*p.Read) / 1e6
}

// within says whether a part is at most as much of the whole as may be in use.
func (p place) within(part, whole float64) bool {
	return part <= whole*p.utilization*(1+1e-9)
}

func (p place) check(t *testing.T) {
	t.Helper()
	if (p.Machines == 0) != (p.TooLarge != "") || p.Machines == 1 {
		t.Errorf("%s on %d machines, %q; if one dies, another has to be there", p.Need.Engine, p.Machines, p.TooLarge)
	}
	switch p.Need.Engine {
	case "postgres":
		p.oneMachine(t, p.machine.Cores)
	case "redis":
		p.oneMachine(t, 1)
	case "redis-cluster":
		p.cluster(t)
	default:
		p.spread(t)
	}
}

// An engine that does not spread has a machine for each copy, or a warning: the primary
// answers all reads, and a Redis runs on one core.
func (p place) oneMachine(t *testing.T, cores float64) {
	fits := p.within(p.busy(), cores) && p.within(p.Memory/p.Replicas, p.machine.Memory) && p.within(p.Disk/p.Replicas, p.machine.Disk)
	if fits != (p.TooLarge == "") {
		t.Errorf("%s: a copy has %.2f cores busy, %.3g bytes of memory and %.3g of disk on %+v, and the plan says %q",
			p.Need.Engine, p.busy(), p.Memory/p.Replicas, p.Disk/p.Replicas, p.machine, p.TooLarge)
	}
	if fits && p.Machines != int64(p.Replicas) {
		t.Errorf("%s: %d machines for %.0f copies", p.Need.Engine, p.Machines, p.Replicas)
	}
}

// No master is busier than it may be; each machine has a core and the memory for each of
// its servers; and when one dies a majority of the masters is left, which failover takes.
func (p place) cluster(t *testing.T) {
	if p.TooLarge != "" { // by servers, whose number is not told then
		if least := max(p.busy()/p.utilization, p.Memory/p.Replicas/p.machine.Memory/p.utilization*2); least < 499 {
			t.Errorf("%s, and %.0f masters would do", p.TooLarge, least)
		}
		return
	}
	masters, machines := float64(p.Masters), float64(p.Machines)
	if !p.within(p.busy()/masters, 1) {
		t.Errorf("each of %d masters has %.2f of its core busy", p.Masters, p.busy()/masters)
	}
	if masters < 3 || machines < 3 || masters-math.Ceil(masters/machines) <= masters/2 {
		t.Errorf("%d masters on %d machines: no majority is left when one dies", p.Masters, p.Machines)
	}
	servers := masters * p.Replicas
	most := math.Ceil(servers / machines)
	if most > p.machine.Cores || !p.within(most*p.Memory/servers, p.machine.Memory) {
		t.Errorf("%.0f servers of %.3g bytes on one machine of %+v", most, p.Memory/servers, p.machine)
	}
}

// An engine that spreads has what it uses, and a machine for each copy.
func (p place) spread(t *testing.T) {
	machines := float64(p.Machines)
	busy := p.Cores * p.utilization
	if p.TooLarge != "" || machines < p.Replicas || !p.within(busy, machines*p.machine.Cores) ||
		!p.within(p.Memory, machines*p.machine.Memory) || !p.within(p.Disk, machines*p.machine.Disk) {
		t.Errorf("%s: %d machines of %+v for %.2f busy cores, %.3g bytes of memory and %.3g of disk", p.Need.Engine, p.Machines, p.machine, busy, p.Memory, p.Disk)
	}
}

// Clusters by hand, of costs that make it easy: a delivery is a microsecond, a timeline a
// kilobyte, and an hour of the peak is like any other.
func TestPlan_Cluster(t *testing.T) {
	c := Costs{Utilization: 0.5, Engines: []Engine{{Name: "c", Delivery: 1, TimelineBytes: 1000, Replicas: 2, Least: 3, OneCore: true}}}
	for _, test := range []struct {
		name              string
		deliveries, users float64
		masters, machines int64
	}{
		{"nearly nothing", 1, 1, 3, 3},
		{"three busy masters", 1.5e6, 1e6, 3, 3},
		{"four, of which a machine would have half", 1.6e6, 1e6, 5, 3},
		{"busy on 4 cores a machine", 10e6, 1e6, 20, 10},
		{"timelines, at most a quarter of 16 GB a master", 1, 40e6, 10, 10},
		{"both", 10e6, 60e6, 20, 20},
		{"more than a cluster can be", 251e6, 1e6, 0, 0},
	} {
		l := Load{Users: int64(test.users), Follows: 1, Active: 1, Pushed: 1, Posts: test.deliveries * day / test.users, Peak: 1}
		n := Plan(l, c, Machine{Cores: 4.5, Memory: 16e9, Disk: 1})[0]
		if n.Masters != test.masters || n.Machines != test.machines || (n.TooLarge != "") != (test.masters == 0) {
			t.Errorf("%s: %d masters on %d machines, %q; want %d on %d", test.name, n.Masters, n.Machines, n.TooLarge, test.masters, test.machines)
		}
	}
}
