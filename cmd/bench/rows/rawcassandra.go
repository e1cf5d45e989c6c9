package rows

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/gocql/gocql"

	"skein/deploy/local/servers"
	"skein/storage/cassandra"
)

// cassandraSession returns a driver's session in a keyspace of the row's Cassandra,
// with the consistency and the routing of storage/cassandra. Statements are prepared
// once for each server.
func (s *stores) cassandraSession(keyspace string) (*gocql.Session, error) {
	at, err := url.Parse(s.servers[servers.Cassandra].URL())
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(at.Host)
	if err != nil {
		return nil, err
	}
	c := gocql.NewCluster(host)
	if c.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	c.Keyspace = keyspace
	c.ProtoVersion = 4
	c.Consistency, c.SerialConsistency = gocql.LocalQuorum, gocql.LocalSerial
	c.Timeout = patience
	c.DefaultTimestamp = false
	c.PageSize = 0
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	c.Logger = silent{}
	return c.CreateSession()
}

// silent is a logger for the driver; what fails ends the row by its error.
type silent struct{}

func (silent) Print(...any)          {}
func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

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
	return &rawCassandra{createPosts: r, session: session}, err
}

// insert inserts the rows of a post with an idempotency key, one after another: key,
// event, post, and its place among the author's posts.
func (r *rawCassandra) insert(ctx context.Context, _ int) error {
	id := r.number.Add(1) << 12 // ids of one node, spread over time as those of a few thousand a second are
	author := int64(rand.IntN(r.users) + 1)
	body, none := []byte(text), []byte{}
	key := strconv.AppendInt(make([]byte, 0, 16), 1e15+id, 10)
	for _, row := range []struct {
		cql  string
		args []any
	}{
		{`INSERT INTO requests (author, key, post, content) VALUES (?, ?, ?, ?)`, []any{author, key, id, key}},
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
