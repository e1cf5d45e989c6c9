package servers

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A cluster goes through what a test does with one: a master that is killed has a
// successor, comes back as its replica, and the whole is found again.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds to start")
	}
	spec := ClusterSpec{Dir: t.TempDir(), Replicas: true, Args: []string{"--cluster-node-timeout", "1000"}}
	c, err := StartRedisCluster(t.Context(), spec)
	Require(t, err)
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	if got := c.URL(); !strings.HasPrefix(got, "redis-cluster://127.0.0.1:") || strings.Count(got, ",") != 2 {
		t.Errorf("URL: %s", got)
	}
	first := c.Servers()[0]
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	promoted := func() bool {
		n := 0
		for _, s := range c.Servers() {
			if role, _ := s.redisSays(t.Context(), "INFO replication"); s != first && strings.Contains(role, "role:master") {
				n++
			}
		}
		return n == 3
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := until(ctx, promoted); err != nil {
		t.Fatalf("nobody took the place of a master that was killed: %v", err)
	}
	again, err := StartRedisCluster(t.Context(), spec) // the others run
	if err != nil {
		t.Fatal(err)
	}
	if role, err := again.Servers()[0].redisSays(t.Context(), "INFO replication"); err != nil || !strings.Contains(role, "role:slave") {
		t.Errorf("the one that came back: %q, %v", role, err)
	}
	found, err := OpenCluster(spec.Dir)
	if err != nil || found.URL() != c.URL() || len(found.Servers()) != 6 || !found.Running() || found.Memory() == 0 {
		t.Fatalf("found again: %v, %+v", err, found)
	}
	if err := errors.Join(found.Stop(t.Context()), c.Stop(t.Context())); err != nil || c.Running() {
		t.Errorf("stopped: %v, runs: %t", err, c.Running())
	}
}

// A master that joins is known to all, and has no slots.
func TestClusterAddMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds to start")
	}
	c, err := StartRedisCluster(t.Context(), ClusterSpec{Dir: t.TempDir()})
	Require(t, err)
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	s, err := c.AddMaster(t.Context())
	if err != nil || len(c.Servers()) != 4 {
		t.Fatalf("%d servers, %v", len(c.Servers()), err)
	}
	if nodes, err := s.redisSays(t.Context(), "CLUSTER NODES"); err != nil || strings.Count(nodes, "master") != 4 {
		t.Errorf("%q, %v", nodes, err)
	}
}
