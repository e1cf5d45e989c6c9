package cassandra

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
)

// Session returns a session beside the store's, with time for changes of a schema.
func Session(url string) (*gocql.Session, error) {
	where, err := parse(url)
	if err != nil {
		return nil, err
	}
	return connect(where, where.keyspace, schemaTimeout)
}

// The places where tests stop a call.
const (
	StepEvent     = stepEvent
	StepPost      = stepPost
	StepLooked    = stepLooked
	StepUnlisted  = stepUnlisted
	StepFollower  = stepFollower
	StepUnedged   = stepUnedged
	StepAnnounced = stepAnnounced
	StepEmpty     = stepEmpty
	StepLocked    = stepLocked
	StepApplying  = stepApplying
	StepApplied   = stepApplied
	StepPartition = stepPartition
)

// Step is such a place.
type Step = step

// OnStep has f called at each step. Set it before the store is used.
func (s *Store) OnStep(f func(Step)) { s.onStep = f }

// SetWideFrom makes authors wide with fewer followers.
func (s *Store) SetWideFrom(n int64) { s.wideFrom = n }

// WriteEvent writes a post's event, and WritePost the post, as its creator does, or a
// relay again.
var (
	WriteEvent = (*Store).writeEvent
	WritePost  = (*Store).writePost
)

// Settle decides about an event as the relay does.
var Settle = (*Store).settle

// MigrateTo migrates to an earlier version, and tells how far it got.
var MigrateTo = migrateTo

// Lock takes the lock of migrations.
func Lock(ctx context.Context, session *gocql.Session, owner int64) error {
	return (&migration{session: session, owner: owner}).lock(ctx)
}

// CallTimeout is how long a statement may take that does not change the schema.
const CallTimeout = callTimeout

// AuthorBits of an id are in one bucket of an author's page.
const AuthorBits = authorBits

// PlaceOf is the partition of an event, StampOf its stamp.
var (
	PlaceOf = placeOf
	SpanOf  = spanOf
	StampOf = stampOf
)

// Buckets are those that are looked at from an id on.
var Buckets = (*Store).buckets

// Low is the id below which a process knows of no event.
func Low(s *Store) feed.PostID {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.mu.low
}

// Origin is what tells a process from others that relay.
func Origin(s *Store) int64 { return s.origin }

// WideBuckets are those of an author with many followers, beside the first.
const WideBuckets = wideBuckets

// ParseURL returns the hosts and the keyspace of a URL.
func ParseURL(url string) (hosts []string, port int, keyspace, consistency string, err error) {
	s, err := parse(url)
	return s.hosts, s.port, s.keyspace, s.consistency.String(), err
}

// CQL are the statements of the migrations.
func CQL() (all []string) {
	for _, f := range files() {
		all = append(all, f.statements...)
	}
	return all
}

// KeyOf is how a request id is stored, ContentOf what is of a post with it.
var (
	KeyOf     = keyOf
	ContentOf = contentOf
)

// MetTwice meets an event twice, long enough apart, in a process that has met as many
// others as it remembers, that long ago, and reports whether it knew it again.
func MetTwice(id feed.PostID, ago time.Duration) bool {
	s := newStore(nil, settings{}, Options{Clock: time.Now})
	for other := range feed.PostID(maxMet) {
		s.outbox.mu.met[id+1+other] = time.Now().Add(-ago)
	}
	s.metBefore(id)
	if _, ok := s.outbox.mu.met[id]; ok {
		s.outbox.mu.met[id] = time.Now().Add(-metTime)
	}
	return s.metBefore(id)
}

// Cluster are the driver's settings for a URL.
func Cluster(url string) (*gocql.ClusterConfig, error) {
	s, err := parse(url)
	return s.cluster(s.keyspace, slog.New(slog.DiscardHandler)), err
}

// Quorum returns the factor and the place of a URL's quorums.
func Quorum(url string, replication map[string]string) (factor int, place string, err error) {
	s, err := parse(url)
	if err != nil {
		return 0, "", err
	}
	return s.quorum(replication)
}

// Everywhere is the place of quorums of all data centres.
const Everywhere = everywhere

// NotePlace notes a place as Migrate does in a keyspace in several data centres.
func NotePlace(session *gocql.Session, place string) error {
	return (&migration{session: session, settings: settings{keyspace: "k"}}).notePlace(context.Background(), place)
}

// ComparePlace refuses a place as Open does there.
func (s *Store) ComparePlace(place string) error { return s.comparePlace(context.Background(), place) }

// Judge says what Open says about a keyspace with those settings.
func Judge(durable bool, factor, nodes int, sync string, opts Options) error {
	return newStore(nil, settings{}, opts.withDefaults()).judge(durability{durable, factor, nodes, sync})
}

// Second says how many nodes beside the first are asked, of so many that are up.
func Second(nodes int) int {
	p := newSecond(gocql.RoundRobinHostPolicy())
	var last *gocql.HostInfo
	for i := range nodes + 1 {
		last = (&gocql.HostInfo{}).SetConnectAddress(net.IPv4(127, 0, 0, byte(i+1)))
		last.SetHostID(strconv.Itoa(i))
		p.AddHost(last)
	}
	p.RemoveHost(last)
	return p.Attempts()
}

// MayBeRepeated returns which kinds of statement the driver would ask a second node for.
func (s *Store) MayBeRepeated(ctx context.Context) (kinds []string, err error) {
	asked := &countSecond{}
	old := s.second
	s.second = asked
	defer func() { s.second = old }()
	for _, c := range []struct {
		kind string
		run  func() error
	}{
		{"read", func() error { return s.read(ctx, `SELECT post FROM outbox LIMIT 1`).Iter().Close() }},
		{"write", func() error { return s.write(ctx, `DELETE FROM posts WHERE id = 1`) }},
		{"decide", func() error {
			_, _, err := s.decide(ctx, `UPDATE numbers SET next = 1 WHERE name = ? IF next = null`, "x")
			return err
		}},
		{"decideAll", func() error {
			_, err := s.decideAll(ctx, func(b *gocql.Batch) { b.Query(`UPDATE numbers SET next = 2 WHERE name = ? IF next = null`, "x") })
			return err
		}},
		{"count", func() error { return s.addFollowers(ctx, 1, 1) }},
		{"counts", func() error {
			return s.writeMany(ctx, gocql.CounterBatch, 1, func(b *gocql.Batch, _ int) { b.Query(addFollowers, int64(1), int64(1)) })
		}},
	} {
		asked.n.Store(0)
		if err := c.run(); err != nil {
			return nil, err
		}
		if asked.n.Load() > 0 {
			kinds = append(kinds, c.kind)
		}
	}
	return kinds, nil
}

// countSecond counts how often the driver, about to run a statement that it takes for
// one that may be repeated, asks for the policy.
type countSecond struct{ n atomic.Int64 }

func (c *countSecond) Attempts() int        { c.n.Add(1); return 0 }
func (c *countSecond) Delay() time.Duration { return secondAfter }

// Whole reports whether a process that made as many posts as it remembers knows the next
// one, if others relayed the events of those before an id.
func Whole(relayed feed.PostID) bool {
	o := newOutbox()
	first := firstOf(1)
	for id := first; id < first+maxWhole; id++ {
		o.end(id, true)
	}
	o.mu.low = relayed
	o.end(firstOf(2), true)
	_, whole := o.mu.whole[firstOf(2)]
	return whole
}

// FirstOf is the first id of a bucket.
var FirstOf = firstOf
