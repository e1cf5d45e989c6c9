package cassandra

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gocql/gocql"
)

// everywhere is the place of processes that agree by quorums of all data centres.
const everywhere = "*"

// quorum returns of how many copies the quorums are that a URL asks for, and where: in
// the data centre of that name, or everywhere. Two processes with quorums of different
// places agree on nothing. The place is "" if all quorums are of the same copies.
func (s settings) quorum(replication map[string]string) (factor int, place string, err error) {
	copies := map[string]int{} // by data centre
	for name, value := range replication {
		n, err := strconv.Atoi(strings.SplitN(value, "/", 2)[0])
		if name != "class" && err == nil && n > 0 {
			copies[name] = n
		}
	}
	local := s.consistency == gocql.LocalQuorum
	if n := copies["replication_factor"]; n > 0 {
		return n, "", nil // of a strategy that knows no data centres
	}
	switch {
	case len(copies) == 0:
		return 0, "", fmt.Errorf("%s: keyspace %q has no replication (alter it)", engine, s.keyspace)
	case local && s.datacenter != "" && copies[s.datacenter] == 0:
		return 0, "", fmt.Errorf("%s: keyspace %q has no copy in data centre %q (correct the URL's datacenter, or alter the keyspace)", engine, s.keyspace, s.datacenter)
	case local && s.datacenter == "" && len(copies) > 1:
		return 0, "", fmt.Errorf("%s: keyspace %q is in %d data centres; say with ?datacenter= in which one all processes are, or ?consistency=quorum", engine, s.keyspace, len(copies))
	case len(copies) == 1:
		return slices.Collect(maps.Values(copies))[0], "", nil
	case local:
		return copies[s.datacenter], s.datacenter, nil
	}
	return slices.Min(slices.Collect(maps.Values(copies))), everywhere, nil
}

// replication returns how the keyspace is.
func (s settings) replication(ctx context.Context, session *gocql.Session) (durable bool, replication map[string]string, err error) {
	err = session.Query(`SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = ?`, s.keyspace).
		WithContext(ctx).Idempotent(true).Consistency(gocql.One).Scan(&durable, &replication)
	return durable, replication, err
}

// agree notes where all processes agree, if it may be in several places.
func (m *migration) agree(ctx context.Context) error {
	_, replication, err := m.settings.replication(ctx, m.session)
	if err != nil {
		return err
	}
	_, place, err := m.settings.quorum(replication)
	if err != nil || place == "" {
		return err
	}
	return m.notePlace(ctx, place)
}

// notePlace notes where all processes agree, for those that open the keyspace, in each
// data centre. A place that is noted stays.
func (m *migration) notePlace(ctx context.Context, place string) error {
	decide := func(cql string, args ...any) (applied bool, noted string, err error) {
		found := map[string]any{}
		applied, err = m.session.Query(cql, args...).WithContext(ctx).Consistency(gocql.EachQuorum).MapScanCAS(found)
		noted, _ = found["place"].(string)
		return applied, noted, err
	}
	// What is noted is written again: an earlier migration may not have come far.
	done, noted, err := decide(`UPDATE agreement SET place = ? WHERE one = 0 IF place = ?`, place, place)
	if err == nil && !done {
		done, noted, err = decide(`INSERT INTO agreement (one, place) VALUES (0, ?) IF NOT EXISTS`, place)
	}
	if err != nil || done {
		return err
	}
	return m.settings.elsewhere(noted, place)
}

// checkPlace refuses to open a keyspace whose other processes agree elsewhere: two could
// get the same lease, or make two posts of one key.
func (s *Store) checkPlace(ctx context.Context) error {
	_, replication, err := s.settings.replication(ctx, s.session)
	if err != nil {
		return explain(s.settings, err)
	}
	_, place, err := s.settings.quorum(replication)
	if err != nil || place == "" {
		return err
	}
	return s.comparePlace(ctx, place)
}

func (s *Store) comparePlace(ctx context.Context, place string) error {
	var noted string
	err := s.read(ctx, `SELECT place FROM agreement WHERE one = 0`).Scan(&noted)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return explain(s.settings, err)
	}
	if noted != place {
		return s.settings.elsewhere(noted, place)
	}
	return nil
}

// elsewhere says what to do about a place that is not the one that is noted.
func (s settings) elsewhere(noted, place string) error {
	option := func(place string) string {
		if place == everywhere {
			return "consistency=quorum"
		}
		return "datacenter=" + place
	}
	if noted == "" {
		return fmt.Errorf("%s: it is not noted in which of its data centres the processes of keyspace %q agree (run: skein migrate, with the URL that all of them have)", engine, s.keyspace)
	}
	return fmt.Errorf("%s: the processes of keyspace %q agree with ?%s, and would not with this one's ?%s (correct the URL; to change it for all stop all, repair the keyspace, TRUNCATE its table agreement, and run: skein migrate)",
		engine, s.keyspace, option(noted), option(place))
}
