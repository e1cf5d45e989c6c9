package kafka

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"skein/fanout/eventlog"
	"skein/fanout/eventlog/logtest"
)

// quiet drops the warnings that a cluster of one broker earns at each Open.
var quiet = slog.New(slog.DiscardHandler)

// place is a prefix of its own in the tests' cluster.
func place(t testing.TB) string { return brokers(t) + "/test-" + strings.ToLower(rand.Text()[:10]) }

// inCluster opens logs in the tests' cluster, each case under a prefix of its own.
func inCluster(t testing.TB) logtest.Open {
	url := place(t)
	return func(topics ...eventlog.Topic) (eventlog.Log, error) {
		ctx := context.Background()
		if err := Migrate(ctx, url, topics, MigrateOptions{Logger: quiet}); err != nil {
			return nil, err
		}
		return Open(ctx, url, topics, Options{Logger: quiet})
	}
}

func TestSuite(t *testing.T) { logtest.Run(t, inCluster) }

func BenchmarkLog(b *testing.B) { logtest.Benchmark(b, inCluster) }
