package redis_test

import (
	"os"
	"sync"
	"testing"

	"skein/deploy/local/servers"
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
