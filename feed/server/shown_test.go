package server_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	feedv1 "skein/proto/feed/v1"
)

// The posts of a page are encoded apart from it, once for many pages: each field must
// arrive as if the page had been encoded as a whole.
func TestPostsOfAPageAreWhole(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	var ids []int64
	for _, content := range []*feedv1.CreatePostRequest{
		{Text: "honk"},
		{Text: "a\nb", Payload: []byte{0, 0xff}},
		{Text: strings.Repeat("ü", 500), Payload: make([]byte, 4<<10)},
	} {
		content.AuthorId = 2
		post, err := r.CreatePost(r.Context(), content)
		must(t, err)
		ids = append([]int64{post.GetId()}, ids...)
	}
	want, err := r.BatchGetPosts(r.Context(), &feedv1.BatchGetPostsRequest{Ids: ids})
	must(t, err)
	for _, from := range []string{"storage", "the cache"} {
		page := r.page(1, 50, "")
		got := &feedv1.BatchGetPostsResponse{Posts: page.GetPosts()}
		if !proto.Equal(got, want) {
			t.Errorf("from %s: the page has\n%v, want\n%v", from, got, want)
		}
		if unknown := page.ProtoReflect().GetUnknown(); len(unknown) > 0 {
			t.Errorf("from %s: the page has fields that its client does not know: %x", from, unknown)
		}
	}
}
