package redis_test

import (
	"testing"

	"skein/timeline"
	"skein/timeline/redis"
	"skein/timeline/timelinetest"
)

// engine is the suite's: every case has keys of its own on one server, or one cluster.
func engine(url string) timelinetest.Engine {
	return timelinetest.Engine{
		Open: func(t testing.TB, opts timelinetest.Options) timeline.Store {
			return open(t, url, redis.Options{Cap: opts.Cap})
		},
		NoClock: "a building is taken over by the server's clock; TestTakeover sets its beginning back instead",
		Exclude: map[string]string{
			"F1/RepeatsAreCounted": "it appends without looking, and may count a repeat as an entry",
		},
	}
}

// Both suites mostly wait: side by side they take half the time.
func TestContract(t *testing.T) {
	t.Parallel()
	timelinetest.Run(t, engine(shared(t)))
}

func TestContractOnCluster(t *testing.T) {
	t.Parallel()
	timelinetest.Run(t, engine(sharedCluster(t)))
}

func BenchmarkStore(b *testing.B) { timelinetest.Benchmark(b, engine(shared(b))) }

func BenchmarkStoreOnCluster(b *testing.B) { timelinetest.Benchmark(b, engine(sharedCluster(b))) }
