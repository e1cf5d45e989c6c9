package rows

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/threads"
	"skein/fanout"
	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// stores are the engines of one process in a folder of their own, open.
type stores struct {
	*engines.Set
	// delivered watches the deliveries to Timelines.
	delivered *watched
	tiers     *storage.TierCopy
	bench     *Bench
	dir       string
}

// open makes stores in a new folder. The row must close them.
func (b *Bench) open(ctx context.Context, mode policy.Mode) (*stores, error) {
	dir, err := os.MkdirTemp(b.Dir, "bench-")
	if err != nil {
		return nil, err
	}
	config := engines.DefaultConfig()
	config.DataDir = dir
	config.TimelineBytes = 64 << 30 // nothing is evicted: what a row makes live stays so
	set, err := engines.Open(ctx, config, engines.Options{Topics: fanout.Topics(), Clock: time.Now, Logger: b.Log})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &stores{Set: set, delivered: &watched{Store: set.Timelines}, bench: b, dir: dir}
	s.Timelines = s.delivered
	s.tiers = storage.NewTierCopy(s.Graph, time.Now)
	settings := policy.DefaultSettings
	settings.Mode = mode
	if err := s.Graph.PutSettings(ctx, settings); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close closes the engines and removes the folder.
func (s *stores) close() error { return errors.Join(s.Close(), os.RemoveAll(s.dir)) }

// follow imports edges, and makes their users.
func (s *stores) follow(ctx context.Context, edges iter.Seq[feed.Follow]) error {
	batch := make([]feed.Follow, 0, storage.MaxImport)
	flush := func() error {
		_, err := s.Graph.ImportFollows(ctx, batch)
		batch = batch[:0]
		return err
	}
	for edge := range edges {
		if batch = append(batch, edge); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// makeLive gives viewers first to last live timelines that cover all that they
// follow, with entries that stand for older posts.
func (s *stores) makeLive(ctx context.Context, first, last feed.UserID, entries int) error {
	old := filler(entries)
	return eachOf(ctx, int(last-first)+1, setUpWorkers, func(ctx context.Context, i int) error {
		viewer := first + feed.UserID(i)
		token, ok, err := s.Timelines.Create(ctx, viewer, 0)
		if err != nil || !ok {
			return errors.Join(err, ctx.Err())
		}
		users, err := s.Graph.GetFollowSet(ctx, viewer)
		if err != nil {
			return err
		}
		_, err = s.Timelines.Finish(ctx, viewer, token, old, 0, uint64(users.Version))
		return err
	})
}

// setUpWorkers is how many goroutines write during set-up: enough to share each
// sync of the disk.
const setUpWorkers = 64

// write commits posts by the authors, in order of their ids as far as workers
// allow, and returns them. Events wait in the outbox.
func (s *stores) write(ctx context.Context, authors []feed.UserID) ([]feed.Ref, error) {
	ids := feed.NewIDs(s.Posts, time.Now)
	refs := make([]feed.Ref, len(authors))
	err := eachOf(ctx, len(authors), setUpWorkers, func(ctx context.Context, i int) error {
		for {
			id, err := ids.Next(ctx)
			if err != nil {
				return err
			}
			post, err := s.Posts.CreatePost(ctx, storage.Draft{Post: feed.Post{ID: id, Author: authors[i], Text: text}})
			if errors.Is(err, feed.ErrLate) {
				continue
			}
			refs[i] = feed.Ref{Post: post.ID, Author: authors[i]}
			return err
		}
	})
	return refs, err
}

// fanOut makes a fan-out on the stores, not started.
func (s *stores) fanOut(change func(*fanout.Config)) (*fanout.Fanout, error) {
	config := fanout.Config{
		Posts: s.Posts, Graph: s.Graph, Timelines: s.Timelines, Log: s.Log,
		Tiers: s.tiers, Clock: time.Now, Logger: s.bench.Log,
		Heavy: max(1, threads.Processors/2),
	}
	change(&config)
	return fanout.New(config)
}

// relay moves all events from the outbox to the log, and delivers nothing.
func (s *stores) relay(ctx context.Context) (err error) {
	relay, err := s.fanOut(func(c *fanout.Config) { c.NoWork = true })
	if err != nil {
		return err
	}
	if err := relay.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.Stop(ctx)) }()
	return until(ctx, "an empty outbox", func() (bool, error) {
		n, err := s.Posts.CountEvents(ctx)
		return n == 0, err
	})
}
