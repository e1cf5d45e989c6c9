package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gocql/gocql"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	feedv1 "skein/proto/feed/v1"
)

// authorPages is how many pages of one author's posts are served in a second.
type authorPages struct {
	authors, posts int // each has so many
	clients        int
}

func (authorPages) Names() []string { return []string{"author_page_cassandra"} }

func (r authorPages) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("author_page_cassandra: starting servers, making %s posts", report.Count(r.authors*r.posts))
	s, err := b.open(ctx, onCassandra, policy.Hybrid)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	session, err := s.cassandraSession("skein")
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if err := r.fill(ctx, session); err != nil {
		return nil, err
	}
	service, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.close()) }()
	pages := feedv1.NewTimelineServiceClient
	rival := authorQuery{session}
	if err := r.compare(ctx, service, rival); err != nil {
		return nil, err
	}
	asked := func(ctx context.Context, _ int) error {
		_, err := rival.read(ctx, r.someAuthor())
		return err
	}
	if err := b.warmUp(ctx, r.clients, asked); err != nil {
		return nil, err
	}
	costs := s.costs()
	value, ceiling, err := b.alternate(ctx, "author_page_cassandra", func() (float64, error) {
		return costs.closedLoop(ctx, r.clients, b.Phase, func(ctx context.Context, client int) error {
			_, err := pages(service.conn(client)).GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: int64(r.someAuthor()), PageSize: pageSize})
			return err
		})
	}, func() (float64, error) {
		return closedLoop(ctx, r.clients, b.Phase, asked)
	})
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "author_page_cassandra", Value: value, Unit: "pages/s", Better: report.Higher, Target: new(0.8),
		Ceiling: &ceiling, CeilingName: new(fmt.Sprintf("the bare query, prepared and to the node that has the author, at LOCAL_QUORUM, by %d goroutines: %s", r.clients, pageQuery)),
		Setup: report.Setup{
			Users: r.authors, PostBytes: len(text),
			How: fmt.Sprintf("GetUserTimeline over %d gRPC connections on loopback, by %d clients in a closed loop: the newest %d whole posts of an author at random, who has %d; posts in Cassandra, which has them in memory; %v",
				connections, r.clients, pageSize, r.posts, costs),
			LeftOut: "posts and deliveries meanwhile; a network; posts on the disk; on the query's side a server in front of it",
		}.String(),
	}}, nil
}

func (r authorPages) someAuthor() feed.UserID { return feed.UserID(rand.IntN(r.authors) + 1) }

// fill writes posts that were delivered long ago.
func (r authorPages) fill(ctx context.Context, session *gocql.Session) error {
	next := 0
	return insertPosts(ctx, session, older(r.authors*r.posts, func(*rand.Rand) feed.UserID {
		next++
		return feed.UserID(next%r.authors + 1)
	}))
}

// authorQuery is an author's page without Skein.
type authorQuery struct{ session *gocql.Session }

const pageQuery = `SELECT post, text, payload FROM posts_by_author WHERE author = ? AND bucket = ? AND post < ? LIMIT 50`

// read reads a page, and returns the ids on it.
func (q authorQuery) read(ctx context.Context, author feed.UserID) (ids []int64, err error) {
	now := int64(feed.IDAt(time.Now()))
	rows := q.session.Query(pageQuery, int64(author), authorBucket(now), now).WithContext(ctx).Iter()
	var id int64
	var body, payload []byte
	for rows.Scan(&id, &body, &payload) {
		ids = append(ids, id)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	if len(ids) != pageSize {
		return nil, fmt.Errorf("the query found %d posts, not %d, of user %d", len(ids), pageSize, author)
	}
	return ids, nil
}

// compare finds the same posts on pages of both.
func (r authorPages) compare(ctx context.Context, service *service, rival authorQuery) error {
	for n := range verified {
		author := feed.UserID(n*r.authors/verified + 1)
		page, err := feedv1.NewTimelineServiceClient(service.conn(n)).GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: int64(author), PageSize: pageSize})
		if err != nil {
			return err
		}
		ids, err := rival.read(ctx, author)
		if err != nil {
			return err
		}
		for i, post := range page.GetPosts() {
			if post.GetId() != ids[i] {
				return fmt.Errorf("the page of user %d has post %d where Cassandra has %d", author, post.GetId(), ids[i])
			}
		}
	}
	return nil
}
