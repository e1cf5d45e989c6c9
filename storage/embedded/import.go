package embedded

import (
	"bytes"
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
		err = s.settled(nil)
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
// Each table is written in the order of its keys, which halves the time that the
// memtable takes for them.
func (s *Store) showImport(edges []feed.Follow, users []feed.UserID) (b batch, imported storage.Imported, err error) {
	b = batch{s.db.NewBatchWithSize(128 * len(edges))}
	if imported.UsersCreated, err = s.putUsers(b, users); err != nil {
		return b, imported, err
	}
	edges, err = s.putFollows(b, edges)
	if err != nil {
		return b, imported, err
	}
	imported.Added = int64(len(edges))
	putFollowers(b, edges)
	if b.Empty() {
		return b, imported, nil
	}
	return b, imported, s.show(b)
}

// putUsers makes those users that do not exist.
func (s *Store) putUsers(b batch, users []feed.UserID) (created int64, err error) {
	now := encodeNumbers(uint64(s.millis()))
	for _, u := range users {
		exists, err := s.userExists(u)
		if err != nil {
			return created, err
		}
		if !exists {
			s.putUser(b, u, now)
			created++
		}
	}
	return created, nil
}

// putFollows adds the new ones of sorted edges to the viewers' side, one version
// for each viewer, and returns them.
func (s *Store) putFollows(b batch, edges []feed.Follow) (added []feed.Follow, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableFollows}, UpperBound: []byte{tableFollows + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	added = make([]feed.Follow, 0, len(edges))
	for len(edges) > 0 {
		viewer, n := edges[0].Viewer, 1
		for n < len(edges) && edges[n].Viewer == viewer {
			n++
		}
		head, err := s.followHead(viewer)
		if err != nil {
			return nil, err
		}
		before := len(added)
		if added, err = appendMissing(added, it, edges[:n], head.count == 0); err != nil {
			return nil, err
		}
		if fresh := added[before:]; len(fresh) > 0 {
			head.version++
			head.count += uint64(len(fresh))
			b.set(number(tableFollows, viewer), head.encode())
			for _, e := range fresh {
				b.set(followsKey(e.Viewer, e.Author), encodeNumbers(uint64(head.version)))
			}
		}
		edges = edges[n:]
	}
	return added, nil
}

// appendMissing appends to dst those edges that do not exist; all, if the set is
// empty.
func appendMissing(dst []feed.Follow, it *pebble.Iterator, edges []feed.Follow, empty bool) ([]feed.Follow, error) {
	if empty {
		return append(dst, edges...), nil
	}
	for _, e := range edges {
		key := followsKey(e.Viewer, e.Author)
		if it.SeekGE(key) && bytes.Equal(it.Key(), key) {
			continue
		}
		if err := it.Error(); err != nil {
			return nil, err
		}
		dst = append(dst, e)
	}
	return dst, nil
}

// putFollowers adds edges to the authors' side and counts them. It sorts its
// argument.
func putFollowers(b batch, edges []feed.Follow) {
	slices.SortFunc(edges, func(x, y feed.Follow) int {
		return cmp.Or(cmp.Compare(x.Author, y.Author), cmp.Compare(x.Viewer.Hash(), y.Viewer.Hash()))
	})
	for _, e := range edges {
		b.set(followersKey(e.Author, e.Viewer.Hash()), nil)
	}
	for len(edges) > 0 {
		n := 1
		for n < len(edges) && edges[n].Author == edges[0].Author {
			n++
		}
		b.add(number(tableFollowerCounts, edges[0].Author), int64(n))
		edges = edges[n:]
	}
}
