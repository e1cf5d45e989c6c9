package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
)

var postCases = []testCase{
	{"W1_AcknowledgedPostAndEventAreThere", postAndEvent},
	{"W2_PostsSurviveReopen", postsSurvive},
	{"W4_LateIDLeavesNothing", lateID},
	{"T4_DeletedPostIsGone", deletedPost},
	{"DeletePost_OfAnother", deleteOfAnother},
	{"DeletePost_OneOfManyWins", deleteOnce},
	{"GetPosts_InTheOrderAsked", getPosts},
	{"CreatePost_AnyTextAndPayload", anyText},
	{"CancelledContextIsUnavailable", cancelledPosts},
}

func postAndEvent(t *testing.T, s Stores) {
	post := newWriter(s.Posts).mustCreate(t, 7, text(1))
	got := result(s.Posts.GetPosts(bg, []feed.PostID{post.ID}))(t)
	if len(got) != 1 || !samePost(got[0], post) {
		t.Fatalf("got %+v, want %+v", got, post)
	}
	if oldest := result(s.Posts.OldestEvent(bg))(t); oldest != post.ID {
		t.Fatalf("oldest event %d, want %d", oldest, post.ID)
	}
	wantEqual(t, "the author's posts", result(s.Posts.Newest(bg, everything(7), 10))(t), []feed.Ref{{Post: post.ID, Author: 7}})
}

func postsSurvive(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	w := newWriter(s.Posts)
	kept, deleted := w.mustCreate(t, 1, text(1)), w.mustCreate(t, 1, text(2))
	must(t, s.Posts.DeletePost(bg, 1, deleted.ID))
	s = s.Reopen(t)
	got := result(s.Posts.GetPosts(bg, []feed.PostID{kept.ID, deleted.ID}))(t)
	if len(got) != 1 || !samePost(got[0], kept) {
		t.Fatalf("after reopening: %+v, want only %+v", got, kept)
	}
	if n := result(s.Posts.CountEvents(bg))(t); n < 1 {
		t.Fatalf("%d events after reopening, want the kept post's", n)
	}
}

func lateID(t *testing.T, s Stores) {
	old := feed.Post{ID: feed.IDAt(time.Now().Add(-time.Minute)), Author: 3, Text: "too late"}
	_, err := s.Posts.CreatePost(bg, storage.Draft{Post: old, RequestID: "r"})
	if !errors.Is(err, feed.ErrLate) {
		t.Fatalf("error %v, want ErrLate", err)
	}
	if got := result(s.Posts.GetPosts(bg, []feed.PostID{old.ID}))(t); len(got) > 0 {
		t.Fatalf("the late post is visible: %+v", got)
	}
	if oldest := result(s.Posts.OldestEvent(bg))(t); oldest != feed.MaxPostID {
		t.Fatalf("the late post left event %d", oldest)
	}
	// The key is free: the same request succeeds under another id.
	post := result(newWriter(s.Posts).create(3, "too late", "r"))(t)
	if post.ID == old.ID {
		t.Fatal("the late id was kept")
	}
}

func deletedPost(t *testing.T, s Stores) {
	post := newWriter(s.Posts).mustCreate(t, 5, text(1))
	must(t, s.Posts.DeletePost(bg, 5, post.ID))
	if got := result(s.Posts.GetPosts(bg, []feed.PostID{post.ID}))(t); len(got) > 0 {
		t.Fatalf("GetPosts finds the deleted post %+v", got)
	}
	if got := result(s.Posts.Newest(bg, everything(5), 10))(t); len(got) > 0 {
		t.Fatalf("Newest finds the deleted post %+v", got)
	}
	wantCode(t, s.Posts.DeletePost(bg, 5, post.ID), feed.CodeNotFound)
}

func deleteOfAnother(t *testing.T, s Stores) {
	post := newWriter(s.Posts).mustCreate(t, 5, text(1))
	wantCode(t, s.Posts.DeletePost(bg, 6, post.ID), feed.CodeDenied)
	wantCode(t, s.Posts.DeletePost(bg, 5, post.ID+1), feed.CodeNotFound)
	if got := result(s.Posts.GetPosts(bg, []feed.PostID{post.ID}))(t); len(got) != 1 {
		t.Fatal("the post is gone after another's delete")
	}
}

func deleteOnce(t *testing.T, s Stores) {
	const callers, posts = 8, 30
	w := newWriter(s.Posts)
	var ids [posts]feed.PostID
	for n := range ids {
		ids[n] = w.mustCreate(t, 5, text(n)).ID
	}
	var won, doubted [posts]atomic.Int64
	must(t, together(callers, func(int) error {
		for n, id := range ids {
			doubt, err := s.insist(func() error { return s.Posts.DeletePost(bg, 5, id) })
			if doubt {
				doubted[n].Add(1) // it may have won, and not know
			}
			if err == nil {
				won[n].Add(1)
			} else if feed.CodeOf(err) != feed.CodeNotFound {
				return fmt.Errorf("a delete that lost got %w, want not found", err)
			}
		}
		return nil
	}))
	for n := range won {
		if c := won[n].Load(); c > 1 || c+doubted[n].Load() < 1 {
			t.Errorf("%d deletes of post %d succeeded, want 1", c, ids[n])
		}
	}
}

func getPosts(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	a, b := w.mustCreate(t, 1, ""), w.mustCreate(t, 2, text(2))
	got := result(s.Posts.GetPosts(bg, []feed.PostID{b.ID, 42, a.ID, b.ID}))(t)
	if len(got) != 3 || !samePost(got[0], b) || !samePost(got[1], a) || !samePost(got[2], b) {
		t.Fatalf("got %+v, want b, a, b", got)
	}
	if got := result(s.Posts.GetPosts(bg, nil))(t); len(got) > 0 {
		t.Fatalf("nothing asked, got %+v", got)
	}
}

// anyText writes what the API lets through and an engine's own types may not: a
// zero character, bytes that are no text, nothing at all, the largest.
func anyText(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	for _, post := range []feed.Post{
		{Text: "a\x00b"},
		{Text: "\x00", Payload: []byte{0xff, 0xfe, 0}},
		{Text: "'; DROP TABLE posts; -- \\ \u2028 👩‍👩‍👧"},
		{Text: strings.Repeat("🪿", 4096), Payload: bytes.Repeat([]byte{0x80}, 4096)},
		{},
	} {
		for _, requestID := range []string{"", "key \x00\xff " + post.Text} {
			post.Author = 1
			created := result(w.post(post, requestID))(t)
			post.ID = created.ID
			got := result(s.Posts.GetPosts(bg, []feed.PostID{post.ID}))(t)
			if !samePost(created, post) || len(got) != 1 || !samePost(got[0], post) {
				t.Errorf("%.40q comes back as %+.40v", post.Text, got)
			}
		}
	}
}

func cancelledPosts(t *testing.T, s Stores) {
	ctx := cancelled()
	_, err := s.Posts.CreatePost(ctx, storage.Draft{Post: feed.Post{ID: feed.IDAt(time.Now()), Author: 1}})
	wantCode(t, err, feed.CodeUnavailable)
	_, err = s.Posts.GetPosts(ctx, []feed.PostID{1})
	wantCode(t, err, feed.CodeUnavailable)
	_, err = s.Posts.Newest(ctx, everything(1), 1)
	wantCode(t, err, feed.CodeUnavailable)
	_, err = s.Posts.PostsOf(ctx, 1, feed.MaxPostID, 1)
	wantCode(t, err, feed.CodeUnavailable)
	_, err = s.Graph.GetFollowSet(ctx, 1, nil)
	wantCode(t, err, feed.CodeUnavailable)
}

// everything is the whole range of each author.
func everything(authors ...feed.UserID) []storage.Range {
	ranges := make([]storage.Range, 0, len(authors))
	for _, a := range authors {
		ranges = append(ranges, storage.Range{Author: a, First: 1, Before: feed.MaxPostID})
	}
	return ranges
}
