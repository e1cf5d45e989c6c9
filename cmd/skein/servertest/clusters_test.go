package servertest

import (
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
)

// clustersOnly skips a scenario on clusters.
func clustersOnly(t *testing.T) {
	t.Helper()
	if !clusters {
		t.Skip("NOT TESTED: three Cassandra nodes take minutes and 3 GB; run make test-cluster")
	}
}

// masters returns the masters of the Redis Cluster, but for those that are paused.
func masters(t *testing.T, paused ...*servers.Server) (all []*servers.Server) {
	t.Helper()
	for _, server := range ours.servers(servers.RedisCluster) {
		if len(paused) > 0 && server == paused[0] {
			continue
		}
		if strings.Contains(redisSays(t, server, "INFO replication"), "role:master") {
			all = append(all, server)
		}
	}
	return all
}

// Slots of the Redis Cluster move under load, there and back, while an API server and
// a worker die: timelines that moved are absent, and rebuilt (T7); what was on its way
// to them is not lost (T1).
func TestClusterSlotsMove(t *testing.T) {
	clustersOnly(t)
	scenario{on: onBoth, duration: 24 * time.Second, pushed: 0.3, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		all, cluster := masters(t), ours.engines[servers.RedisCluster].cluster
		for _, l := range loads {
			l.fleet.workers[0].kill()
			l.fleet.apis[0].kill()
			l.fleet.complete(t)
		}
		arm(t, loads)
		const slots = 500
		must(t, cluster.Move(t.Context(), slots, all[0], all[1]))
		must(t, cluster.Move(t.Context(), slots, all[1], all[0]))
	}}.run(t)
}

// A master of the Redis Cluster stops until its replica has taken its place, and goes
// on, as one that does not know yet: the others' timelines are served all the while,
// its own are pulled, and then rebuilt from storage (T7).
func TestClusterMasterIsStopped(t *testing.T) {
	clustersOnly(t)
	scenario{on: onBoth, duration: 30 * time.Second, pushed: 0.3, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		all := masters(t)
		must(t, all[0].Pause())
		eventually(t, "a replica is promoted", func() bool { return len(masters(t, all[0])) == len(all) })
		armWhenRead(t, loads)
		must(t, all[0].Resume())
		eventually(t, "who was deposed knows", func() bool { return len(masters(t)) == len(all) })
	}}.run(t)
}

// One of three Cassandra nodes dies, and returns after writes that it missed; at that
// moment another hangs, so that every quorum needs what the first one missed (W2, T1).
func TestClusterNodeMissesWrites(t *testing.T) {
	clustersOnly(t)
	scenario{on: onCluster, duration: 100 * time.Second, pushed: 0.3, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		nodes := ours.servers(servers.Cassandra)
		must(t, nodes[2].Kill())
		arm(t, loads)
		loads[0].await(t, loads[0].passed()+8)
		must(t, nodes[2].Start(t.Context()))
		must(t, nodes[1].Pause())
		loads[0].await(t, loads[0].passed()+8)
		must(t, nodes[1].Resume())
	}}.run(t)
}

// A Cassandra node is slow: it stops for some seconds, three times.
func TestClusterNodeIsSlow(t *testing.T) {
	clustersOnly(t)
	scenario{on: onBoth, duration: 30 * time.Second, pushed: 0.3, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		arm(t, loads)
		for _, node := range ours.servers(servers.Cassandra) {
			must(t, node.Pause())
			loads[0].await(t, loads[0].passed()+4)
			must(t, node.Resume())
			loads[0].await(t, loads[0].passed()+2)
		}
	}}.run(t)
}

// The clock of one API server is 5 s ahead, then 5 s behind: posts, follows, unfollows
// and deletes by that one and the other are each honoured by the next read on the other
// (T4), and nothing is missing from any page (T1).
func TestClusterClockIsOff(t *testing.T) {
	clustersOnly(t)
	ours.begin(t, onCluster)
	var err error
	ours.bent, err = ours.compile("skein.test", "test", "-c", "-vet=off")
	must(t, err)
	scenario{on: onCluster, duration: 45 * time.Second, pushed: 0.3, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		arm(t, loads)
		for _, off := range []time.Duration{5 * time.Second, -5 * time.Second} {
			for _, l := range loads {
				f, last := l.fleet, len(l.fleet.apis)-1
				f.apis[last].kill()
				f.clockOff = off
				f.complete(t)
				f.clockOff = 0
				t.Cleanup(f.apis[last].kill)
			}
			if loads[0].fleet.flaw == "" {
				loads[0].fleet.act(t, 80)
			}
		}
	}}.run(t)
}
