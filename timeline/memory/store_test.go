package memory_test

import (
	"testing"

	"skein/timeline"
	"skein/timeline/memory"
	"skein/timeline/timelinetest"
)

var engine = timelinetest.Engine{
	Open: func(t testing.TB, opts timelinetest.Options) timeline.Store {
		return memory.New(memory.Options{Cap: opts.Cap, Clock: opts.Clock})
	},
}

func TestContract(t *testing.T) { timelinetest.Run(t, engine) }

func BenchmarkStore(b *testing.B) { timelinetest.Benchmark(b, engine) }
