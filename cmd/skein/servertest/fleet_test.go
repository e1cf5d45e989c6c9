package servertest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
)

// fleet is processes of skein over storage, topics and timelines of their own, on the
// shared engines.
type fleet struct {
	name string
	on   stack
	// flaw is that of its workers, "" for none.
	flaw    string
	engines []string // flags that name them
	apis    []*process
	workers []*process
	// clockOff is how far off the clock of an API server is that starts.
	clockOff time.Duration
	// seed of its graph, and of every load on it.
	seed uint64
}

// size is how many API servers, and how many workers, the intact fleet has; of API
// servers the broken ones have one.
const size = 2

// running returns the fleet of a flaw, all of whose processes run. Those over other
// stacks end.
func running(t *testing.T, on stack, flaw string) *fleet {
	t.Helper()
	ours.begin(t, on)
	for _, other := range ours.fleets {
		if other.on != on {
			other.kill()
		}
	}
	name := on.name + "_" + flaw
	if flaw == "" {
		name += "intact"
	}
	f := ours.fleets[name]
	if f == nil {
		f = newFleet(t, on, name, flaw)
		ours.fleets[name] = f
	}
	t.Cleanup(func() {
		if t.Failed() {
			f.tell(t)
		}
	})
	f.complete(t)
	return f
}

// newFleet makes the schema and the topics.
func newFleet(t *testing.T, on stack, name, flaw string) *fleet {
	t.Helper()
	posts := ours.storage(t, on.posts, "fleet_"+name)
	graph := posts
	if on.graph != on.posts {
		graph = ours.storage(t, on.graph, "fleet_"+name)
	}
	f := &fleet{name: name, on: on, flaw: flaw, seed: uint64(time.Now().UnixNano()), engines: []string{
		"--posts", posts, "--graph", graph, "--log", ours.url(servers.Kafka) + "/" + name,
	}}
	migrate := launch(t, "migrate", ours.skein, nil, append([]string{"migrate"}, f.engines...)...)
	if code, said := migrate.exit(t, patience); code != 0 {
		t.Fatalf("migrate: exit %d, %s", code, said)
	}
	timelines := fmt.Sprintf("%s/%d", ours.url(on.timelines), len(ours.fleets))
	if cluster := ours.engines[on.timelines].cluster; cluster != nil {
		timelines = cluster.URL() + "/" + name
	}
	f.engines = append(f.engines, "--timelines", timelines)
	return f
}

// complete starts what is missing. A server that comes after another has its
// addresses, as behind a service's name.
func (f *fleet) complete(t *testing.T) {
	t.Helper()
	apis, startWorker := size, func(last *process) *process { return f.startSkein(t, "worker", last) }
	if f.flaw != "" {
		apis, startWorker = 1, func(*process) *process { return f.startBroken(t) }
	}
	f.apis = replace(f.apis, apis, func(last *process) *process { return f.startSkein(t, "api", last) })
	f.workers = replace(f.workers, size, startWorker)
}

// replace fills up processes to count, and starts others for those that ended.
func replace(processes []*process, count int, start func(last *process) *process) []*process {
	for len(processes) < count {
		processes = append(processes, nil)
	}
	for i, p := range processes {
		if p == nil || !p.alive() {
			processes[i] = start(p)
		}
	}
	return processes
}

func (f *fleet) startSkein(t *testing.T, role string, last *process) *process {
	t.Helper()
	listen, metrics := "127.0.0.1:0", "127.0.0.1:0"
	if last != nil {
		metrics = last.addresses.Metrics
		if role == "api" {
			listen = last.addresses.GRPC
		}
	}
	program, environ := ours.skein, []string(nil)
	if role == "api" && f.clockOff != 0 {
		program, environ = ours.bent, []string{"TEST_BINARY_IS_SKEIN=1", fmt.Sprint("TEST_BINARY_IS_SKEIN_CLOCK=", f.clockOff)}
	}
	args := append([]string{"serve", "--role", role, "--listen", listen, "--metrics-listen", metrics}, f.engines...)
	return serve(t, f.name+"-"+role, program, environ, args...)
}

func (f *fleet) startBroken(t *testing.T) *process {
	t.Helper()
	args := append([]string{"--armed", f.armed()}, f.engines...)
	return serve(t, f.name+"-worker", os.Args[0], []string{asBrokenWorker + "=" + f.flaw}, args...)
}

// targets are the addresses of the API.
func (f *fleet) targets() (addresses []string) {
	for _, api := range f.apis {
		addresses = append(addresses, api.addresses.GRPC)
	}
	return addresses
}

// backlog returns what waits, by lane, as each API server sees it.
func (f *fleet) backlog() (waits []string) {
	for _, api := range f.apis {
		lanes, err := api.metrics("skein_lane_backlog")
		if err != nil {
			return []string{err.Error()}
		}
		for lane, records := range lanes {
			if records != 0 {
				waits = append(waits, fmt.Sprintf("%s%s %v", api.name, lane, records))
			}
		}
	}
	return waits
}

// kill ends all processes.
func (f *fleet) kill() {
	for _, p := range append(f.apis, f.workers...) {
		if p != nil {
			p.kill()
		}
	}
}

// tell logs what the processes said last.
func (f *fleet) tell(t *testing.T) {
	t.Helper()
	var all strings.Builder
	for _, p := range append(f.apis, f.workers...) {
		if p != nil {
			fmt.Fprintf(&all, "%s (runs: %t) said last:\n%s\n", p.name, p.alive(), p.lastWords())
		}
	}
	t.Log(all.String())
}
