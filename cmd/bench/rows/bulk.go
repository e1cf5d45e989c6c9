package rows

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"skein/deploy/local/servers"
	"skein/feed"
)

// Set-up that PostgreSQL takes by COPY, many times as fast as through the contracts
// of storage. It knows the tables of storage/postgres; what a row measures does not.

// database connects to the row's PostgreSQL.
func (s *stores) database(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, s.servers[servers.Postgres].URL())
}

// copyFollows makes edges and their users where there are none.
func (s *stores) copyFollows(ctx context.Context, edges iter.Seq[feed.Follow]) error {
	follows := slices.Collect(edges)
	users, followers, following := map[feed.UserID]int64{}, map[feed.UserID]int64{}, map[feed.UserID]int64{}
	for _, e := range follows {
		users[e.Viewer]++
		users[e.Author]++
		followers[e.Author]++
		following[e.Viewer]++
	}
	now := time.Now()
	return s.copyRows(ctx,
		counted("users", users, func(u, _ int64) []any { return []any{u, now} }, "id", "created"),
		counted("viewers", following, func(u, n int64) []any { return []any{u, int64(1), n} }, "viewer", "version", "count"),
		counted("follower_counts", followers, func(u, n int64) []any { return []any{u, int16(0), n} }, "author", "slot", "count"),
		table{"follows", []string{"viewer", "author", "since", "follower_hash"}, len(follows), func(i int) []any {
			return []any{int64(follows[i].Viewer), int64(follows[i].Author), int64(1), int64(follows[i].Viewer.Hash() ^ 1<<63)}
		}})
}

// copyPosts makes posts that were delivered long ago.
func (s *stores) copyPosts(ctx context.Context, posts []feed.Ref) error {
	body, none := []byte(text), []byte{}
	return s.copyRows(ctx, table{"posts", []string{"id", "author", "text", "payload"}, len(posts), func(i int) []any {
		return []any{int64(posts[i].Post), int64(posts[i].Author), body, none}
	}})
}

// table is rows for one.
type table struct {
	name    string
	columns []string
	rows    int
	row     func(i int) []any
}

// counted has a row for each user of m, by rising ids: what is asked for together
// lies together.
func counted(name string, m map[feed.UserID]int64, row func(user, count int64) []any, columns ...string) table {
	users := slices.Sorted(maps.Keys(m))
	return table{name, columns, len(users), func(i int) []any { return row(int64(users[i]), m[users[i]]) }}
}

// copyRows copies rows, and has PostgreSQL look at them: its plans and its
// index-only scans are then those of a table that has been there for long.
func (s *stores) copyRows(ctx context.Context, tables ...table) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	for _, t := range tables {
		if _, err := db.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromSlice(t.rows, func(i int) ([]any, error) { return t.row(i), nil })); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, "VACUUM ANALYZE "+t.name); err != nil {
			return err
		}
	}
	return nil
}
