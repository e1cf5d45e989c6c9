package engines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	embeddedlog "skein/fanout/eventlog/embedded"
	"skein/fanout/eventlog/kafka"
	"skein/storage"
	"skein/storage/cassandra"
	embeddedstorage "skein/storage/embedded"
	"skein/storage/postgres"
	"skein/timeline/memory"
	"skein/timeline/redis"
)

// store is an engine that can keep posts and the graph, as all of them can.
type store interface {
	storage.Posts
	storage.Graph
	io.Closer
}

// openStorage opens what keeps posts and graph: one engine when both have the same
// URL.
func (s *Set) openStorage(ctx context.Context, c Config, o Options) error {
	graph, err := s.openStore(ctx, c.Graph, c, o)
	if err != nil {
		return err
	}
	posts := graph
	if c.Posts != c.Graph {
		if posts, err = s.openStore(ctx, c.Posts, c, o); err != nil {
			return err
		}
	}
	s.Posts, s.Graph = posts, graph
	return nil
}

func (s *Set) openStore(ctx context.Context, url string, c Config, o Options) (store, error) {
	switch Scheme(url) {
	case nameCassandra:
		db, err := cassandra.Open(ctx, url, cassandra.Options{Clock: o.Clock, Logger: o.Logger, AllowWeak: c.AllowWeak})
		if err != nil {
			return nil, err
		}
		return opened(s, db), nil
	case namePostgres:
		db, err := postgres.Open(ctx, url, postgres.Options{Clock: o.Clock, Logger: o.Logger, AllowWeak: c.AllowWeak})
		if err != nil {
			return nil, err
		}
		return opened(s, db), nil
	}
	local, err := embeddedstorage.Open(filepath.Join(c.DataDir, storageFolder),
		embeddedstorage.Options{Clock: o.Clock, Logger: o.Logger, OnFatal: o.OnFatal})
	if err != nil {
		return nil, err
	}
	s.localStorage = opened(s, local)
	s.checkpoints = append(s.checkpoints, checkpoint{storageFolder, local.Checkpoint})
	return local, checkIdentity(ctx, local, c.DataDir)
}

func (s *Set) openLog(ctx context.Context, c Config, o Options) error {
	s.topic = o.Topics[0].Name
	if c.Log != nameEmbedded {
		log, err := kafka.Open(ctx, c.Log, o.Topics, kafka.Options{Clock: o.Clock, Logger: o.Logger, AllowWeak: c.AllowWeak})
		if err != nil {
			return err
		}
		s.Log = opened(s, log)
		return s.checkLogName(ctx, c.Log)
	}
	log, err := embeddedlog.Open(filepath.Join(c.DataDir, logFolder), o.Topics,
		embeddedlog.Options{Clock: o.Clock, Logger: o.Logger, OnFatal: o.OnFatal})
	if err != nil {
		return err
	}
	s.localLog = opened(s, log)
	s.Log = log
	s.checkpoints = append(s.checkpoints, checkpoint{logFolder, log.Checkpoint})
	return nil
}

// checkLogName refuses a log that is not the one of this storage: its events would go
// where nobody delivers them. Storage on a server that has named none was not migrated
// to the end, or with another log.
func (s *Set) checkLogName(ctx context.Context, url string) error {
	if s.Graph == nil {
		return nil
	}
	known, err := s.Graph.LogName(ctx)
	if err != nil {
		return err
	}
	if known == "" {
		if _, local := s.Graph.(*embeddedstorage.Store); local {
			return nil // one process, which has one log
		}
		return errors.New("this storage knows no event log yet; run: skein migrate")
	}
	name, err := kafka.Name(ctx, url)
	if err != nil {
		return err
	}
	if name != known {
		return fmt.Errorf("the event log at %s is %s, and this storage's posts go to %s: correct --log; or, to move to this one, stop all processes and run: skein migrate", url, name, known)
	}
	return nil
}

func (s *Set) openTimelines(ctx context.Context, c Config, o Options) error {
	if c.Timelines == nameMemory {
		s.Timelines = opened(s, memory.New(memory.Options{
			MaxBytes: int64(c.TimelineBytes), Idle: c.TimelineIdle, Clock: o.Clock,
		}))
		return nil
	}
	timelines, err := redis.Open(ctx, c.Timelines, redis.Options{Idle: c.TimelineIdle, Logger: o.Logger})
	if err != nil {
		return err
	}
	s.Timelines = opened(s, timelines)
	return nil
}
