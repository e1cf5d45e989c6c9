package cassandra_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage/cassandra"
)

func followers(t testing.TB, s *cassandra.Store, author feed.UserID) []feed.UserID {
	t.Helper()
	var all []feed.UserID
	const page = 7
	for r := feed.AllHashes; ; {
		got, err := s.ListFollowers(bg, author, r, page, nil)
		must(t, err)
		all = append(all, got...)
		if len(got) < page {
			break
		}
		r.First = got[page-1].Hash() + 1
	}
	slices.Sort(all)
	return all
}

func followed(t testing.TB, s *cassandra.Store, viewer feed.UserID) []feed.UserID {
	t.Helper()
	set, err := s.GetFollowSet(bg, viewer, nil)
	must(t, err)
	return set.Authors
}

// One server's clock is 5 s ahead, another's behind; follows and unfollows of both, in
// turns, show on both ends of the edge.
func TestT4_FollowsWithClocksApart(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	edge := feed.Follow{Viewer: 1, Author: 2}
	var servers []*cassandra.Store
	for _, off := range []time.Duration{5 * time.Second, -5 * time.Second} {
		c := &clock{}
		servers = append(servers, openWith(t, url, c))
		c.set(off)
	}
	for turn := range 8 {
		s, follow := servers[turn%4/2], turn%2 == 0
		act := s.Unfollow
		if follow {
			act = s.Follow
		}
		if changed, err := act(bg, edge); err != nil || !changed {
			t.Fatalf("turn %d: changed %v, %v", turn, changed, err)
		}
		for _, s := range servers {
			if got, both := followed(t, s, 1), followers(t, s, 2); (len(got) == 1) != follow || (len(both) == 1) != follow {
				t.Fatalf("turn %d: follows %v, followers %v, want them %v", turn, got, both, follow)
			}
		}
	}
}

// stopAt cancels the call that reaches a step.
func stopAt(s *cassandra.Store, step cassandra.Step) context.Context {
	ctx, cancel := context.WithCancel(bg)
	s.OnStep(func(at cassandra.Step) {
		if at == step {
			cancel()
		}
	})
	return ctx
}

// F2: whoever a viewer follows lists the viewer, whenever the process stops in the
// middle of an act; and the act said again makes both ends agree.
func TestF2_FollowersAreASuperset(t *testing.T) {
	t.Parallel()
	s := open(t, emptied(t).url)
	edge := feed.Follow{Viewer: 1, Author: 2}
	if _, err := s.Follow(stopAt(s, cassandra.StepFollower), edge); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the follow that was stopped: %v", err)
	}
	if got := followers(t, s, 2); len(got) != 1 {
		t.Errorf("followers %v before the edge, want the viewer", got)
	}
	s.OnStep(nil)
	_, err := s.Follow(bg, edge)
	must(t, err)
	if _, err := s.Unfollow(stopAt(s, cassandra.StepUnedged), edge); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the unfollow that was stopped: %v", err)
	}
	if got := followed(t, s, 1); len(got) > 0 {
		t.Errorf("follows %v after the edge has ended", got)
	}
	s.OnStep(nil)
	if removed, err := s.Unfollow(bg, edge); removed || err != nil {
		t.Errorf("unfollowed again: %v, %v", removed, err)
	}
	if got := followers(t, s, 2); len(got) > 0 {
		t.Errorf("followers %v after the unfollow was said again", got)
	}
}

// A celebrity's followers are spread over many partitions, tile, and go again.
func TestF2_WideAuthors(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	s.SetWideFrom(10)
	const author, each = 1000, 60
	var want []feed.UserID
	var imports []feed.Follow
	for i := range feed.UserID(each) {
		_, err := s.Follow(bg, feed.Follow{Viewer: i + 1, Author: author})
		must(t, err)
		imports = append(imports, feed.Follow{Viewer: 500 + i, Author: author})
		want = append(want, i+1, 500+i)
	}
	_, err := s.ImportFollows(bg, imports)
	must(t, err)
	slices.Sort(want)
	if got := followers(t, s, author); !slices.Equal(got, want) {
		t.Errorf("followers %v, want %v", got, want)
	}
	largest := 0
	for bucket := range cassandra.WideBuckets + 1 {
		var n int
		must(t, keyspace.session.Query(`SELECT count(*) FROM followers WHERE author = ? AND bucket = ?`, int64(author), bucket).Scan(&n))
		largest = max(largest, n)
	}
	if largest > 10 {
		t.Errorf("%d followers in one partition, want 10 at most", largest)
	}
	var leaving errgroup.Group
	leaving.SetLimit(16)
	for _, viewer := range want {
		leaving.Go(func() error {
			_, err := s.Unfollow(bg, feed.Follow{Viewer: viewer, Author: author})
			return err
		})
	}
	must(t, leaving.Wait())
	if got := followers(t, s, author); len(got) > 0 {
		t.Errorf("followers %v remain", got)
	}
}

// I7: a change of tier that is announced and stalls is called off by whoever reads the
// tiers meanwhile; so a copy without it is never taken for one from after it.
func TestI7_AStalledChangeIsCalledOff(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	change := policy.History{{From: feed.IDAt(time.Now().Add(time.Minute)), Tier: policy.Loud}}
	announced := 0
	s.OnStep(func(at cassandra.Step) {
		if at != cassandra.StepAnnounced {
			return
		}
		if announced++; announced > 1 {
			return
		}
		tiers, err := other.GetTiers(bg, 0)
		if err != nil || len(tiers.Histories) > 0 {
			t.Errorf("while a change stalls the tiers are %+v, %v", tiers, err)
		}
	})
	must(t, s.ChangeTier(bg, 1, nil, change))
	if announced != 2 {
		t.Errorf("announced %d times, want a second time after it was called off", announced)
	}
	tiers, err := other.GetTiers(bg, 0)
	must(t, err)
	if !slices.Equal(tiers.Histories[1], change) || tiers.Version != 1 {
		t.Errorf("the tiers are %+v, want %v", tiers, change)
	}
}

// The clock is looked at after the announcement: late by then, nothing changes.
func TestI7_LateAfterTheAnnouncement(t *testing.T) {
	t.Parallel()
	url, asleep := emptied(t).url, &clock{}
	s := openWith(t, url, asleep)
	s.OnStep(func(at cassandra.Step) { asleep.set(time.Minute) })
	change := policy.History{{From: feed.IDAt(time.Now().Add(30 * time.Second)), Tier: policy.Loud}}
	if err := s.ChangeTier(bg, 1, nil, change); !errors.Is(err, feed.ErrLate) {
		t.Fatalf("error %v, want feed.ErrLate", err)
	}
	tiers, err := s.GetTiers(bg, 0)
	if err != nil || len(tiers.Histories) > 0 || tiers.Version != 0 {
		t.Errorf("the tiers are %+v, %v", tiers, err)
	}
}
