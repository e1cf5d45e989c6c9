package storagetest

import (
	"sync"
	"testing"
	"time"

	"skein/feed"
)

var grantCases = []testCase{
	{"W4_GrantsNeverOverlap", grantsTogether},
	{"W4_GrantsNeverOverlapAcrossReopen", grantsReopened},
	{"W4_IDsAreUniqueAcrossGenerators", uniqueIDs},
}

// ledger checks that of each node no two grants overlap.
type ledger struct {
	mu     sync.Mutex
	grants map[uint16][]feed.Grant
}

func (l *ledger) add(t *testing.T, g feed.Grant) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.Node >= feed.Nodes || !g.From.Before(g.Until) {
		t.Errorf("grant %+v makes no sense", g)
	}
	if ahead := time.Until(g.Until); ahead > 30*time.Second {
		t.Errorf("grant %+v ends %v ahead of the clock, want a few seconds", g, ahead)
	}
	for _, other := range l.grants[g.Node] {
		if g.From.Before(other.Until) && other.From.Before(g.Until) {
			t.Errorf("grants overlap: %+v and %+v", g, other)
		}
	}
	l.grants[g.Node] = append(l.grants[g.Node], g)
}

func (l *ledger) take(t *testing.T, s Stores) error {
	var g feed.Grant
	_, err := s.insist(func() (err error) {
		g, err = s.Posts.Grant(bg)
		return err
	})
	if err == nil {
		l.add(t, g)
	}
	return err
}

func grantsTogether(t *testing.T, s Stores) {
	l := ledger{grants: map[uint16][]feed.Grant{}}
	must(t, together(64, func(int) error { return l.take(t, s) }))
}

func grantsReopened(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	l := ledger{grants: map[uint16][]feed.Grant{}}
	for range 5 {
		must(t, together(8, func(int) error { return l.take(t, s) }))
		s = s.Reopen(t)
	}
}

func uniqueIDs(t *testing.T, s Stores) {
	var mu sync.Mutex
	seen := map[feed.PostID]bool{}
	must(t, together(8, func(int) error {
		ids := feed.NewIDs(s.Posts, time.Now)
		last := feed.PostID(0)
		for range 500 {
			id, err := ids.Next(bg)
			if err != nil {
				return err
			}
			if id <= last {
				t.Errorf("id %d after %d", id, last)
			}
			last = id
			mu.Lock()
			if seen[id] {
				t.Errorf("id %d was given twice", id)
			}
			seen[id] = true
			mu.Unlock()
		}
		return nil
	}))
}
