package embedded

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// denseIDs is where the range ends from which CreateUser takes free ids. Ids
// above it are given by those who bring their own, and leave the counter alone.
const denseIDs feed.UserID = 1 << 40

// nextUser is the least id above every user below denseIDs, so that ids stay
// dense: stores of timelines number their slots by them.
type nextUser struct{ id atomic.Int64 }

// take returns a new id; pass makes sure that no later take returns id.
func (n *nextUser) take() feed.UserID { return feed.UserID(n.id.Add(1) - 1) }

func (n *nextUser) pass(id feed.UserID) {
	for id < denseIDs {
		next := n.id.Load()
		if next > int64(id) || n.id.CompareAndSwap(next, int64(id)+1) {
			return
		}
	}
}

// loadNextUser finds the greatest dense id. It need not be stored: an id that
// was taken and not written is free again.
func (s *Store) loadNextUser() (err error) {
	s.nextUser.id.Store(1)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableUsers}, UpperBound: number(tableUsers, denseIDs)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.Last() {
		n, err := lastNumber(it.Key(), oneNumber)
		if err != nil {
			return err
		}
		s.nextUser.pass(feed.UserID(n))
	}
	return it.Error()
}

// CreateUser implements storage.Users.
func (s *Store) CreateUser(ctx context.Context, id feed.UserID) (feed.User, error) {
	const doing = "create the user"
	if err := s.enter(ctx, doing); err != nil {
		return feed.User{}, err
	}
	defer s.leave()
	if id < 0 {
		return feed.User{}, feed.Invalid(feed.Violation{Field: "id", Description: "must not be negative"})
	}
	for {
		user, b, err := s.showUser(id)
		if id == 0 && feed.CodeOf(err) == feed.CodeExists {
			continue // somebody brought that very id along a moment ago
		}
		switch {
		case err == nil:
			err = s.persist(b)
		case feed.CodeOf(err) == feed.CodeExists:
			err = s.settled(err)
		}
		if err != nil {
			return feed.User{}, translate(doing, err)
		}
		return user, nil
	}
}

func (s *Store) showUser(id feed.UserID) (feed.User, batch, error) {
	if id == 0 {
		id = s.nextUser.take()
	}
	unlock := s.users.lock(uint64(id))
	defer unlock()
	exists, err := s.userExists(id)
	if err != nil {
		return feed.User{}, batch{}, err
	}
	if exists {
		return feed.User{}, batch{}, feed.Exists("user %d exists", id)
	}
	now := uint64(s.millis())
	b := s.batch()
	s.putUser(b, id, encodeNumbers(now))
	return feed.User{ID: id, CreateTime: timeOf(now)}, b, s.show(b)
}

// GetUsers implements storage.Users. Counts are exact here.
func (s *Store) GetUsers(ctx context.Context, ids []feed.UserID) ([]feed.User, error) {
	const doing = "read users"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	users := make([]feed.User, 0, len(ids))
	for _, id := range ids {
		created, found, err := s.lookupNumbers(number(tableUsers, id), 1)
		if err != nil {
			return nil, translate(doing, err)
		}
		if !found {
			continue
		}
		followers, _, err := s.lookupNumbers(number(tableFollowerCounts, id), 1)
		if err != nil {
			return nil, translate(doing, err)
		}
		head, err := s.followHead(id)
		if err != nil {
			return nil, translate(doing, err)
		}
		users = append(users, feed.User{
			ID:         id,
			CreateTime: timeOf(created[0]),
			Followers:  int64(followers[0]),
			Following:  int64(head.count),
		})
	}
	return users, nil
}

// MissingUsers implements storage.Users. Mostly it is answered from memory.
func (s *Store) MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error) {
	const doing = "look for users"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	var missing []feed.UserID
	for _, id := range ids {
		exists, err := s.userExists(id)
		if err != nil {
			return nil, translate(doing, err)
		}
		if !exists {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// CountFollowers implements storage.Users. Counts are exact here.
func (s *Store) CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error) {
	const doing = "count followers"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	counts := make([]int64, len(authors))
	for i, author := range authors {
		count, _, err := s.lookupNumbers(number(tableFollowerCounts, author), 1)
		if err != nil {
			return nil, translate(doing, err)
		}
		counts[i] = int64(count[0])
	}
	return counts, nil
}
