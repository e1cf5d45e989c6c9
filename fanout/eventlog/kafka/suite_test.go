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

// BenchmarkRelay appends what a relay does: 512 posts of as many authors, to the
// eight partitions of a topic.
func BenchmarkRelay(b *testing.B) {
	const each = 512
	topic := eventlog.Topic{Name: "relay", Partitions: 8}
	l, err := inCluster(b)(topic)
	must(b, err)
	records := numbered(0, each)
	for i := range records {
		records[i].Value = make([]byte, 300)
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, l.Append(b.Context(), topic.Name, records...))
	}
	b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "records/s")
	must(b, l.Close())
}
