package rows

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/feed"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// spike is a celebrity, fans of it alone, and bystanders who follow each other.
// Users 2 on are the fans, those above shift the bystanders.
type spike struct {
	bystanders
	*stores
	graph   *graph.Graph
	shift   feed.UserID
	authors []feed.UserID // who post, in order
	service *service
}

func (s *spike) fill(ctx context.Context) (err error) {
	if err := s.haveFans(ctx, s.fans, 100); err != nil {
		return err
	}
	if err := s.follow(ctx, edges(s.graph, s.shift)); err != nil {
		return err
	}
	if err := s.makeLive(ctx, s.shift+1, s.shift+feed.UserID(s.users), 0); err != nil {
		return err
	}
	s.authors = userIDs(s.graph, drawAuthors(s.graph, s.bystanders.posts, twip), s.shift)
	if _, err := s.write(ctx, s.authors); err != nil {
		return err
	}
	s.delivered.follow()
	if s.service, err = s.serve(ctx); err != nil {
		return err
	}
	if err := s.service.settle(ctx); err != nil {
		return errors.Join(err, s.service.close())
	}
	return nil
}

// postedIDs remembers when each post was acknowledged.
type postedIDs struct {
	mu sync.Mutex
	at map[feed.PostID]time.Time
}

func (p *postedIDs) add(id feed.PostID, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[feed.PostID]time.Time{}
	}
	p.at[id] = at
}

// all is for when nobody adds any more.
func (p *postedIDs) all() map[feed.PostID]time.Time { return p.at }

// post lets a client post.
func (s *spike) post(ctx context.Context, client int, author feed.UserID) (feed.PostID, error) {
	post, err := feedv1.NewPostServiceClient(s.service.conn(client)).CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: int64(author), Text: text})
	return feed.PostID(post.GetId()), err
}

// readOne lets a client read for a bystander.
func (s *spike) readOne(ctx context.Context, client int) error {
	_, err := read(ctx, s.service.endpoint, client, s.shift+1+feed.UserID(rand.IntN(s.users)))
	return err
}

// turn loads the service for one phase, with celebrities posts a second of the
// celebrity, and returns how long bystanders waited.
func (s *spike) turn(ctx context.Context, celebrities int) (*waits, error) {
	w := &waits{}
	var posted, famous postedIDs
	group, loops := errgroup.WithContext(ctx)
	group.Go(func() error {
		return openLoop(loops, s.postRate, s.bench.Phase, func(ctx context.Context, n int, _ time.Time) error {
			id, err := s.post(ctx, n, s.authors[rand.IntN(len(s.authors))])
			posted.add(id, time.Now())
			return err
		})
	})
	group.Go(func() error {
		return openLoop(loops, s.readRate, s.bench.Phase, func(ctx context.Context, n int, due time.Time) error {
			err := s.readOne(ctx, n)
			w.read.add(time.Since(due))
			return err
		})
	})
	if celebrities > 0 {
		group.Go(func() error {
			return openLoop(loops, celebrities, s.bench.Phase, func(ctx context.Context, n int, _ time.Time) error {
				id, err := s.post(ctx, n, celebrity)
				famous.add(id, time.Now())
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return w, err
	}
	if err := s.service.settle(ctx); err != nil {
		return w, err
	}
	for id, at := range posted.all() {
		w.lag.add(max(s.delivered.at(id).Sub(at), 0))
	}
	return w, nil
}
