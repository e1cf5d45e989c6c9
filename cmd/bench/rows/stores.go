package rows

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"skein/cmd/internal/engines"
	"skein/deploy/local/servers"
	"skein/fanout"
	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// stores are the engines of one row, open, with their data in a folder of their own.
type stores struct {
	*engines.Set
	// delivered watches the deliveries to Timelines.
	delivered *watched
	tiers     *storage.TierCopy
	// life of the log, which every timeline bears.
	life    uint64
	bench   *Bench
	on      on
	servers running
	dir     string
	// stopped, unless nil, is called when the servers have stopped and their files
	// are still there.
	stopped func() error
}

// open makes stores in a new folder. The row must close them.
func (b *Bench) open(ctx context.Context, on on, mode policy.Mode) (s *stores, err error) {
	s = &stores{bench: b, on: on}
	if s.dir, err = b.folder(); err != nil {
		return nil, err
	}
	if err := s.open(ctx, mode); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stores) open(ctx context.Context, mode policy.Mode) (err error) {
	if s.servers, err = s.bench.start(ctx, s.on, s.dir); err != nil {
		return err
	}
	if s.Set, err = s.servers.open(ctx, s.bench, s.dir); err != nil {
		return err
	}
	s.delivered = &watched{Store: s.Timelines}
	s.Timelines = s.delivered
	s.tiers = storage.NewTierCopy(s.Graph, time.Now)
	settings := policy.DefaultSettings
	settings.Mode = mode
	if err := s.Graph.PutSettings(ctx, settings); err != nil {
		return err
	}
	view, err := s.tiers.View(ctx)
	if err != nil {
		return err
	}
	s.life = uint64(view.Life)
	return nil
}

// close closes the engines, stops the servers and removes the folder.
func (s *stores) close() (err error) {
	if s.Set != nil {
		err = s.Close()
	}
	err = errors.Join(err, s.servers.stop())
	if s.stopped != nil && err == nil {
		err = s.stopped()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// follow imports edges, and makes their users. On PostgreSQL all of a row go in one
// call.
func (s *stores) follow(ctx context.Context, edges iter.Seq[feed.Follow]) error {
	if s.on.has(servers.Postgres) {
		return s.copyFollows(ctx, edges)
	}
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
		token, ok, err := s.Timelines.Create(ctx, viewer, s.life)
		if err != nil || !ok {
			return errors.Join(err, ctx.Err())
		}
		users, err := s.Graph.GetFollowSet(ctx, viewer, nil)
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
		Tiers: s.tiers, Logger: s.bench.Log,
		Heavy: s.on.heavy(),
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
	return s.relayed(ctx)
}

// relayed waits until no event is in the outbox any more.
func (s *stores) relayed(ctx context.Context) error {
	return until(ctx, "an empty outbox", func() (bool, error) {
		oldest, err := s.Posts.OldestEvent(ctx)
		return oldest == feed.MaxPostID, err
	})
}
