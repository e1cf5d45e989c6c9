package cassandra

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

// importEdges is how many edges of one viewer go into one transaction: Cassandra
// refuses large batches.
const importEdges = 250

// ImportFollows implements storage.Follows. All of one viewer's edges, up to
// importEdges, commit at once; those of several viewers do not, as Cassandra has no
// transaction over partitions. An import that fails midway may be repeated.
func (s *Store) ImportFollows(ctx context.Context, edges []feed.Follow) (storage.Imported, error) {
	const doing = "import follows"
	if len(edges) > storage.MaxImport {
		return storage.Imported{}, feed.Invalid(feed.Violation{Field: "follows", Description: "are too many for one import"})
	}
	if len(edges) == 0 {
		return storage.Imported{}, nil
	}
	edges = sortedOnce(edges)
	created, err := s.importUsers(ctx, edges)
	if err != nil {
		return storage.Imported{}, translate(doing, err)
	}
	authors, err := s.countAuthors(ctx, edges)
	if err != nil {
		return storage.Imported{}, translate(doing, err)
	}
	parts := byViewer(edges)
	var added atomic.Int64
	err = forEach(ctx, len(parts), func(ctx context.Context, i int) error {
		n, err := s.importViewer(ctx, parts[i], authors)
		added.Add(int64(n))
		return err
	})
	// Edges that were added count, also when others failed.
	s.countImported(context.WithoutCancel(ctx), authors)
	if err != nil {
		return storage.Imported{}, translate(doing, err)
	}
	return storage.Imported{Added: added.Load(), UsersCreated: created}, nil
}

// sortedOnce returns the edges by viewer and author, each once.
func sortedOnce(edges []feed.Follow) []feed.Follow {
	sorted := slices.Clone(edges)
	slices.SortFunc(sorted, func(a, b feed.Follow) int {
		return cmp.Or(cmp.Compare(a.Viewer, b.Viewer), cmp.Compare(a.Author, b.Author))
	})
	return slices.Compact(sorted)
}

// byViewer cuts sorted edges into parts of one viewer each.
func byViewer(edges []feed.Follow) (parts [][]feed.Follow) {
	for first, i := 0, 1; i <= len(edges); i++ {
		if i == len(edges) || edges[i].Viewer != edges[first].Viewer || i-first == importEdges {
			parts = append(parts, edges[first:i])
			first = i
		}
	}
	return parts
}

// importUsers makes the users who are missing.
func (s *Store) importUsers(ctx context.Context, edges []feed.Follow) (created int64, err error) {
	named := map[feed.UserID]struct{}{}
	for _, e := range edges {
		named[e.Viewer], named[e.Author] = struct{}{}, struct{}{}
	}
	missing, err := s.MissingUsers(ctx, slices.Sorted(maps.Keys(named)))
	if err != nil {
		return 0, err
	}
	var made atomic.Int64
	err = forEach(ctx, len(missing), func(ctx context.Context, i int) error {
		_, first, err := s.insertUser(ctx, missing[i])
		if first {
			made.Add(1)
		}
		return err
	})
	return made.Load(), err
}

// imported counts the followers of the authors of one import.
type imported struct {
	sync.Mutex
	authors map[feed.UserID]*authorCount
}

type authorCount struct {
	before, added int64
	wide          bool
}

// countAuthors asks how many followers each author has.
func (s *Store) countAuthors(ctx context.Context, edges []feed.Follow) (*imported, error) {
	all := &imported{authors: map[feed.UserID]*authorCount{}}
	for _, e := range edges {
		all.authors[e.Author] = &authorCount{}
	}
	authors := slices.Collect(maps.Keys(all.authors))
	counts, err := s.CountFollowers(ctx, authors)
	for i, n := range counts {
		all.authors[authors[i]].before = n
	}
	return all, err
}

// add counts followers of an author more, and reports whether the author is wide by
// now, and whether that is news.
func (i *imported) add(author feed.UserID, n, wideFrom int64) (wide, news bool) {
	i.Lock()
	defer i.Unlock()
	a := i.authors[author]
	a.added += n
	wide = a.before+a.added > wideFrom
	news = wide && !a.wide
	return wide, news
}

func (i *imported) setWide(author feed.UserID) {
	i.Lock()
	defer i.Unlock()
	i.authors[author].wide = true
}

// countImported adds what was added to the counts. If that fails some are off.
func (s *Store) countImported(ctx context.Context, all *imported) {
	var authors []feed.UserID
	for author, a := range all.authors {
		if a.added != 0 {
			authors = append(authors, author)
		}
	}
	err := s.writeMany(ctx, gocql.CounterBatch, len(authors), func(b *gocql.Batch, i int) {
		b.Query(addFollowers, all.authors[authors[i]].added, int64(authors[i]))
	})
	if err != nil {
		s.opts.Logger.Warn("the follower counts of an import may be off", "err", err)
	}
}

// importViewer adds those of one viewer's edges that are new, with one version.
func (s *Store) importViewer(ctx context.Context, edges []feed.Follow, authors *imported) (added int, err error) {
	viewer := edges[0].Viewer
	turn := s.viewers[viewer.Hash()%uint64(len(s.viewers))]
	if err := turn.take(ctx); err != nil {
		return 0, err
	}
	defer turn.give()
	for range maxTries {
		h, _, err := s.readEdge(ctx, feed.Follow{Viewer: viewer})
		if err != nil {
			return 0, err
		}
		// Read after the head: if it is newer, the transaction fails.
		set, err := s.GetFollowSet(ctx, viewer, nil)
		if err != nil {
			return 0, err
		}
		var fresh []feed.Follow
		for _, e := range edges {
			if _, follows := set.Contains(e.Author); !follows {
				fresh = append(fresh, e)
			}
		}
		if len(fresh) == 0 {
			return 0, nil
		}
		done, err := s.importFresh(ctx, h, fresh, authors)
		if err != nil {
			return 0, err
		}
		if done {
			return len(fresh), nil
		}
	}
	return 0, errors.New("others keep changing whom a viewer follows")
}

// importFresh adds edges of one viewer, if the set is still the one with head h. The
// order is that of act.
func (s *Store) importFresh(ctx context.Context, h head, fresh []feed.Follow, authors *imported) (done bool, err error) {
	stamp := max(s.Now().UnixMicro(), h.stamp+2)
	viewer := fresh[0].Viewer
	hash := viewer.Hash()
	buckets := make([]int16, len(fresh))
	for i, e := range fresh {
		wide, news := authors.add(e.Author, 1, s.wideFrom)
		if wide {
			buckets[i] = wideBucket(hash)
		}
		if news && err == nil {
			if err = s.setWide(ctx, e.Author); err == nil {
				authors.setWide(e.Author)
			}
		}
	}
	if err == nil {
		err = s.writeMany(ctx, gocql.UnloggedBatch, len(fresh), func(b *gocql.Batch, i int) {
			b.Query(insertFollower, int64(fresh[i].Author), buckets[i], signed(hash), stamp)
		})
	}
	if err == nil {
		done, err = s.decideAll(ctx, func(b *gocql.Batch) {
			b.Query(changeHead, h.next(), h.following+int64(len(fresh)), stamp, int64(viewer), h.version)
			for i, e := range fresh {
				b.Query(changeEdge, true, h.next(), buckets[i], int64(viewer), int64(e.Author))
			}
		})
	}
	if !done {
		for _, e := range fresh {
			authors.add(e.Author, -1, s.wideFrom)
		}
	}
	return done, err
}
