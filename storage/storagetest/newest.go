package storagetest

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/storage"
)

var newestCases = []testCase{
	{"Newest_AgainstBruteForce", newestAgainstModel},
	{"Newest_NothingAsked", newestOfNothing},
	{"Newest_ReadsYourWrites", newestAfterWrite},
	{"PostsOf_AgainstBruteForce", postsOfAgainstModel},
}

// newestAgainstModel draws ranges and limits over a fixed set of posts.
func newestAgainstModel(t *testing.T, s Stores) {
	const authors = 6
	w := newWriter(s.Posts)
	var refs []feed.Ref
	for i := range 120 {
		author := feed.UserID(i*i%authors + 1)
		refs = append(refs, feed.Ref{Post: w.mustCreate(t, author, text(i)).ID, Author: author})
	}
	for i := 0; i < len(refs); i += 7 {
		must(t, s.Posts.DeletePost(bg, refs[i].Author, refs[i].Post))
		refs = slices.Delete(refs, i, i+1)
	}
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.Custom(func(t *rapid.T) feed.PostID {
			id := rapid.SampledFrom(refs).Draw(t, "near").Post
			return rapid.SampledFrom([]feed.PostID{id - 1, id, id + 1, 0, 1, feed.MaxPostID}).Draw(t, "bound")
		})
		ranges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) storage.Range {
			return storage.Range{
				Author: feed.UserID(rapid.IntRange(1, authors+1).Draw(t, "author")),
				First:  bound.Draw(t, "first"), Before: bound.Draw(t, "before"),
			}
		}), 0, 12).Draw(t, "ranges")
		limit := rapid.IntRange(0, 40).Draw(t, "limit")
		got, err := s.Posts.Newest(bg, slices.Clone(ranges), limit)
		must(t, err)
		wantEqual(t, "newest", got, bruteForce(refs, ranges, limit))
	})
}

// bruteForce is the definition of Newest.
func bruteForce(refs []feed.Ref, ranges []storage.Range, limit int) []feed.Ref {
	var found []feed.Ref
	for _, ref := range refs {
		if slices.ContainsFunc(ranges, func(r storage.Range) bool {
			return r.Author == ref.Author && r.First <= ref.Post && ref.Post < r.Before
		}) {
			found = append(found, ref)
		}
	}
	slices.SortFunc(found, func(a, b feed.Ref) int { return cmp.Compare(b.Post, a.Post) })
	return found[:min(limit, len(found))]
}

func newestOfNothing(t *testing.T, s Stores) {
	newWriter(s.Posts).mustCreate(t, 1, text(1))
	for _, ranges := range [][]storage.Range{nil, everything(2), {{Author: 1, First: 5, Before: 5}}} {
		if got := result(s.Posts.Newest(bg, ranges, 10))(t); len(got) > 0 {
			t.Fatalf("%+v has %+v, want nothing", ranges, got)
		}
	}
}

// newestAfterWrite finds each author's last post, asked for nothing older, at once and
// when the store is opened again.
func newestAfterWrite(t *testing.T, s Stores) {
	const authors = 8
	w := newWriter(s.Posts)
	var last [authors]feed.Ref
	find := func(i int) error {
		got, err := s.Posts.Newest(bg, []storage.Range{{Author: last[i].Author, First: last[i].Post, Before: feed.MaxPostID}}, 1)
		if err == nil && !slices.Equal(got, last[i:i+1]) {
			t.Errorf("newest is %v, want %v", got, last[i])
		}
		return err
	}
	must(t, together(authors, func(i int) error {
		for range 20 {
			post, err := w.create(feed.UserID(i+1), text(i), "")
			if err != nil {
				return err
			}
			last[i] = feed.Ref{Post: post.ID, Author: post.Author}
			if err := find(i); err != nil {
				return err
			}
		}
		return nil
	}))
	if s.Reopen != nil {
		s = s.Reopen(t)
	}
	for i := range last {
		must(t, find(i))
	}
}

// postsOfAgainstModel pages through two authors' posts, some of which are deleted, from
// anywhere and in pages of any size.
func postsOfAgainstModel(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	of := map[feed.UserID][]feed.Post{} // newest first
	for i := range 40 {
		author := feed.UserID(i%2 + 1)
		of[author] = slices.Insert(of[author], 0, w.mustCreate(t, author, text(i)))
	}
	for _, i := range []int{17, 9, 8, 0} {
		must(t, s.Posts.DeletePost(bg, 1, of[1][i].ID))
		of[1] = slices.Delete(of[1], i, i+1)
	}
	for author := feed.UserID(1); author <= 3; author++ {
		for _, limit := range []int{0, 1, 7, 50} {
			for _, before := range []feed.PostID{0, 1, of[1][5].ID, of[1][5].ID + 1, of[1][15].ID, feed.MaxPostID} {
				var want []feed.Post
				for _, p := range of[author] {
					if p.ID < before && len(want) < limit {
						want = append(want, p)
					}
				}
				got := result(s.Posts.PostsOf(bg, author, before, limit))(t)
				if !slices.EqualFunc(got, want, samePost) {
					t.Errorf("%d posts of author %d below %d: %+v, want %+v", limit, author, before, got, want)
				}
			}
		}
	}
}
