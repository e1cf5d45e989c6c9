package storagetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/storage"
)

var followCases = []testCase{
	{"T4_FollowShowsAtOnceOnBothEnds", followShows},
	{"Follow_VersionsAgainstModel", followModel},
	{"Follow_SetIsOneVersion", followConsistent},
	{"Follow_SameEdgeTogetherIsOneFollow", followOnce},
	{"Follow_TogetherNoVersionIsGivenTwice", followVersions},
	{"F2_ChunksTileAllFollowers", followersTile},
	{"ListFollowing_Pages", followingPages},
	{"W2_FollowsSurviveReopen", followsSurvive},
}

func followShows(t *testing.T, s Stores) {
	must(t, together(8, func(i int) error {
		edge := feed.Follow{Viewer: feed.UserID(i + 1), Author: 100}
		for _, want := range []int{1, 0, 1} {
			set := s.Graph.Follow
			if want == 0 {
				set = s.Graph.Unfollow
			}
			if changed, err := set(bg, edge); err != nil || !changed {
				return fmt.Errorf("changed %v, error %w", changed, err)
			}
			followed, err := s.Graph.GetFollowSet(bg, edge.Viewer, nil)
			if err != nil {
				return err
			}
			hash := edge.Viewer.Hash()
			followers, err := s.Graph.ListFollowers(bg, 100, feed.HashRange{First: hash, Last: hash}, 10, nil)
			if err != nil {
				return err
			}
			if len(followed.Authors) != want || len(followers) != want {
				t.Errorf("viewer %d follows %v, followers %v; want %d of each", edge.Viewer, followed.Authors, followers, want)
			}
		}
		return nil
	}))
}

// followModel draws follows and unfollows of one viewer, new for each draw.
func followModel(t *testing.T, s Stores) {
	viewer := feed.UserID(1000)
	rapid.Check(t, func(t *rapid.T) {
		viewer++
		version, since := storage.FollowVersion(0), map[feed.UserID]storage.FollowVersion{}
		known := result(s.Graph.GetFollowSet(bg, viewer, nil))(t)
		for range rapid.IntRange(0, 12).Draw(t, "acts") {
			edge := feed.Follow{Viewer: viewer, Author: feed.UserID(rapid.IntRange(1, 4).Draw(t, "author"))}
			_, there := since[edge.Author]
			if rapid.Bool().Draw(t, "follow") {
				if got := result(s.Graph.Follow(bg, edge))(t); got == there {
					t.Fatalf("Follow(%v) is new: %v", edge, got)
				}
				if !there {
					version++
					since[edge.Author] = version
				}
			} else {
				if got := result(s.Graph.Unfollow(bg, edge))(t); got != there {
					t.Fatalf("Unfollow(%v) removed: %v", edge, got)
				}
				if there {
					version++
					delete(since, edge.Author)
				}
			}
		}
		set := result(s.Graph.GetFollowSet(bg, viewer, known))(t)
		if again := result(s.Graph.GetFollowSet(bg, viewer, set))(t); again != set {
			t.Fatalf("version %d was read anew though it is known", set.Version)
		}
		if set.Version != version {
			t.Fatalf("version %d, want %d", set.Version, version)
		}
		wantEqual(t, "authors", set.Authors, slices.Sorted(maps.Keys(since)))
		for i, a := range set.Authors {
			if set.Since[i] != since[a] {
				t.Fatalf("author %d since %d, want %d", a, set.Since[i], since[a])
			}
		}
	})
}

// followConsistent reads a set while it grows: a set at version v has v authors.
func followConsistent(t *testing.T, s Stores) {
	const follows = 60
	must(t, together(4, func(i int) error {
		for n := range follows {
			if i == 0 {
				if _, err := s.Graph.Follow(bg, feed.Follow{Viewer: 1, Author: feed.UserID(follows - n)}); err != nil {
					return err
				}
				continue
			}
			set, err := s.Graph.GetFollowSet(bg, 1, nil)
			if err != nil {
				return err
			}
			if len(set.Authors) != int(set.Version) || len(set.Since) != len(set.Authors) {
				t.Errorf("version %d has %d authors", set.Version, len(set.Authors))
			}
		}
		return nil
	}))
}

// followOnce has several callers follow and unfollow the same edges at once: each
// change is reported by one of them.
func followOnce(t *testing.T, s Stores) {
	const callers, edges = 8, 40
	for round, set := range []func(context.Context, feed.Follow) (bool, error){s.Graph.Follow, s.Graph.Unfollow} {
		var changes [edges]atomic.Int64
		must(t, together(callers, func(int) error {
			for n := range edges {
				changed, err := set(bg, feed.Follow{Viewer: 1, Author: feed.UserID(n + 2)})
				if err != nil {
					return err
				}
				if changed {
					changes[n].Add(1)
				}
			}
			return nil
		}))
		for n := range changes {
			if c := changes[n].Load(); c != 1 {
				t.Errorf("edge %d changed for %d callers, want 1", n, c)
			}
		}
		if set := result(s.Graph.GetFollowSet(bg, 1, nil))(t); int(set.Version) != edges*(round+1) {
			t.Errorf("version %d after %d changes", set.Version, edges*(round+1))
		}
	}
}

// followVersions has callers change one viewer's set at different edges at once:
// no version is given twice.
func followVersions(t *testing.T, s Stores) {
	const callers, each = 8, 40
	must(t, together(callers, func(i int) error {
		for n := range each {
			if _, err := s.Graph.Follow(bg, feed.Follow{Viewer: 1, Author: feed.UserID(2 + i*each + n)}); err != nil {
				return err
			}
		}
		return nil
	}))
	set := result(s.Graph.GetFollowSet(bg, 1, nil))(t)
	since := slices.Clone(set.Since)
	slices.Sort(since)
	if n := len(slices.Compact(since)); n != callers*each || set.Version != callers*each {
		t.Fatalf("%d versions up to %d, want %d", n, set.Version, callers*each)
	}
}

// followersTile reads all followers in chunks and pages of several sizes.
func followersTile(t *testing.T, s Stores) {
	const author, followers = 7, 300
	var edges []feed.Follow
	var want []feed.UserID
	for v := range feed.UserID(followers) {
		edges = append(edges, feed.Follow{Viewer: v + 1, Author: author}, feed.Follow{Viewer: v + 1, Author: author + 1})
		want = append(want, v+1)
	}
	result(s.Graph.ImportFollows(bg, edges))(t)
	for _, chunks := range []int{1, 3, 64} {
		for _, page := range []int{1, 7, followers, 2 * followers} {
			var got []feed.UserID
			for _, r := range feed.Split(chunks) {
				got = append(got, followersOf(t, s, author, r, page)...)
			}
			slices.Sort(got)
			wantEqual(t, fmt.Sprintf("followers in %d chunks, pages of %d", chunks, page), got, want)
		}
	}
	asked := []feed.UserID{author, author + 2, author + 1, author}
	for _, limit := range []int{0, 1, followers, 2 * followers} {
		lists := result(s.Graph.FirstFollowers(bg, asked, limit))(t)
		if len(lists) != len(asked) {
			t.Fatalf("%d lists for %d authors", len(lists), len(asked))
		}
		for i, list := range lists {
			want := result(s.Graph.ListFollowers(bg, asked[i], feed.AllHashes, limit, nil))(t)
			wantEqual(t, fmt.Sprintf("the first %d followers of %d", limit, asked[i]), list, want)
		}
	}
	if lists := result(s.Graph.FirstFollowers(bg, nil, 1))(t); len(lists) != 0 {
		t.Fatalf("nobody asked for: %v", lists)
	}
	kept := []feed.UserID{99}
	got := result(s.Graph.ListFollowers(bg, author, feed.AllHashes, 2, kept))(t)
	if len(got) != 3 || got[0] != 99 {
		t.Fatalf("appended to [99]: %v", got)
	}
}

// followersOf pages through a range as the contract says.
func followersOf(t *testing.T, s Stores, author feed.UserID, r feed.HashRange, page int) []feed.UserID {
	t.Helper()
	var all []feed.UserID
	for {
		got := result(s.Graph.ListFollowers(bg, author, r, page, nil))(t)
		for i, u := range got {
			if h := u.Hash(); h < r.First || h > r.Last || i > 0 && got[i-1].Hash() >= h {
				t.Fatalf("follower %d at hash %x is out of order in %+v", u, h, r)
			}
		}
		all = append(all, got...)
		if len(got) < page {
			return all
		}
		last := got[len(got)-1].Hash()
		if last == r.Last {
			return all
		}
		r.First = last + 1
	}
}

func followingPages(t *testing.T, s Stores) {
	var want []feed.UserID
	for i := range feed.UserID(25) {
		result(s.Graph.Follow(bg, feed.Follow{Viewer: 1, Author: 1<<40 - 3*i}))(t)
		want = append(want, 1<<40-3*i)
	}
	slices.Sort(want)
	var got []feed.UserID
	for after := feed.UserID(0); ; after = got[len(got)-1] {
		page := result(s.Graph.ListFollowing(bg, 1, after, 4))(t)
		got = append(got, page...)
		if len(page) < 4 {
			break
		}
	}
	wantEqual(t, "following", got, want)
}

func followsSurvive(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	result(s.Graph.Follow(bg, feed.Follow{Viewer: 1, Author: 2}))(t)
	result(s.Graph.Follow(bg, feed.Follow{Viewer: 1, Author: 3}))(t)
	result(s.Graph.Unfollow(bg, feed.Follow{Viewer: 1, Author: 2}))(t)
	s = s.Reopen(t)
	set := result(s.Graph.GetFollowSet(bg, 1, nil))(t)
	wantEqual(t, "authors", set.Authors, []feed.UserID{3})
	if set.Version != 3 {
		t.Fatalf("version %d, want 3", set.Version)
	}
}
