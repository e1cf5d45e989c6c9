package redis_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// commonCluster is the cluster of those tests that leave a cluster as it is: three
// masters without replicas.
var commonCluster struct {
	once    sync.Once
	dir     string
	cluster *servers.Cluster
	err     error
}

// sharedCluster returns the URL of SKEIN_TEST_REDIS_CLUSTER, or of a cluster that all
// tests of this package share.
func sharedCluster(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("SKEIN_TEST_REDIS_CLUSTER"); url != "" {
		return url
	}
	commonCluster.once.Do(func() {
		if commonCluster.dir, commonCluster.err = os.MkdirTemp("", "skein-redis-cluster"); commonCluster.err == nil {
			commonCluster.cluster, commonCluster.err = servers.StartRedisCluster(ctx, servers.ClusterSpec{Dir: commonCluster.dir})
		}
	})
	servers.Require(t, commonCluster.err)
	return commonCluster.cluster.URL()
}

// ownCluster starts a cluster for a test that stops or changes it.
func ownCluster(t testing.TB, spec servers.ClusterSpec) *servers.Cluster {
	t.Helper()
	spec.Dir = t.TempDir()
	c, err := servers.StartRedisCluster(ctx, spec)
	servers.Require(t, err)
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Errorf("kill the cluster: %v", err)
		}
	})
	return c
}

// members are the servers of a cluster, by their ids, with a client for each.
type members struct {
	t       testing.TB
	servers map[string]*servers.Server
	clients map[string]*goredis.Client
}

func membersOf(t testing.TB, c *servers.Cluster) members {
	t.Helper()
	m := members{t, map[string]*servers.Server{}, map[string]*goredis.Client{}}
	for _, s := range c.Servers() {
		client := raw(t, s.URL())
		id, err := client.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		m.servers[id], m.clients[id] = s, client
	}
	return m
}

// say sends a cluster command to one server.
func (m members) say(id string, args ...any) {
	m.t.Helper()
	if err := m.clients[id].Do(ctx, append([]any{"CLUSTER"}, args...)...).Err(); err != nil {
		m.t.Fatalf("CLUSTER %v: %v", args, err)
	}
}

// nodes are the lines of CLUSTER NODES as one server tells them, by id.
func (m members) nodes(at string) map[string][]string {
	text, err := m.clients[at].ClusterNodes(ctx).Result()
	if err != nil {
		m.t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		lines[fields[0]] = fields
	}
	return lines
}

// failed reports whether all other servers hold one to have failed.
func (m members) failed(id string) bool {
	for other := range m.clients {
		if other != id && !slices.Contains(strings.Split(m.nodes(other)[id][2], ","), "fail") {
			return false
		}
	}
	return true
}

// masterOf returns the id of the master of a slot, as any server that runs tells it,
// and that of a replica of it, if that server knows one: a server that hears late of
// others, on a busy machine, does not.
func (m members) masterOf(slot int) (master, replica string) {
	m.t.Helper()
	var lines map[string][]string
	for id := range m.clients {
		lines = m.nodes(id)
		break
	}
	for id, fields := range lines {
		for _, r := range fields[8:] {
			var first, last int
			if n, _ := fmt.Sscanf(r, "%d-%d", &first, &last); n == 1 {
				last = first
			}
			if !strings.HasPrefix(r, "[") && first <= slot && slot <= last {
				master = id
			}
		}
	}
	for id, fields := range lines {
		if fields[3] == master {
			replica = id
		}
	}
	if master == "" {
		m.t.Fatalf("nobody serves slot %d: %v", slot, lines)
	}
	return master, replica
}

// pairOf waits until the master of a slot has a replica.
func (m members) pairOf(slot int) (master, replica string) {
	m.t.Helper()
	eventually(m.t, "a replica follows the master", func() bool {
		master, replica = m.masterOf(slot)
		return replica != ""
	})
	return master, replica
}

// begin puts a slot on its way; carry takes its keys along; end gives it away.
func (m members) begin(slot int, from, to string) {
	m.say(to, "SETSLOT", slot, "IMPORTING", from)
	m.say(from, "SETSLOT", slot, "MIGRATING", to)
}

func (m members) carry(slot int, from, to string) {
	m.t.Helper()
	for {
		keys, err := m.clients[from].ClusterGetKeysInSlot(ctx, slot, 100).Result()
		if err != nil {
			m.t.Fatal(err)
		}
		if len(keys) == 0 {
			return
		}
		args := []any{"MIGRATE", "127.0.0.1", port(m.servers[to].URL()), "", 0, 5000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		if err := m.clients[from].Do(ctx, args...).Err(); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m members) end(slot int, from, to string) {
	m.say(to, "SETSLOT", slot, "NODE", to)
	m.say(from, "SETSLOT", slot, "NODE", to)
}

// slotOf asks a server for the slot of a viewer's timeline.
func (m members) slotOf(v feed.UserID) int {
	for _, c := range m.clients {
		return int(c.ClusterKeySlot(ctx, keyOf("", v)).Val())
	}
	return 0
}

// What a cluster's URL says after its servers keeps installations apart, as databases
// do elsewhere.
func TestPrefixInTheURL(t *testing.T) {
	url := sharedCluster(t) + "/"
	opts := redis.Options{Prefix: rand.Text()}
	one, same, other := open(t, url+"one", opts), open(t, url+"one", opts), open(t, url+"an-other", opts)
	build(t, one, 1, 3)
	shows(t, same, 1, 3, 2, 1)
	if page := read(t, other, 1); page.State != timeline.Absent {
		t.Errorf("another installation shows %+v", page)
	}
}
