package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/feed/policy"
)

func TestDecideHasHysteresis(t *testing.T) {
	s := policy.Settings{Mode: policy.Hybrid, LoudAt: 1000}
	for _, c := range []struct {
		now       policy.Tier
		followers int64
		want      policy.Tier
	}{
		{policy.Quiet, 999, policy.Quiet},
		{policy.Quiet, 1000, policy.Loud},
		{policy.Loud, 999, policy.Loud},
		{policy.Loud, 800, policy.Loud},
		{policy.Loud, 799, policy.Quiet},
		{policy.Quiet, 0, policy.Quiet},
	} {
		if got := s.Decide(c.now, c.followers); got != c.want {
			t.Errorf("%v with %d followers becomes %v, want %v", c.now, c.followers, got, c.want)
		}
	}
	// A count that is off by one percent does not make an author flap.
	for _, followers := range []int64{990, 1000, 1010, 990, 1010} {
		if got := s.Decide(policy.Loud, followers); got != policy.Loud {
			t.Errorf("a loud author at the threshold becomes %v at %d", got, followers)
		}
	}
}

func TestModesOverrideCounts(t *testing.T) {
	push, pull := policy.Settings{Mode: policy.Push, LoudAt: 1}, policy.Settings{Mode: policy.Pull, LoudAt: 1e9}
	if push.Decide(policy.Loud, 1e9) != policy.Quiet || pull.Decide(policy.Quiet, 0) != policy.Loud {
		t.Error("push must make everybody quiet, and pull everybody loud")
	}
	for _, m := range []policy.Mode{policy.Hybrid, policy.Push, policy.Pull} {
		if got, err := policy.ParseMode(m.String()); err != nil || got != m {
			t.Errorf("ParseMode(%q) = %v, %v", m, got, err)
		}
	}
	if _, err := policy.ParseMode("loud"); err == nil {
		t.Error("an unknown mode was taken")
	}
}

// Whatever changes are added, each id is either in a loud interval or pushed,
// as At says, and nothing that was decided for an older id changes later: no
// interval is missed by a reader and a planner with different copies.
func TestHistoryNeverAltersThePast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h policy.History
		id := feed.PostID(1)
		for range rapid.IntRange(0, 60).Draw(t, "changes") {
			id += feed.PostID(rapid.IntRange(0, 5).Draw(t, "step"))
			tier := policy.Tier(rapid.IntRange(0, 1).Draw(t, "tier"))
			next := h.Add(policy.Change{From: id, Tier: tier})
			for probe := feed.PostID(1); probe < id; probe++ {
				if h.At(probe) != next.At(probe) {
					t.Fatalf("adding %v at %d changes the tier as of %d from %v to %v", tier, id, probe, h.At(probe), next.At(probe))
				}
			}
			if len(next) > policy.MaxChanges {
				t.Fatalf("the history has %d changes", len(next))
			}
			h = next
		}
		for probe := feed.PostID(1); probe < id+5; probe++ {
			loud := false
			for _, in := range h.Loud() {
				loud = loud || in.First <= probe && probe < in.Before
			}
			if loud != (h.At(probe) == policy.Loud) {
				t.Fatalf("as of %d the tier is %v, the intervals are %v", probe, h.At(probe), h.Loud())
			}
		}
	})
}

// An author who flaps without end stays loud: pulled is slow, never wrong.
func TestAFullHistoryStaysLoud(t *testing.T) {
	var h policy.History
	for i := range 1000 {
		h = h.Add(policy.Change{From: feed.PostID(10 + i), Tier: policy.Tier(1 - i%2)})
	}
	if h.Latest() != policy.Loud || len(h) >= policy.MaxChanges {
		t.Errorf("after many changes: %v, %d changes", h.Latest(), len(h))
	}
}
