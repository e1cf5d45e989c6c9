package server_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	feedv1 "skein/proto/feed/v1"
)

// BenchmarkHome reads pages of 50 posts for many viewers in turn, over gRPC and with
// the client in the same process. Beside the time it tells the processor time of
// both, which says more on a busy machine.
//
//   - AtOnce: copies of posts and follow sets are at hand.
//   - Later: each viewer comes back after more than copies live.
func BenchmarkHome(b *testing.B) {
	const viewers, authors, follows = 200, 100, 40
	r := newRig(b, rigOptions{})
	r.users(viewers + authors)
	for v := range int64(viewers) {
		for n := range int64(follows) {
			r.follow(v+1, viewers+1+(v+n)%authors)
		}
		r.page(v+1, 50, "")
	}
	for n := range int64(3 * authors) {
		post, err := r.CreatePost(b.Context(), &feedv1.CreatePostRequest{
			AuthorId: viewers + 1 + n%authors, Text: strings.Repeat("geese ", 16), RequestId: fmt.Sprint(n),
		})
		must(b, err)
		r.deliver(post.GetId(), r.list(post.GetAuthorId()))
	}
	for name, pass := range map[string]time.Duration{"AtOnce": 0, "Later": 2 * time.Second} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime()
			for n := int64(0); b.Loop(); n++ {
				if n%viewers == 0 {
					r.clock.Add(pass)
				}
				page, err := r.GetHomeTimeline(b.Context(), &feedv1.GetHomeTimelineRequest{ViewerId: n%viewers + 1})
				if err != nil || len(page.GetPosts()) != 50 {
					b.Fatalf("%d posts, %v", len(page.GetPosts()), err)
				}
			}
			b.ReportMetric(float64(processorTime()-before)/float64(b.N), "processor-ns/op")
		})
	}
}

// processorTime is what this process has taken since it began.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
