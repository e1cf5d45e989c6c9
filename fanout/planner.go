package fanout

import (
	"context"
	"errors"
	"math/rand/v2"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/timeline"
)

const (
	// listPage is how many followers are listed at once, and bulkPage how many by bulk:
	// with timelines in memory they take a millisecond of a processor.
	listPage = 4_096
	bulkPage = listPage / 2
	// flushViewers is how many viewers the planner gathers before it delivers.
	flushViewers = 32_768
)

// plan handles events of new posts: it delivers to few followers at once, cuts
// many into chunks, and leaves the posts of loud authors to be pulled.
func (f *Fanout) plan(ctx context.Context, records []eventlog.Record, later later) error {
	// After the fetch: so the view is at most policy.MaxAge older than the
	// newest post of the batch, and knows the tier of each.
	tiers, err := f.cfg.Tiers.View(ctx)
	if err != nil {
		return err
	}
	events, err := f.decodeEvents(ctx, records, later)
	if err != nil {
		return err
	}
	counts, err := f.followerCounts(ctx, events)
	if err != nil {
		return err
	}
	var few []storage.Event
	for _, e := range events {
		if tiers.History(e.Author).At(e.Post) == policy.Loud {
			f.metrics.loud.Inc()
		} else if topic := laneOf(counts[e.Author]); topic != "" {
			for _, c := range cut(e, counts[e.Author]) {
				later.add(topic, chunkRecord(c))
			}
		} else {
			few = append(few, e)
		}
	}
	if err := f.deliverFew(ctx, few, counts, later); err != nil {
		return err
	}
	// Last, as nobody waits for it and each change is a commit.
	for author, followers := range counts {
		f.retier(ctx, tiers.Settings, author, tiers.History(author), followers)
	}
	return nil
}

// deliverFew delivers the posts of authors who have few followers, as many posts at a
// time as have about flushViewers.
func (f *Fanout) deliverFew(ctx context.Context, events []storage.Event, counts map[feed.UserID]int64, later later) error {
	for len(events) > 0 {
		n, viewers := 0, int64(0)
		for n < len(events) && viewers < flushViewers {
			viewers += counts[events[n].Author]
			n++
		}
		deliveries, err := f.listFew(ctx, events[:n])
		if err != nil {
			return err
		}
		if err := f.deliver(ctx, deliveries, later); err != nil {
			return err
		}
		now := f.cfg.Posts.Now()
		for _, e := range events[:n] {
			f.metrics.observePost(topicPosts, e.Post, now)
		}
		events = events[n:]
	}
	return nil
}

// listFew lists the followers of authors who have few, all in one question.
func (f *Fanout) listFew(ctx context.Context, events []storage.Event) ([]timeline.Delivery, error) {
	place := make(map[feed.UserID]int, len(events))
	authors := make([]feed.UserID, 0, len(events))
	for _, e := range events {
		if _, ok := place[e.Author]; !ok {
			place[e.Author] = len(authors)
			authors = append(authors, e.Author)
		}
	}
	followers, err := f.cfg.Graph.FirstFollowers(ctx, authors, listPage)
	if err != nil {
		return nil, err
	}
	for i, author := range authors {
		if len(followers[i]) < listPage {
			continue
		}
		// Far more than were counted.
		if followers[i], err = f.listAll(ctx, author); err != nil {
			return nil, err
		}
	}
	deliveries := make([]timeline.Delivery, len(events))
	for i, e := range events {
		deliveries[i] = timeline.Delivery{Post: e.Post, Viewers: followers[place[e.Author]]}
	}
	return deliveries, nil
}

// decodeEvents returns the events of records, and sets aside those that are none.
func (f *Fanout) decodeEvents(ctx context.Context, records []eventlog.Record, later later) ([]storage.Event, error) {
	events := make([]storage.Event, 0, len(records))
	for _, r := range records {
		e, err := decodeCreated(r)
		if err != nil {
			if err := f.putAside(ctx, topicPosts, r, err, later); err != nil {
				return nil, err
			}
			continue
		}
		events = append(events, e)
	}
	return events, nil
}

// followerCounts returns the approximate number of followers of each author.
func (f *Fanout) followerCounts(ctx context.Context, events []storage.Event) (map[feed.UserID]int64, error) {
	counts := make(map[feed.UserID]int64, len(events))
	authors := make([]feed.UserID, 0, len(events))
	for _, e := range events {
		if _, ok := counts[e.Author]; !ok {
			counts[e.Author] = 0
			authors = append(authors, e.Author)
		}
	}
	followers, err := f.cfg.Graph.CountFollowers(ctx, authors)
	if err != nil {
		return nil, err
	}
	for i, author := range authors {
		counts[author] = followers[i]
	}
	return counts, nil
}

// retier changes the tier of an author whose followers have grown or shrunk past
// the threshold. The change takes effect later, for all at the same id. That it
// fails matters little: the next post tries again.
func (f *Fanout) retier(ctx context.Context, settings policy.Settings, author feed.UserID, history policy.History, followers int64) {
	tier := settings.Decide(history.Latest(), followers)
	next := history.Add(policy.Change{From: feed.IDAt(f.cfg.Posts.Now().Add(tierLead)), Tier: tier})
	if len(next) == len(history) {
		return
	}
	switch err := f.cfg.Graph.ChangeTier(ctx, author, history, next); {
	case err == nil:
		f.metrics.tiers.WithLabelValues(tier.String()).Inc()
		f.cfg.Logger.Info("an author changes tier", "tier", tier, "followers", followers)
	case errors.Is(err, storage.ErrConflict):
		// Changed already, by a post that the view at hand does not know of.
	default:
		f.cfg.Logger.Warn("an author's tier was not changed; the next post tries again", "err", err)
	}
}

// tierLead is how far ahead a change is put: enough for policy.Lead to be left
// when it commits.
const tierLead = policy.Lead + policy.MaxSkew

// cut makes the chunks of a post: ranges that tile all hashes, in an order that
// differs from post to post, so that no follower is always last (F6).
func cut(e storage.Event, followers int64) []chunk {
	ranges := feed.Split(int((followers + chunkFollowers - 1) / chunkFollowers))
	chunks := make([]chunk, len(ranges))
	order := rand.New(rand.NewPCG(uint64(e.Post), uint64(e.Author))).Perm(len(ranges))
	for i, j := range order {
		chunks[i] = chunk{Event: e, hashes: ranges[j]}
	}
	return chunks
}

// listAll lists all followers of an author.
func (f *Fanout) listAll(ctx context.Context, author feed.UserID) ([]feed.UserID, error) {
	var all []feed.UserID
	err := f.eachPage(ctx, author, feed.AllHashes, listPage, func(page []feed.UserID) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

// eachPage lists followers in pages of size. A page is valid until each returns.
func (f *Fanout) eachPage(ctx context.Context, author feed.UserID, hashes feed.HashRange, size int, each func([]feed.UserID) error) error {
	buf := make([]feed.UserID, 0, 512)
	for {
		page, err := f.cfg.Graph.ListFollowers(ctx, author, hashes, size, buf[:0])
		if err != nil {
			return err
		}
		if len(page) > 0 {
			if err := each(page); err != nil {
				return err
			}
		}
		if len(page) < size {
			return nil
		}
		last := page[len(page)-1].Hash()
		if last == hashes.Last {
			return nil
		}
		hashes.First, buf = last+1, page
	}
}
