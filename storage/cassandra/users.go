package cassandra

import (
	"context"
	"errors"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
)

const (
	// denseIDs is where the range ends from which CreateUser takes free ids. Ids
	// above it are given by those who bring their own: stores of timelines number
	// their slots by dense ids.
	denseIDs = 1 << 40
	// blockOfIDs is how many ids a process takes at a time.
	blockOfIDs = 32
	// insertTries is how often a row that others insert as well is tried.
	insertTries = 5
)

// numbers are ids for users that this process has taken and not given.
type numbers struct {
	turn        turn
	next, until int64
	block       int64 // the size of the last one
}

// CreateUser implements storage.Users.
func (s *Store) CreateUser(ctx context.Context, id feed.UserID) (feed.User, error) {
	const doing = "create the user"
	if id < 0 {
		return feed.User{}, feed.Invalid(feed.Violation{Field: "id", Description: "must not be negative"})
	}
	if id > 0 {
		user, made, err := s.insertUser(ctx, id)
		if err == nil && !made {
			err = feed.Exists("user %d exists", id)
		}
		return user, translate(doing, err)
	}
	user, err := s.createNextUser(ctx)
	return user, translate(doing, err)
}

// insertUser inserts a user, and reports whether it was not there. Where several insert
// one at the same time Cassandra gives up on some after a while, and
// nobody knows whether theirs is the row: the next try finds out, by the time in it.
func (s *Store) insertUser(ctx context.Context, id feed.UserID) (user feed.User, made bool, err error) {
	user = feed.User{ID: id, CreateTime: s.Now().Truncate(time.Millisecond)} // as the column keeps it
	for range insertTries {
		var found map[string]any
		doubt := err != nil
		made, found, err = s.decide(ctx, `INSERT INTO users (id, created) VALUES (?, ?) IF NOT EXISTS`, int64(id), user.CreateTime)
		if err == nil && !made && doubt {
			created, _ := found["created"].(time.Time)
			made = created.Equal(user.CreateTime)
		}
		if _, contended := errors.AsType[*gocql.RequestErrWriteTimeout](err); !contended {
			break
		}
	}
	return user, made, err
}

// createNextUser makes a user of the first number that is no user's. Where somebody
// brought the first of a block along, the next block is twice as long and this one is
// left, so that a million of those are passed in twenty steps.
func (s *Store) createNextUser(ctx context.Context) (feed.User, error) {
	if err := s.numbers.turn.take(ctx); err != nil {
		return feed.User{}, err
	}
	defer s.numbers.turn.give()
	n := &s.numbers
	for {
		fresh := n.next == n.until
		if fresh {
			if err := s.takeBlock(ctx); err != nil {
				return feed.User{}, err
			}
		}
		if n.next >= denseIDs {
			return feed.User{}, errors.New("the numbers for users are used up")
		}
		user, made, err := s.insertUser(ctx, feed.UserID(n.next))
		if err != nil {
			return feed.User{}, err
		}
		n.next++
		if made {
			n.block = blockOfIDs
			return user, nil
		}
		if fresh {
			n.block *= 2
			n.next = n.until
		}
	}
}

// takeBlock takes the next block of numbers, for this process alone.
func (s *Store) takeBlock(ctx context.Context) error {
	n := &s.numbers
	n.block = max(n.block, blockOfIDs)
	for {
		var old *int64
		err := s.readSerial(ctx, `SELECT next FROM numbers WHERE name = 'users'`).Scan(&old)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return err
		}
		first := int64(1)
		if old != nil {
			first = *old
		}
		applied, _, err := s.decide(ctx, `UPDATE numbers SET next = ? WHERE name = 'users' IF next = ?`, first+n.block, old)
		if err != nil {
			return err
		}
		if applied {
			n.next, n.until = first, first+n.block
			return nil
		}
	}
}

// GetUsers implements storage.Users.
func (s *Store) GetUsers(ctx context.Context, ids []feed.UserID) ([]feed.User, error) {
	found := make([]feed.User, len(ids))
	err := forEach(ctx, len(ids), func(ctx context.Context, i int) error {
		user := feed.User{ID: ids[i]}
		err := s.read(ctx, `SELECT created FROM users WHERE id = ?`, int64(ids[i])).Scan(&user.CreateTime)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if user.Followers, err = s.countFollowers(ctx, ids[i]); err != nil {
			return err
		}
		head, _, err := s.readEdge(ctx, feed.Follow{Viewer: ids[i]})
		user.Following = head.following
		found[i] = user
		return err
	})
	if err != nil {
		return nil, translate("read users", err)
	}
	users := found[:0]
	for _, u := range found {
		if u.ID != 0 {
			users = append(users, u)
		}
	}
	return users, nil
}

// MissingUsers implements storage.Users.
func (s *Store) MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error) {
	there, err := s.numbersOf(ctx, `SELECT id, id FROM users WHERE id IN ?`, ids)
	if err != nil {
		return nil, translate("look for users", err)
	}
	var missing []feed.UserID
	for _, id := range ids {
		if _, ok := there[id]; !ok {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// CountFollowers implements storage.Users. A count is off by one for each act whose
// process died, or whose answer was lost, between the edge and the count.
func (s *Store) CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error) {
	found, err := s.numbersOf(ctx, `SELECT author, count FROM follower_counts WHERE author IN ?`, authors)
	if err != nil {
		return nil, translate("count followers", err)
	}
	counts := make([]int64, len(authors))
	for i, author := range authors {
		counts[i] = max(found[author], 0)
	}
	return counts, nil
}

func (s *Store) countFollowers(ctx context.Context, author feed.UserID) (n int64, err error) {
	err = s.read(ctx, `SELECT count FROM follower_counts WHERE author = ?`, int64(author)).Scan(&n)
	if errors.Is(err, gocql.ErrNotFound) {
		return 0, nil
	}
	return max(n, 0), err
}

// addFollowers changes a count. A counter's statement must not be repeated.
func (s *Store) addFollowers(ctx context.Context, author feed.UserID, more int64) error {
	return s.session.Query(addFollowers, more, int64(author)).WithContext(ctx).Exec()
}
