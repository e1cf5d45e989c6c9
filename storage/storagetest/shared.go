package storagetest

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

var sharedCases = []testCase{
	{"GetTiers_IncrementalEqualsWhole", tiersIncremental},
	{"ChangeTier_OneOfManyWins", tierConflict},
	{"ChangeTier_NotTooLate", tierLate},
	{"PutSettings", settings},
	{"BeginLife_OncePerLife", lives},
	{"LogName_Lasts", logName},
	{"TokenKey_OnceForEver", tokenKey},
}

func tiersIncremental(t *testing.T, s Stores) {
	start := result(s.Graph.GetTiers(bg, 0))(t)
	if start.Settings != policy.DefaultSettings || len(start.Histories) > 0 {
		t.Fatalf("an empty store has %+v", start)
	}
	known, version := map[feed.UserID]policy.History{}, start.Version
	for i := range 12 {
		author := feed.UserID(i%3 + 1)
		old := known[author]
		next := old.Add(policy.Change{From: ahead(i), Tier: policy.Loud - old.Latest()})
		must(t, s.Graph.ChangeTier(bg, author, old, next))
		known[author] = next
		if i%2 == 0 {
			continue // so that some steps hold two changes
		}
		step := result(s.Graph.GetTiers(bg, version))(t)
		if step.Version <= version || len(step.Histories) == 0 || len(step.Histories) > 2 {
			t.Fatalf("the step from %d is %+v", version, step)
		}
		for a, h := range step.Histories {
			if !slices.Equal(h, known[a]) {
				t.Fatalf("author %d: %v, want %v", a, h, known[a])
			}
		}
		version = step.Version
	}
	if step := result(s.Graph.GetTiers(bg, version))(t); step.Version != version || len(step.Histories) > 0 {
		t.Fatalf("nothing changed, yet %+v", step)
	}
	if s.Reopen != nil {
		s = s.Reopen(t)
	}
	whole := result(s.Graph.GetTiers(bg, 0))(t)
	if len(whole.Histories) != len(known) || whole.Version != version {
		t.Fatalf("the whole is %+v, want %v", whole, known)
	}
	for a, h := range known {
		if !slices.Equal(whole.Histories[a], h) {
			t.Fatalf("author %d: %v, want %v", a, whole.Histories[a], h)
		}
	}
}

// ahead is an id far enough ahead for a change of tier.
func ahead(i int) feed.PostID {
	return feed.IDAt(time.Now().Add(policy.Lead+time.Minute)) + feed.PostID(i)
}

// A change that would commit with too little of the lead left is refused: a
// reader might still use a copy from before it when ids get there.
func tierLate(t *testing.T, s Stores) {
	soon := policy.History{{From: feed.IDAt(time.Now().Add(policy.Lead - time.Second)), Tier: policy.Loud}}
	if err := s.Graph.ChangeTier(bg, 1, nil, soon); !errors.Is(err, feed.ErrLate) {
		t.Fatalf("a change that is nearly due gives %v, want feed.ErrLate", err)
	}
	if got := result(s.Graph.GetTiers(bg, 0))(t); len(got.Histories) > 0 {
		t.Fatalf("it was refused, yet %v", got.Histories)
	}
}

func tierConflict(t *testing.T, s Stores) {
	const callers, authors = 8, 30
	start := result(s.Graph.GetTiers(bg, 0))(t).Version
	var won [authors]atomic.Int64
	must(t, together(callers, func(i int) error {
		for a := range won {
			err := s.Graph.ChangeTier(bg, feed.UserID(a+1), nil, policy.History{{From: ahead(i), Tier: policy.Loud}})
			if err == nil {
				won[a].Add(1)
			} else if !errors.Is(err, storage.ErrConflict) {
				return err
			}
		}
		return nil
	}))
	for a := range won {
		if n := won[a].Load(); n != 1 {
			t.Errorf("%d changes of the history of author %d won, want 1", n, a+1)
		}
	}
	if got := result(s.Graph.GetTiers(bg, start))(t); len(got.Histories) != authors || got.Version < start+authors {
		t.Fatalf("%d histories up to version %d, want %d", len(got.Histories), got.Version, authors)
	}
}

func settings(t *testing.T, s Stores) {
	before := result(s.Graph.GetTiers(bg, 0))(t)
	want := policy.Settings{Mode: policy.Pull, LoudAt: 77}
	must(t, s.Graph.PutSettings(bg, want))
	got := result(s.Graph.GetTiers(bg, before.Version))(t)
	if got.Settings != want || got.Version <= before.Version {
		t.Fatalf("after %+v got %+v, want settings %+v", before, got, want)
	}
}

func lives(t *testing.T, s Stores) {
	old := result(s.Graph.GetTiers(bg, 0))(t).Life
	present := make([]storage.Life, 8)
	must(t, together(len(present), func(i int) (err error) {
		present[i], err = s.Graph.BeginLife(bg, old)
		return err
	}))
	for _, life := range present {
		if life == old || life != present[0] {
			t.Fatalf("lives after %d: %v, want one new one", old, present)
		}
	}
	if got := result(s.Graph.GetTiers(bg, 0))(t).Life; got != present[0] {
		t.Fatalf("life %d, want %d", got, present[0])
	}
}

func logName(t *testing.T, s Stores) {
	for _, name := range []string{"", "one", "another"} {
		if name != "" {
			must(t, s.Graph.SetLogName(bg, name))
		}
		if s.Reopen != nil {
			s = s.Reopen(t)
		}
		if got := result(s.Graph.LogName(bg))(t); got != name {
			t.Fatalf("the log's name is %q, want %q", got, name)
		}
	}
}

func tokenKey(t *testing.T, s Stores) {
	keys := make([][]byte, 8)
	must(t, together(len(keys), func(i int) error {
		_, err := s.insist(func() (err error) {
			keys[i], err = s.Graph.TokenKey(bg)
			return err
		})
		return err
	}))
	if s.Reopen != nil {
		s = s.Reopen(t)
	}
	keys = append(keys, result(s.Graph.TokenKey(bg))(t))
	for _, k := range keys {
		if len(k) != 32 || !bytes.Equal(k, keys[0]) || bytes.Equal(k, make([]byte, 32)) {
			t.Fatalf("keys %x, want the same 32 random bytes", keys)
		}
	}
}
