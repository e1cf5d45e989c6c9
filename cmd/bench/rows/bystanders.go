package rows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// bystanders is what a celebrity's burst does to those who have nothing to do
// with it.
type bystanders struct {
	users    int // bystanders
	follows  int64
	posts    int // of bystanders, beforehand
	fans     int // of the celebrity
	burst    int // posts of the celebrity a second
	postRate int // posts of bystanders a second
	readRate int // reads of bystanders a second
}

func (bystanders) Names() []string { return []string{"bystander_lag", "bystander_read_p99"} }

func (r bystanders) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("bystander_lag, bystander_read_p99: making %s users and %s fans", report.Count(r.users), report.Count(r.fans))
	g, err := graph.Synthesize(graph.Synthetic{Users: r.users, Follows: r.follows, Seed: seed})
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	town := &spike{bystanders: r, stores: s, graph: g, shift: celebrity + feed.UserID(r.fans)}
	if err := town.fill(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, town.service.close()) }()

	// The turns that are measured are those with the burst; those without are
	// what they are compared to. The two figures come out of the same turns.
	var calm, loud []*waits
	turn := func(celebrities int, into *[]*waits) func() (float64, error) {
		return func() (float64, error) {
			w, err := town.turn(ctx, celebrities)
			*into = append(*into, w)
			return w.lag.quantile(0.5), err
		}
	}
	if _, _, err := b.alternate(ctx, "bystanders", turn(r.burst, &loud), turn(0, &calm)); err != nil {
		return nil, err
	}
	return r.rows(calm[1:], loud[1:]), nil
}

// waits are how long bystanders waited in one turn.
type waits struct{ lag, read sample }

// rows compares turns without and with the burst.
func (r bystanders) rows(calm, loud []*waits) []report.Row {
	of := func(turns []*waits, quantile func(*waits) float64) float64 {
		var all []float64
		for _, turn := range turns {
			all = append(all, quantile(turn))
		}
		return median(all)
	}
	row := func(name string, kind string, sample func(*waits) *sample, q float64) report.Row {
		at := func(q float64) func(*waits) float64 {
			return func(w *waits) float64 { return sample(w).quantile(q) }
		}
		return report.Row{
			Name: name, Value: of(loud, at(q)) / of(calm, at(q)), Unit: "x", Better: report.Lower, Target: 1.5,
			Setup: report.Setup{
				Users: r.users + r.fans + 1, LiveTimelines: r.users + r.fans, PostBytes: len(text),
				How: fmt.Sprintf("%s bystanders post %d and read %d times a second in an open loop over gRPC on loopback, "+
					"while a celebrity posts %d times a second to %s live timelines, policy push: "+
					"p50 and p99 of %s %.2f and %.2f ms without it, %.2f and %.2f ms with it",
					report.Count(r.users), r.postRate, r.readRate, r.burst, report.Count(r.fans), kind,
					1e3*of(calm, at(0.5)), 1e3*of(calm, at(0.99)), 1e3*of(loud, at(0.5)), 1e3*of(loud, at(0.99))),
				LeftOut: "a network; reads of the celebrity's followers",
			}.String(),
		}
	}
	return []report.Row{
		row("bystander_lag", "the lag from acknowledgement to the last readable entry", func(w *waits) *sample { return &w.lag }, 0.5),
		row("bystander_read_p99", "a read", func(w *waits) *sample { return &w.read }, 0.99),
	}
}

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
	posts, err := s.write(ctx, s.authors)
	if err != nil {
		return err
	}
	s.delivered.follow()
	if s.service, err = s.serve(ctx); err != nil {
		return err
	}
	if err := s.service.settle(ctx, posts[len(posts)-1].Post); err != nil {
		return errors.Join(err, s.service.close())
	}
	return nil
}

// turn loads the service for one phase, with celebrities posts a second of the
// celebrity, and returns how long bystanders waited.
func (s *spike) turn(ctx context.Context, celebrities int) (*waits, error) {
	w := &waits{}
	acknowledged := struct {
		sync.Mutex
		at map[feed.PostID]time.Time
	}{at: map[feed.PostID]time.Time{}}
	var newest atomic.Int64
	post := func(ctx context.Context, client int, author feed.UserID) (feed.PostID, error) {
		post, err := feedv1.NewPostServiceClient(s.service.conn(client)).CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: int64(author), Text: text})
		for last := newest.Load(); post.GetId() > last && !newest.CompareAndSwap(last, post.GetId()); last = newest.Load() {
		}
		return feed.PostID(post.GetId()), err
	}
	group, loops := errgroup.WithContext(ctx)
	group.Go(func() error {
		return openLoop(loops, s.postRate, s.bench.Phase, func(ctx context.Context, n int, _ time.Time) error {
			id, err := post(ctx, n, s.authors[rand.IntN(len(s.authors))])
			now := time.Now()
			acknowledged.Lock()
			defer acknowledged.Unlock()
			acknowledged.at[id] = now
			return err
		})
	})
	group.Go(func() error {
		return openLoop(loops, s.readRate, s.bench.Phase, func(ctx context.Context, n int, due time.Time) error {
			_, err := read(ctx, s.service.endpoint, n, s.shift+1+feed.UserID(rand.IntN(s.users)))
			w.read.add(time.Since(due))
			return err
		})
	})
	if celebrities > 0 {
		group.Go(func() error {
			return openLoop(loops, celebrities, s.bench.Phase, func(ctx context.Context, n int, _ time.Time) error {
				_, err := post(ctx, n, celebrity)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return w, err
	}
	if err := s.service.settle(ctx, feed.PostID(newest.Load())); err != nil {
		return w, err
	}
	for id, at := range acknowledged.at {
		w.lag.add(max(s.delivered.at(id).Sub(at), 0))
	}
	return w, nil
}
