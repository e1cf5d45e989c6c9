// Package servers fetches and starts the engines of Skein, PostgreSQL, Redis,
// Kafka and Cassandra, as plain processes on 127.0.0.1: no containers, no root, nothing
// installed on the system. Tests kill, pause and restart them; the command
// deploy/local keeps them running for a developer. It is not for production:
// one node each (or a [Cluster] of Redis, a [Ring] of Cassandra), no passwords, and it
// knows nothing of schemas and topics.
//
// What the PATH offers is used (of PostgreSQL also what lies under
// /usr/lib/postgresql); what it lacks is fetched once into a cache folder, see
// [DefaultCache]. Kafka and Cassandra are always fetched, and need a
// Java and a Maven. An
// engine that cannot be had is a [*MissingError], so that a test can skip.
//
// A server has one folder. In it lie its data, its log, and server.json, which
// tells where it listens and which process it is; [Open] finds it again by that.
package servers

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
)

// The engines that this package knows, as [Spec] and [Server.Name] say them.
const (
	Postgres  = "postgres"
	Redis     = "redis"
	Kafka     = "kafka"
	Cassandra = "cassandra"
)

// The names of a [Cluster] and of a [Ring], which are no engines of a [Spec].
const (
	RedisCluster     = "redis-cluster"
	CassandraCluster = "cassandra-cluster"
)

// redisNodeName is the engine of one server of a cluster.
const redisNodeName = "redis-node"

// Spec says which server to start, where, and how.
type Spec struct {
	// Engine is one of the constants above.
	Engine string
	// Cache is where fetched engines are kept; "" means [DefaultCache].
	Cache string
	// Dir is the server's own folder. It is made when it is not there. A server
	// that ran in it before goes on with its data and, if it can, its port.
	Dir string
	// Args are added to Redis's command line, and override what is there.
	Args []string
	// NoSync lets PostgreSQL and Cassandra acknowledge what is not yet on the disk. Whatever
	// is measured or killed must not set it.
	NoSync bool
	// Brief has Kafka and Cassandra compile quickly rather than well, which takes about half
	// of Cassandra's processor time in its first minutes, and of Kafka's at its start.
	// Whatever is measured must not set it.
	Brief bool
	// Node is which node of a Cassandra cluster this is, from 1; 0 is one that is alone.
	// It listens on 127.0.0.Node. Those above 1 join the first, whose Ports they must share.
	Node int
	// Ports, unless empty, are the only ones to use.
	Ports []int
	// Detached servers outlive the process that started them. Others are killed
	// with it, on Linux even when it crashes.
	Detached bool
}

// host is where the server listens.
func (s Spec) host() string { return fmt.Sprintf("127.0.0.%d", max(1, s.Node)) }

// address is a port of the server's host.
func (s Spec) address(port int) string { return net.JoinHostPort(s.host(), strconv.Itoa(port)) }

// Option changes a Spec.
type Option func(*Spec)

// NoSync sets [Spec.NoSync].
func NoSync() Option { return func(s *Spec) { s.NoSync = true } }

// Brief sets [Spec.Brief].
func Brief() Option { return func(s *Spec) { s.Brief = true } }

// StartPostgres starts PostgreSQL with an empty database skein, of a user skein
// who may do all, as durable as in production unless [NoSync] is given. Started
// by root it runs as another user, who then owns its data.
func StartPostgres(ctx context.Context, cache, dir string, options ...Option) (*Server, error) {
	return startWith(ctx, Spec{Engine: Postgres, Cache: cache, Dir: dir}, options)
}

// StartRedis starts one Redis that keeps nothing on the disk, unless args say
// otherwise ("--appendonly", "yes"). A dump.rdb in its data folder is loaded.
func StartRedis(ctx context.Context, cache, dir string, args ...string) (*Server, error) {
	return Start(ctx, Spec{Engine: Redis, Cache: cache, Dir: dir, Args: args})
}

// StartKafka starts one Kafka, broker and controller in one process. Topics are
// not made by themselves.
func StartKafka(ctx context.Context, cache, dir string, options ...Option) (*Server, error) {
	return startWith(ctx, Spec{Engine: Kafka, Cache: cache, Dir: dir}, options)
}

func startWith(ctx context.Context, spec Spec, options []Option) (*Server, error) {
	for _, option := range options {
		option(&spec)
	}
	return Start(ctx, spec)
}

// Start starts what spec says and returns when it answers. It is an error if a
// server runs in that folder already. After an error nothing runs; the error is
// one line that names the engine and, if its program ran, its log.
func Start(ctx context.Context, spec Spec) (*Server, error) {
	if unwanted() {
		return nil, &MissingError{spec.Engine, noServers + " is none", "unset it, or run make test"}
	}
	s, err := newServer(spec)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, false); err != nil {
		return nil, err
	}
	return s, nil
}

// Open returns the server whose folder is dir, running or not; os.ErrNotExist
// if none ever ran there.
func Open(dir string) (*Server, error) {
	r, err := readRecord(dir)
	if err != nil {
		return nil, fmt.Errorf("no server in %s: %w", dir, err)
	}
	r.Spec.Dir = dir // it may have been moved
	s, err := newServer(r.Spec)
	if err != nil {
		return nil, err
	}
	s.adopt(r)
	return s, nil
}

func newServer(spec Spec) (*Server, error) {
	kind, ok := engines[spec.Engine]
	if !ok {
		return nil, fmt.Errorf("no engine is called %q", spec.Engine)
	}
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, err
	}
	spec.Dir = dir
	if spec.Cache == "" {
		if spec.Cache, err = DefaultCache(); err != nil {
			return nil, err
		}
	}
	if spec.Cache, err = filepath.Abs(spec.Cache); err != nil {
		return nil, err
	}
	return &Server{spec: spec, engine: kind}, nil
}
