package rows

import (
	"context"
	"net"
	"net/url"
	"strconv"

	"github.com/gocql/gocql"

	"skein/deploy/local/servers"
	"skein/feed"
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

// warmUp calls for as long as Cassandra takes to compile what it runs: its first calls
// cost ten times as much processor time as those half a minute later.
func (b *Bench) warmUp(ctx context.Context, clients int, call func(ctx context.Context, client int) error) error {
	_, err := closedLoop(ctx, clients, 5*b.Phase, call)
	return err
}

// authorBucket is the bucket of an author's posts that a post is in, as storage/cassandra
// has it; a row that looks at pages afterwards finds out if that changes.
func authorBucket(post int64) int16 { return int16(post >> 57) }

// insertedAtOnce is how many posts a batch has.
const insertedAtOnce = 10

// insertWorkers are few, as a server that is not warm yet refuses what it cannot write
// within two seconds.
const insertWorkers = 4

// insertPosts makes posts that were delivered long ago, many times as fast as through
// the contract of storage. It knows the tables of storage/cassandra; what a row measures
// does not.
func insertPosts(ctx context.Context, session *gocql.Session, posts []feed.Ref) error {
	body, none := []byte(text), []byte{}
	return eachOf(ctx, (len(posts)+insertedAtOnce-1)/insertedAtOnce, insertWorkers, func(ctx context.Context, part int) error {
		batch := session.NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		for _, p := range posts[part*insertedAtOnce : min(len(posts), (part+1)*insertedAtOnce)] {
			id, author := int64(p.Post), int64(p.Author)
			batch.Query(`INSERT INTO posts (id, author, text, payload) VALUES (?, ?, ?, ?)`, id, author, body, none)
			batch.Query(`INSERT INTO posts_by_author (author, bucket, post, text, payload) VALUES (?, ?, ?, ?, ?)`, author, authorBucket(id), id, body, none)
		}
		return session.ExecuteBatch(batch)
	})
}
