package embedded

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// ImportFollows implements storage.Follows: one batch, and one version for each
// viewer in it.
func (s *Store) ImportFollows(ctx context.Context, edges []feed.Follow) (storage.Imported, error) {
	const doing = "import follows"
	if err := s.enter(ctx, doing); err != nil {
		return storage.Imported{}, err
	}
	defer s.leave()
	if len(edges) > storage.MaxImport {
		return storage.Imported{}, feed.Invalid(feed.Violation{Field: "follows", Description: "are too many for one import"})
	}
	edges = sortedOnce(edges)
	users := usersOf(edges)

	unlock := s.users.lockAll(users)
	b, imported, err := s.showImport(edges, users)
	unlock()
	if err == nil && b.Empty() {
		b.Close()
		err = s.barrier()
	} else if err == nil {
		err = s.persist(b)
	}
	if err != nil {
		return storage.Imported{}, translate(doing, err)
	}
	return imported, nil
}

// sortedOnce returns the edges by viewer and author, each once.
func sortedOnce(edges []feed.Follow) []feed.Follow {
	sorted := slices.Clone(edges)
	slices.SortFunc(sorted, func(a, b feed.Follow) int {
		return cmp.Or(cmp.Compare(a.Viewer, b.Viewer), cmp.Compare(a.Author, b.Author))
	})
	return slices.Compact(sorted)
}

// usersOf returns both ends of the edges, ascending, each once.
func usersOf(edges []feed.Follow) []feed.UserID {
	users := make([]feed.UserID, 0, 2*len(edges))
	for _, e := range edges {
		users = append(users, e.Viewer, e.Author)
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// showImport adds what is missing. The caller holds the stripes of all users.
func (s *Store) showImport(edges []feed.Follow, users []feed.UserID) (b batch, imported storage.Imported, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableUsers}, UpperBound: []byte{tableFollowers}})
	if err != nil {
		return b, imported, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	b = batch{s.db.NewBatchWithSize(128 * len(edges))}
	if imported.UsersCreated, err = s.putUsers(b, users); err != nil {
		return b, imported, err
	}
	gained := make(map[feed.UserID]int64, len(users))
	for len(edges) > 0 {
		viewer := edges[0].Viewer
		n := 1
		for n < len(edges) && edges[n].Viewer == viewer {
			n++
		}
		added, err := s.putFollows(b, it, viewer, edges[:n], gained)
		if err != nil {
			return b, imported, err
		}
		imported.Added += added
		edges = edges[n:]
	}
	for author, n := range gained {
		b.add(number(tableFollowerCounts, author), n)
	}
	if b.Empty() {
		return b, imported, nil
	}
	return b, imported, s.show(b)
}

// putUsers makes those users that do not exist.
func (s *Store) putUsers(b batch, users []feed.UserID) (created int64, err error) {
	now := encodeNumbers(uint64(s.millis()))
	for _, u := range users {
		key := number(tableUsers, u)
		exists, err := s.has(key)
		if err != nil {
			return created, err
		}
		if !exists {
			s.nextUser.pass(u)
			b.set(key, now)
			created++
		}
	}
	return created, nil
}

// putFollows adds one viewer's new edges under one new version, and counts them
// by author in gained.
func (s *Store) putFollows(b batch, it *pebble.Iterator, viewer feed.UserID, edges []feed.Follow, gained map[feed.UserID]int64) (added int64, err error) {
	head, err := s.followHead(viewer)
	if err != nil {
		return 0, err
	}
	fresh := head.count == 0
	head.version++
	for _, e := range edges {
		if !fresh {
			key := followsKey(e.Viewer, e.Author)
			if it.SeekGE(key) && string(it.Key()) == string(key) {
				continue
			}
			if err := it.Error(); err != nil {
				return 0, err
			}
		}
		putEdge(b, e, head.version)
		gained[e.Author]++
		added++
	}
	if added > 0 {
		head.count += uint64(added)
		b.set(number(tableFollows, viewer), head.encode())
	}
	return added, nil
}
