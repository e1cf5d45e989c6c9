package cassandra

import (
	"context"
	"log/slog"
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
	cluster := where.cluster(where.keyspace, slog.New(slog.DiscardHandler))
	cluster.Timeout = schemaTimeout
	return cluster.CreateSession()
}

// The places where tests stop a call.
const (
	StepEvent     = stepEvent
	StepPost      = stepPost
	StepFollower  = stepFollower
	StepUnedged   = stepUnedged
	StepAnnounced = stepAnnounced
	StepEmpty     = stepEmpty
	StepLocked    = stepLocked
	StepApplied   = stepApplied
	StepPartition = stepPartition
)

// Step is such a place.
type Step = step

// OnStep has f called at each step. Set it before the store is used.
func (s *Store) OnStep(f func(Step)) { s.onStep = f }

// SetWideFrom makes authors wide with fewer followers.
func (s *Store) SetWideFrom(n int64) { s.wideFrom = n }

// WritePost writes a post as the relay does, again.
var WritePost = (*Store).writePost

// Settle decides about an event as the relay does.
var Settle = (*Store).settle

// MigrateTo migrates to an earlier version, and tells how far it got.
var MigrateTo = migrateTo

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
