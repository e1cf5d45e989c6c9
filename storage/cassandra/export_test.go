package cassandra

import (
	"log/slog"

	"github.com/gocql/gocql"
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

// MigrateTo migrates to an earlier version.
var MigrateTo = migrateTo

// PlaceOf is the partition of an event, StampOf its stamp.
var (
	PlaceOf = placeOf
	SpanOf  = spanOf
	StampOf = stampOf
)

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

// KeyOf and ContentOf are what is stored of a request.
var (
	KeyOf     = keyOf
	ContentOf = contentOf
)
