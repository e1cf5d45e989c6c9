package rows

import (
	"context"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/gocql/gocql"

	"skein/deploy/local/servers"
	"skein/storage/cassandra"
)

// rawCassandra is the ceiling of posts_cassandra: bare inserts of the rows of a post
// into tables like those of storage/cassandra, in another keyspace of the same server,
// as durable.
type rawCassandra struct {
	createPosts
	session *gocql.Session
	number  atomic.Int64
}

func (s *stores) rawCassandra(ctx context.Context, r createPosts) (*rawCassandra, error) {
	const name = "bare"
	at, err := url.Parse(s.servers[servers.Cassandra].URL())
	if err != nil {
		return nil, err
	}
	at.Path = name
	if err := cassandra.Migrate(ctx, at.String()); err != nil {
		return nil, err
	}
	session, err := s.cassandraSession(name)
	if err != nil {
		return nil, err
	}
	raw := &rawCassandra{createPosts: r, session: session}
	return raw, s.bench.warmUp(ctx, r.clients, raw.insert)
}

// insert inserts the rows of a post with an idempotency key, one after another: key,
// event, post, and its place among the author's posts. Skein decides about the key in a
// lightweight transaction, at a consistency of its own; so does this.
func (r *rawCassandra) insert(ctx context.Context, _ int) error {
	id := r.number.Add(1) << 12 // ids of one node, spread over time as those of a few thousand a second are
	author := int64(rand.IntN(r.users) + 1)
	body, none := []byte(text), []byte{}
	key := strconv.AppendInt(make([]byte, 0, 16), 1e15+id, 10)
	decided := r.session.Query(`INSERT INTO requests (author, key, post, content) VALUES (?, ?, ?, ?) IF NOT EXISTS`, author, key, id, key)
	if _, err := decided.WithContext(ctx).MapScanCAS(map[string]any{}); err != nil {
		return err
	}
	for _, row := range []struct {
		cql  string
		args []any
	}{
		{`INSERT INTO outbox (shard, bucket, post, author, origin, text, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`, []any{int16(id >> 12 % 8), id >> 22 / 10_000, id, author, int64(1), body, none}},
		{`INSERT INTO posts (id, author, text, payload) VALUES (?, ?, ?, ?)`, []any{id, author, body, none}},
		{`INSERT INTO posts_by_author (author, bucket, post, text, payload) VALUES (?, ?, ?, ?, ?)`, []any{author, int16(0), id, body, none}},
	} {
		if err := r.session.Query(row.cql, row.args...).WithContext(ctx).Exec(); err != nil {
			return err
		}
	}
	return nil
}
