// Package timelinetest holds the suite that every engine of timeline.Store must
// pass, and benchmarks to compare them by. Cases are named by the clause of the
// design that they hold. What an engine does beyond the contract (when it evicts,
// how many bytes it takes) is tested in its own package.
package timelinetest

import (
	"testing"

	"skein/feed"
	"skein/timeline"
)

// Options are what a case wants of the store that it opens.
type Options struct {
	// Cap is how many of the newest entries a timeline must keep. It may keep
	// a quarter more.
	Cap int
	// Clock is the time that the store must go by; nil in the cases that do
	// not bend time.
	Clock feed.Clock
}

// Engine is a store under test.
type Engine struct {
	// Open returns a store that is empty, has room for all that a case puts
	// into it, and is not shared with another case. The suite closes it.
	Open func(t testing.TB, opts Options) timeline.Store
	// NoClock says why the engine cannot go by Options.Clock, if it cannot;
	// the cases that need it are skipped then.
	NoClock string
	// Exclude names cases that cannot hold for this engine, with the reason.
	Exclude map[string]string
}

// testCase is one clause. Its name is "clause/what".
type testCase struct {
	name       string
	needsClock bool
	run        func(t *testing.T, e Engine)
}

func cases() []testCase {
	var all []testCase
	for _, part := range [][]testCase{
		buildingCases, foldingCases, deliveryCases, readingCases, freshnessCases, concurrencyCases, modelCases,
	} {
		all = append(all, part...)
	}
	return all
}

// Run holds an engine to the contract.
func Run(t *testing.T, e Engine) {
	known := map[string]bool{}
	for _, c := range cases() {
		known[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			if reason, ok := e.Exclude[c.name]; ok {
				t.Skip("excluded: " + reason)
			}
			if c.needsClock && e.NoClock != "" {
				t.Skip("needs a clock that can be moved: " + e.NoClock)
			}
			c.run(t, e)
		})
	}
	for name := range e.Exclude {
		if !known[name] {
			t.Errorf("Exclude names %q, which is no case", name)
		}
	}
}
