package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"skein/feed/policy"
)

// oldestServer is the oldest PostgreSQL that is tested: server_version_num of 14.0.
const oldestServer = 140000

// checkVersion refuses a server that is too old.
func (s *Store) checkVersion(ctx context.Context) error {
	var version int
	if err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	return compareVersion(version)
}

func compareVersion(version int) error {
	if version < oldestServer {
		return fmt.Errorf("PostgreSQL has version %d, %d is the oldest that will do (upgrade the server)", version/10000, oldestServer/10000)
	}
	return nil
}

// CheckDurability asks the server for the settings that W2 rests on. Those that
// may lose an acknowledged post are an error that names them, or a warning with
// Options.AllowWeak. Open calls it; settings may change later.
func (s *Store) CheckDurability(ctx context.Context) error {
	var fsync, pages, commit, standbys string
	err := s.pool.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('synchronous_standby_names')`).
		Scan(&fsync, &pages, &commit, &standbys)
	if err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	var weak []string
	for _, setting := range []struct{ name, value string }{
		{"fsync", fsync}, {"full_page_writes", pages}, {"synchronous_commit", commit},
	} {
		if setting.value == "off" {
			weak = append(weak, setting.name)
		}
	}
	switch {
	case len(weak) > 0 && !s.opts.AllowWeak:
		return fmt.Errorf("PostgreSQL may lose acknowledged posts: set to on: %s", strings.Join(weak, ", "))
	case len(weak) > 0:
		s.opts.Logger.Warn("POSTGRESQL MAY LOSE ACKNOWLEDGED POSTS; this was allowed", "off", weak)
	}
	switch {
	case standbys == "":
		s.opts.Logger.Warn("PostgreSQL has no synchronous standby: acknowledged posts are safe on one server, and a failover may lose the last of them")
	case commit == "local":
		s.opts.Logger.Warn("PostgreSQL has synchronous standbys and does not wait for them (synchronous_commit=local): a failover may lose acknowledged posts", "standbys", standbys)
	default:
		s.opts.Logger.Info("PostgreSQL waits for its synchronous standbys", "standbys", standbys, "synchronous_commit", commit)
	}
	return nil
}

// checkClock compares the clocks. Ids are given out by this process's and judged
// by the server's, so that with clocks far apart every id would be late, or no
// grant would reach it. What a post could be missed by is looked at again with each
// OldestEvent.
func (s *Store) checkClock(ctx context.Context) error {
	var server time.Time
	before := s.opts.Clock()
	if err := s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&server); err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	after := s.opts.Clock()
	// The server answered between the two, so this much at least is apart.
	apart := max(before.Sub(server), server.Sub(after))
	if apart > policy.MaxSkew {
		return fmt.Errorf("the clocks of this machine and of PostgreSQL are %v apart, %v is the most (synchronise them, with NTP say)", apart.Round(time.Millisecond), policy.MaxSkew)
	}
	return nil
}
