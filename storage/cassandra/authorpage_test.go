package cassandra_test

import (
	"fmt"
	"slices"
	"testing"

	"skein/feed"
	"skein/storage"
	"skein/storage/cassandra"
)

// T6: pages go on from one bucket of an author to the next, at any limit and from any
// post: over the borders, and over a bucket in which there is nothing.
func TestT6_PagesOverBuckets(t *testing.T) {
	t.Parallel()
	s := open(t, emptied(t).url)
	now := feed.IDAt(s.Now())
	if now>>cassandra.AuthorBits < 2 {
		t.Fatalf("id %d is in bucket %d of its author; three are wanted", now, now>>cassandra.AuthorBits)
	}
	first := func(bucket feed.PostID) feed.PostID { return bucket << cassandra.AuthorBits }
	// Of each author the newest first.
	all := map[feed.UserID][]feed.PostID{
		1: {now, first(2) + 1, first(2), first(2) - 1, first(1) + 7, first(1), first(1) - 1, 1},
		2: {now + 1, first(2) + 2, first(1) - 2, 2}, // nothing in bucket 1
	}
	for author, ids := range all {
		for _, id := range ids {
			must(t, cassandra.WritePost(s, bg, feed.Post{ID: id, Author: author, Text: fmt.Sprint("post ", id), Payload: []byte{byte(author)}}))
		}
	}
	for author, ids := range all {
		t.Run(fmt.Sprint("author ", author), func(t *testing.T) {
			for _, before := range append(slices.Clone(ids), feed.MaxPostID, first(2)+3, first(1)+1, 3) {
				for limit := range len(ids) + 2 {
					wantPage(t, s, author, before, limit, ids)
					wantNewest(t, s, []storage.Range{{Author: author, First: 1, Before: before}}, limit, ids)
				}
			}
		})
	}
	t.Run("both authors", func(t *testing.T) {
		both := append(slices.Clone(all[1]), all[2]...)
		for _, least := range []feed.PostID{1, 2, first(1) - 2, first(1), first(2) - 1, first(2), now} {
			for limit := range len(both) + 2 {
				wantNewest(t, s, []storage.Range{
					{Author: 1, First: least, Before: feed.MaxPostID},
					{Author: 2, First: least, Before: feed.MaxPostID},
				}, limit, both)
			}
		}
	})
}

// within returns the limit newest ids from first to before, without it.
func within(ids []feed.PostID, first, before feed.PostID, limit int) []feed.PostID {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id feed.PostID) bool { return id < first || id >= before })
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids[:min(limit, len(ids))]
}

func wantPage(t *testing.T, s *cassandra.Store, author feed.UserID, before feed.PostID, limit int, all []feed.PostID) {
	t.Helper()
	page, err := s.PostsOf(bg, author, before, limit)
	must(t, err)
	var got []feed.PostID
	for _, p := range page {
		got = append(got, p.ID)
		if p.Author != author || p.Text != fmt.Sprint("post ", p.ID) || len(p.Payload) != 1 || p.Payload[0] != byte(author) {
			t.Errorf("post %d is %+v", p.ID, p)
		}
	}
	if want := within(all, 1, before, limit); !slices.Equal(got, want) {
		t.Errorf("%d posts of %d before %d are %v, want %v", limit, author, before, got, want)
	}
}

func wantNewest(t *testing.T, s *cassandra.Store, ranges []storage.Range, limit int, all []feed.PostID) {
	t.Helper()
	refs, err := s.Newest(bg, ranges, limit)
	must(t, err)
	var got []feed.PostID
	for _, ref := range refs {
		got = append(got, ref.Post)
	}
	if want := within(all, ranges[0].First, ranges[0].Before, limit); !slices.Equal(got, want) {
		t.Errorf("%d newest of %v are %v, want %v", limit, ranges, got, want)
	}
}
