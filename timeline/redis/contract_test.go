package redis_test

import (
	"testing"

	"skein/timeline"
	"skein/timeline/redis"
	"skein/timeline/timelinetest"
)

// engine is the suite's: every case has keys of its own on one server.
func engine(t testing.TB) timelinetest.Engine {
	url := shared(t)
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

func TestContract(t *testing.T) { timelinetest.Run(t, engine(t)) }

func BenchmarkStore(b *testing.B) { timelinetest.Benchmark(b, engine(b)) }
