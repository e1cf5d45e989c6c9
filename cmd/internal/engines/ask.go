package engines

import (
	"context"
	"sync"

	"skein/storage"
)

// Answer is what came of asking one engine.
type Answer struct {
	// Engine as the command line calls it.
	Engine string
	// Storage says that nothing can be served without it.
	Storage bool
	// Err is nil when it answered.
	Err error
}

// Ask asks each engine something cheap, all at once, until ctx ends. The answers
// are in a fixed order.
func (s *Set) Ask(ctx context.Context) []Answer {
	questions := []struct {
		engine  string
		storage bool
		ask     func() error
	}{
		{"posts", true, func() error { _, err := s.Posts.OldestEvent(ctx); return err }},
		{"graph", true, func() error { _, err := s.Graph.GetTiers(ctx, latest); return err }},
		{"log", false, func() error { _, err := s.Log.Committed(ctx, "readiness", s.topic); return err }},
		{"timelines", false, func() error { _, err := s.Timelines.Stats(ctx); return err }},
	}
	answers := make([]Answer, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		answers[i] = Answer{Engine: q.engine, Storage: q.storage}
		asking.Go(func() { answers[i].Err = q.ask() })
	}
	asking.Wait()
	return answers
}

// latest is a version of the tiers after which nothing changed.
const latest storage.TierVersion = 1<<63 - 1
