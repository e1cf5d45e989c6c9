package postgres

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"skein/feed"
)

// denseIDs is where the range ends from which CreateUser takes free ids. Ids
// above it are given by those who bring their own, and leave the sequence alone:
// stores of timelines number their slots by dense ids.
const denseIDs feed.UserID = 1 << 40

const (
	insertUser = `
INSERT INTO users VALUES ($1, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING id, created`

	insertNextUser = `
INSERT INTO users VALUES (nextval('user_ids'), clock_timestamp()) ON CONFLICT DO NOTHING RETURNING id, created`

	// passUsers moves the sequence beyond all that brought their own ids.
	passUsers = `
SELECT setval('user_ids', greatest(last_value, (SELECT max(id) FROM users WHERE id < $1))) FROM user_ids`
)

// CreateUser implements storage.Users.
func (s *Store) CreateUser(ctx context.Context, id feed.UserID) (feed.User, error) {
	if id < 0 {
		return feed.User{}, feed.Invalid(feed.Violation{Field: "id", Description: "must not be negative"})
	}
	var user feed.User
	err := s.call(ctx, "create the user", func(ctx context.Context) (err error) {
		if id > 0 {
			user, err = s.insertUser(ctx, insertUser, id)
			if errors.Is(err, pgx.ErrNoRows) {
				return cmp.Or(s.awaitStandbys(ctx), feed.Exists("user %d exists", id))
			}
			return err
		}
		for {
			user, err = s.insertUser(ctx, insertNextUser)
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			// Somebody brought that very id along. Each turn passes all who
			// did, and ctx ends a race that never would.
			if _, err := s.pool.Exec(ctx, passUsers, denseIDs); err != nil {
				return err
			}
		}
	})
	return user, err
}

func (s *Store) insertUser(ctx context.Context, sql string, args ...any) (user feed.User, err error) {
	err = s.pool.QueryRow(ctx, sql, args...).Scan(&user.ID, &user.CreateTime)
	return user, err
}

// getUsers reads the counts beside the users, each by its index.
const getUsers = `
SELECT u.id, u.created,
	coalesce((SELECT sum(count) FROM follower_counts WHERE author = u.id), 0)::bigint,
	coalesce((SELECT count FROM viewers WHERE viewer = u.id), 0)
FROM users AS u WHERE u.id = ANY($1)`

// GetUsers implements storage.Users. Counts are exact here.
func (s *Store) GetUsers(ctx context.Context, ids []feed.UserID) ([]feed.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make(map[feed.UserID]feed.User, len(ids))
	err := s.call(ctx, "read users", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, getUsers, numbers(ids))
		if err != nil {
			return err
		}
		var u feed.User
		_, err = pgx.ForEachRow(rows, []any{&u.ID, &u.CreateTime, &u.Followers, &u.Following}, func() error {
			found[u.ID] = u
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	users := make([]feed.User, 0, len(found))
	for _, id := range ids {
		if user, ok := found[id]; ok {
			users = append(users, user)
		}
	}
	return users, nil
}

const (
	missingUsers = `
SELECT id FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place)
WHERE NOT EXISTS (SELECT FROM users WHERE users.id = asked.id) ORDER BY place`

	countFollowers = `
SELECT coalesce((SELECT sum(count) FROM follower_counts WHERE author = asked.id), 0)::bigint
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place) ORDER BY place`
)

// MissingUsers implements storage.Users.
func (s *Store) MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error) {
	return column[feed.UserID](ctx, s, "look for users", missingUsers, numbers(ids))
}

// CountFollowers implements storage.Users. Counts are exact here.
func (s *Store) CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error) {
	return column[int64](ctx, s, "count followers", countFollowers, numbers(authors))
}

// column returns the only column of a statement.
func column[T any](ctx context.Context, s *Store, doing, sql string, args ...any) (values []T, err error) {
	err = s.call(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		values, err = pgx.CollectRows(rows, pgx.RowTo[T])
		return err
	})
	return values, err
}
