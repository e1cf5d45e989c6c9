package loadgen

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

const (
	// importStreams send the graph at once, so that one can encode while
	// another's message is written.
	importStreams = 4
	// importBatch is the most that a message may hold.
	importBatch = 10_000
)

// importGraph makes the users and follows of the graph; those that exist
// already are no error.
func (r *run) importGraph(ctx context.Context) error {
	r.cfg.Progress.Stage("import", r.audience.Follows())
	g, ctx := errgroup.WithContext(ctx)
	for i := range importStreams {
		g.Go(func() error { return patiently(ctx, func() error { return r.importPart(ctx, i) }) })
	}
	g.Go(func() error { return r.createLonely(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("the graph was not loaded: %w", err)
	}
	return nil
}

// unavailable is how often a part of an import may find an engine unavailable, as
// Cassandra's transactions are where several compete for a row.
const unavailable = 5

// patiently repeats what a busy server refuses, when it says, and for a while what an
// engine could not do. That ends: all of it is idempotent, and one of those who are
// refused gets in as soon as another is done.
func patiently(ctx context.Context, call func() error) error {
	for failed := 0; ; {
		err := call()
		switch status.Code(err) {
		case codes.ResourceExhausted:
		case codes.Unavailable:
			failed++
		default:
			return err
		}
		if failed == unavailable || !wait(ctx, retryDelay(err)) {
			return err
		}
	}
}

// importPart sends the follows of every importStreams-th viewer.
func (r *run) importPart(ctx context.Context, part int) error {
	stream, err := r.fleet.next().graph.ImportFollows(ctx)
	if err != nil {
		return err
	}
	buffer := make([]feedv1.FollowEdge, importBatch)
	message := &feedv1.ImportFollowsRequest{Follows: make([]*feedv1.FollowEdge, 0, importBatch)}
	sentAll := int64(0)
	send := func() bool {
		sent := int64(len(message.Follows))
		sentAll += sent
		err = stream.Send(message) // has encoded it when it returns
		message.Follows = message.Follows[:0]
		r.cfg.Progress.Add(sent)
		return err == nil
	}
	for i := part; i < r.audience.Users() && err == nil; i += importStreams {
		viewer := uint32(i)
		for _, author := range r.audience.Following(viewer) {
			e := &buffer[len(message.Follows)]
			e.ViewerId, e.AuthorId = int64(r.audience.ID(viewer)), int64(r.audience.ID(author))
			message.Follows = append(message.Follows, e)
			if len(message.Follows) == importBatch && !send() {
				break
			}
		}
	}
	if err == nil && len(message.Follows) > 0 {
		send()
	}
	// A Send that failed only says EOF; the reason comes here.
	if _, err = stream.CloseAndRecv(); err != nil {
		r.cfg.Progress.Add(-sentAll) // it may be sent again
	}
	return err
}

// createLonely makes the users who follow nobody and whom nobody follows.
func (r *run) createLonely(ctx context.Context) error {
	for i := range r.audience.Users() {
		u := uint32(i)
		if r.audience.FollowerCount(u) > 0 || len(r.audience.Following(u)) > 0 {
			continue
		}
		err := patiently(ctx, func() error {
			_, err := r.fleet.next().graph.CreateUser(ctx, &feedv1.CreateUserRequest{Id: int64(r.audience.ID(u))})
			return err
		})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return err
		}
	}
	return nil
}

const (
	// compared is how many of the viewers that are checked are asked before the import
	// whom they follow.
	compared = 48
	// compareWithin bounds how long all are asked, when something is wrong.
	compareWithin = 30 * time.Second
)

// doubt asks all viewers whom they follow, if violations were found: follows that
// a run before left behind, since it was killed say, look like a fault of the server's.
func (r *run) doubt(ctx context.Context) {
	if r.history.Violations() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, compareWithin)
	defer cancel()
	if err := r.compareGraph(ctx, r.viewers); err != nil {
		r.cfg.Progress.Note("THE VIOLATIONS MAY BE THE DATA'S, NOT THE SERVER'S: %v", err)
	}
}

// compareGraph asks viewers whom they follow. Whoever follows more than in the graph,
// and by no act of this run, since the server held other follows, would make a correct
// server look wrong.
func (r *run) compareGraph(ctx context.Context, viewers []uint32) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, viewer := range viewers {
		g.Go(func() error { return r.compareFollowing(ctx, viewer) })
	}
	return g.Wait()
}

func (r *run) compareFollowing(ctx context.Context, viewer uint32) error {
	known := map[int64]bool{}
	for _, author := range r.audience.Following(viewer) {
		known[int64(r.audience.ID(author))] = true
	}
	ask := &feedv1.ListFollowingRequest{UserId: int64(r.audience.ID(viewer)), PageSize: 200}
	for {
		answer, err := r.fleet.next().graph.ListFollowing(ctx, ask)
		if err != nil {
			return nil // too busy, say; the others tell enough
		}
		for _, author := range answer.GetAuthorIds() {
			if known[author] {
				continue
			}
			if at, ok := r.audience.Index(feed.UserID(author)); !ok || !r.history.Acted(viewer, at) {
				return fmt.Errorf("%w: the server holds other follows than the graph's (user %d follows %d): take a server whose data is empty, or the graph and --seed that it was filled with",
					ErrConfig, ask.UserId, author)
			}
		}
		if ask.PageToken = answer.GetNextPageToken(); ask.PageToken == "" {
			return nil
		}
	}
}
