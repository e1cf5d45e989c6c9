package rows

import (
	"context"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"skein/deploy/local/servers"
	"skein/storage/postgres"
)

// rawInserts is the ceiling of posts_postgres: bare inserts of the rows of a post
// into tables like those of storage/postgres, in another database of the same
// server, as durable.
type rawInserts struct {
	createPosts
	pool *pgxpool.Pool
	id   atomic.Int64
}

// insertRows is one statement, which is one transaction and one round trip.
const insertRows = `
WITH key AS (INSERT INTO requests VALUES ($2, $4, $1, $5)), event AS (INSERT INTO outbox VALUES ($1, $2))
INSERT INTO posts VALUES ($1, $2, $3, '')`

func (s *stores) rawInserts(ctx context.Context, r createPosts) (*rawInserts, error) {
	const name = "bare"
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	if _, err := db.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	at, err := url.Parse(s.servers[servers.Postgres].URL())
	if err != nil {
		return nil, err
	}
	at.Path = name
	if err := postgres.Migrate(ctx, at.String()); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(at.String())
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(r.clients)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &rawInserts{createPosts: r, pool: pool}, err
}

func (r *rawInserts) insert(ctx context.Context, _ int) error {
	id := r.id.Add(1)
	key := strconv.AppendInt(make([]byte, 0, 16), 1e15+id, 10)
	_, err := r.pool.Exec(ctx, insertRows, id, int64(rand.IntN(r.users)+1), []byte(text), key, key)
	return err
}
