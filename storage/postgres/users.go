package postgres

import (
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
	const doing = "create the user"
	if id < 0 {
		return feed.User{}, feed.Invalid(feed.Violation{Field: "id", Description: "must not be negative"})
	}
	if id > 0 {
		user, err := s.insertUser(ctx, insertUser, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return feed.User{}, feed.Exists("user %d exists", id)
		}
		return user, translate(doing, err)
	}
	for {
		user, err := s.insertUser(ctx, insertNextUser)
		if !errors.Is(err, pgx.ErrNoRows) {
			return user, translate(doing, err)
		}
		// Somebody brought that very id along. Each turn passes all who did,
		// and ctx ends a race that never would.
		if _, err := s.pool.Exec(ctx, passUsers, denseIDs); err != nil {
			return feed.User{}, translate(doing, err)
		}
	}
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
	const doing = "read users"
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, getUsers, numbers(ids))
	if err != nil {
		return nil, translate(doing, err)
	}
	found := make(map[feed.UserID]feed.User, len(ids))
	var u feed.User
	_, err = pgx.ForEachRow(rows, []any{&u.ID, &u.CreateTime, &u.Followers, &u.Following}, func() error {
		found[u.ID] = u
		return nil
	})
	if err != nil {
		return nil, translate(doing, err)
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
	rows, err := s.pool.Query(ctx, missingUsers, numbers(ids))
	if err != nil {
		return nil, translate("look for users", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[feed.UserID])
	return missing, translate("look for users", err)
}

// CountFollowers implements storage.Users. Counts are exact here.
func (s *Store) CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error) {
	rows, err := s.pool.Query(ctx, countFollowers, numbers(authors))
	if err != nil {
		return nil, translate("count followers", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return counts, translate("count followers", err)
}
