package terminal

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/cmd/internal/progress"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

const (
	// maxMessage is the most follows that a message may hold.
	maxMessage = 10_000
	// callMessages is how many messages go in one call. The API acknowledges a
	// call, not a message: more is faster, less is repeated after a stop.
	callMessages = 10
)

// errOtherData: a resumed import went to a server that does not have what was
// acknowledged.
var errOtherData = &Failure{
	What: "the server lacks follows that it acknowledged before: it is another one, has lost its data, or somebody has unfollowed since",
	Advice: []string{
		"Nothing was skipped yet. Import all of it: leave out --resume-from. What is there already does no harm.",
	},
}

// sender sends the follows of a graph, by viewer and then author, in calls one
// after the other.
type sender struct {
	*options
	server *server
	graph  *graph.Graph
	shown  *progress.Progress
	result *importResult

	// acknowledged is how many follows, counted from the first of the graph,
	// the server is known to have.
	acknowledged int64
}

// send sends all follows but the first from. It repeats the last message before
// from, in which nothing may be new.
func (s *sender) send(ctx context.Context, from int64) error {
	c := newCursor(s.graph)
	repeat := min(from, maxMessage)
	c.skip(from - repeat)
	if repeat > 0 {
		answer, err := s.call(ctx, c, repeat)
		if err != nil {
			s.acknowledged = from
			return err
		}
		if answer.GetAdded() > 0 {
			return errOtherData
		}
		s.result.ResumedFrom, s.acknowledged = from, from
		s.shown.Add(from)
	}
	for s.acknowledged < s.graph.Follows() {
		part := min(s.graph.Follows()-s.acknowledged, callMessages*maxMessage)
		answer, err := s.call(ctx, c, part)
		if err != nil {
			return err
		}
		s.acknowledged += part
		s.result.Sent += part
		s.result.Added += answer.GetAdded()
		s.result.UsersCreated += answer.GetUsersCreated()
		s.shown.Add(part)
	}
	return nil
}

// call sends the next follows in a call of their own, moves c beyond them, and
// returns when they are acknowledged. A server that is busy is asked again, as
// often as the timeout allows.
func (s *sender) call(parent context.Context, c *cursor, follows int64) (*feedv1.ImportFollowsResponse, error) {
	ctx, cancel := context.WithTimeout(parent, s.timeout)
	defer cancel()
	for said := false; ; {
		attempt := *c
		answer, err := s.attempt(ctx, &attempt, follows)
		if err == nil {
			*c = attempt
			return answer, nil
		}
		refused := status.Convert(err)
		delay, _ := retryDelay(refused)
		if refused.Code() != codes.ResourceExhausted || delay <= 0 {
			return nil, s.failure(err)
		}
		if !said {
			s.shown.Note("the server is busy (%s); asking again for up to %s", refused.Message(), s.timeout)
			said = true
		}
		if !wait(ctx, delay) {
			return nil, s.failure(err)
		}
	}
}

func (s *sender) attempt(ctx context.Context, c *cursor, follows int64) (*feedv1.ImportFollowsResponse, error) {
	stream, err := s.server.graph.ImportFollows(ctx)
	if err != nil {
		return nil, err
	}
	for sent := int64(0); sent < follows; {
		message := c.next(min(follows-sent, maxMessage))
		if stream.Send(message) != nil {
			break // the reason is what CloseAndRecv returns
		}
		sent += int64(len(message.GetFollows()))
	}
	return stream.CloseAndRecv()
}

// wait waits for d, and reports whether ctx let it.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
