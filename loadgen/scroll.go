package loadgen

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/feed"
	"skein/loadgen/oracle"
	feedv1 "skein/proto/feed/v1"
)

const (
	// exhaustedTries is how often a page is asked for that the server is too
	// busy to give; exhaustedWait is the pause where it does not name one.
	exhaustedTries = 20
	exhaustedWait  = 100 * time.Millisecond
)

// scroll reads a whole home timeline and has it judged. It returns the verdict
// and whether the scroll came to an end by itself.
func (r *run) scroll(ctx context.Context, viewer uint32, pageSize int) (oracle.Verdict, bool) {
	lane := &r.lanes[viewer]
	lane.RLock()
	defer lane.RUnlock()
	s := &oracle.Scroll{Viewer: viewer}
	token := ""
	for {
		page := oracle.Page{Token: token, Asked: pageSize, Start: r.now()}
		answer := r.page(ctx, &feedv1.GetHomeTimelineRequest{
			ViewerId: int64(r.audience.ID(viewer)), PageSize: int32(pageSize), PageToken: token, Explain: true,
		})
		if answer == nil {
			return r.history.Judge(s), false
		}
		page.End, page.Next, page.Items = r.now(), answer.GetNextPageToken(), items(answer)
		token = page.Next
		if !s.Add(page) {
			return r.history.Judge(s), true
		}
	}
}

// page asks for a page, again if the server is too busy; nil if it does not get
// one.
func (r *run) page(ctx context.Context, request *feedv1.GetHomeTimelineRequest) *feedv1.GetHomeTimelineResponse {
	for range exhaustedTries {
		var answer *feedv1.GetHomeTimelineResponse
		var failure error
		r.do(ctx, callRead, func(ctx context.Context) error {
			answer, failure = r.fleet.next().timelines.GetHomeTimeline(ctx, request)
			return failure
		})
		if failure == nil {
			return answer
		}
		if status.Code(failure) != codes.ResourceExhausted || !wait(ctx, retryDelay(failure)) {
			return nil
		}
	}
	return nil
}

// retryDelay is how long the server asks to be left alone.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	return exhaustedWait
}

// items puts a page into the oracle's words.
func items(answer *feedv1.GetHomeTimelineResponse) []oracle.Item {
	list := make([]oracle.Item, len(answer.GetPosts()))
	for i, p := range answer.GetPosts() {
		list[i] = oracle.Item{
			ID: feed.PostID(p.GetId()), Author: feed.UserID(p.GetAuthorId()),
			Text: p.GetText(), Payload: p.GetPayload(),
		}
		if i < len(answer.GetSources()) {
			list[i].Source = oracle.Source(answer.GetSources()[i])
		}
	}
	return list
}

// pageSizes are those of the scrolls: mostly large ones, since they are many.
var pageSizes = [...]int{200, 200, 200, 200, 50, 50, 7}

func pageSize(rng *rand.Rand) int { return pageSizes[rng.IntN(len(pageSizes))] }
