package logtest

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"skein/fanout/eventlog"
	"skein/feed"
)

// backlog of the benchmarks that have one; Benchmark makes it once.
const backlog = 1_000_000

// Benchmark measures an engine. Figures are for one record, or for one call
// where there is no record.
func Benchmark(b *testing.B, place Place) {
	b.Run("Append/1", func(b *testing.B) { benchAppend(b, place, 1) })
	b.Run("Append/100", func(b *testing.B) { benchAppend(b, place, 100) })
	b.Run("Append/64goroutines", func(b *testing.B) { benchParallel(b, place) })
	b.Run("Backlog", func(b *testing.B) {
		s := newBench(b, place)
		records := benchRecords(1000)
		for range backlog / len(records) {
			must(b, s.log.Append(s.ctx, s.topic, records...))
		}
		b.Run("Pending", s.benchPending)
		b.Run("Fetch", s.benchFetch)
	})
}

func newBench(b *testing.B, place Place) *scene {
	topic := newTopic(16)
	log, err := place(b)(topic)
	must(b, err)
	b.Cleanup(func() { must(b, log.Close()) })
	return &scene{tb: b, log: log, topic: topic.Name, ctx: context.Background()}
}

func benchRecords(n int) []eventlog.Record {
	records := make([]eventlog.Record, n)
	for i := range records {
		records[i] = eventlog.Record{Key: fmt.Append(nil, i), Value: make([]byte, 32), Post: feed.PostID(i + 1), Low: 1}
	}
	return records
}

func benchAppend(b *testing.B, place Place, each int) {
	s, records := newBench(b, place), benchRecords(each)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, s.log.Append(s.ctx, s.topic, records...))
	}
	b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "records/s")
}

// benchParallel: 64 appenders, who should share fsyncs.
func benchParallel(b *testing.B, place Place) {
	s, records := newBench(b, place), benchRecords(64)
	var next atomic.Int64
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		record := records[next.Add(1)%64]
		for pb.Next() {
			try(b, s.log.Append(s.ctx, s.topic, record))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func (s *scene) benchPending(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if s.pending(group) != backlog {
			b.Fatal("wrong count")
		}
	}
}

// benchFetch reads the backlog of one partition, again and again.
func (s *scene) benchFetch(b *testing.B) {
	b.ReportAllocs()
	n := 0
	for n < b.N {
		ctx, cancel := context.WithCancel(s.ctx)
		must(b, s.log.Consume(ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
			if p.ID() != 0 {
				<-ctx.Done()
				return nil
			}
			for got := 0; got < backlog/32 && n < b.N; {
				batch, err := p.Fetch(ctx, 256)
				if err != nil {
					return err
				}
				got += len(batch.Records)
				n += len(batch.Records)
			}
			cancel()
			return nil
		}))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
