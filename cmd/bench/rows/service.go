package rows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skein/cmd/internal/rpc"
	"skein/fanout"
	"skein/fanout/eventlog"
	"skein/feed/server"
)

const (
	// connections is how many a row's clients share.
	connections = 8
	// maxInFlight is skein's default.
	maxInFlight = 1024
	// patience is how long set-up waits for anything.
	patience = 2 * time.Minute
)

// endpoint is a gRPC server on loopback, with skein's interceptors, and
// connections to it.
type endpoint struct {
	server *rpc.Server
	served chan error
	conns  []*grpc.ClientConn
}

// listen serves api on a free port.
func listen(api rpc.API, registry prometheus.Registerer, log *slog.Logger) (*endpoint, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	grpcServer, _ := rpc.New(rpc.Config{MaxInFlight: maxInFlight, MaxConnections: 2 * connections}, api, registry, log)
	e := &endpoint{server: grpcServer, served: make(chan error, 1)}
	go func() { e.served <- grpcServer.Serve(listener) }()
	for range connections {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.conns = append(e.conns, conn)
	}
	return e, nil
}

// conn is the connection of a client.
func (e *endpoint) conn(client int) *grpc.ClientConn { return e.conns[client%len(e.conns)] }

func (e *endpoint) close() error {
	var errs []error
	for _, conn := range e.conns {
		errs = append(errs, conn.Close())
	}
	e.server.Stop()
	return errors.Join(append(errs, <-e.served)...)
}

// service is all of skein but its process: fan-out and API over stores.
type service struct {
	*endpoint
	stores *stores
	fanout *fanout.Fanout
	api    *server.Server
}

// serve starts a service on the stores.
func (s *stores) serve(ctx context.Context) (*service, error) {
	registry := prometheus.NewRegistry()
	f, err := s.fanOut(func(c *fanout.Config) { c.Registerer = registry })
	if err != nil {
		return nil, err
	}
	api, err := server.New(ctx, server.Config{
		Posts: s.Posts, Graph: s.Graph, Timelines: s.Timelines, Fanout: f,
		Tiers: s.tiers, Clock: time.Now, Logger: s.bench.Log, Registerer: registry,
	})
	if err != nil {
		return nil, err
	}
	v := &service{stores: s, fanout: f, api: api}
	if err := f.Start(); err != nil {
		return nil, errors.Join(err, v.close())
	}
	if v.endpoint, err = listen(api, registry, s.bench.Log); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

func (v *service) close() (err error) {
	if v.endpoint != nil {
		err = v.endpoint.close()
	}
	err = errors.Join(err, v.fanout.Stop(context.Background()))
	v.api.Close()
	return err
}

// settle waits until all events are delivered, and committed.
func (v *service) settle(ctx context.Context) error {
	if err := v.stores.relayed(ctx); err != nil {
		return err
	}
	for _, topic := range fanout.Topics() { // what flows, flows in this order
		if topic.Kept {
			continue
		}
		err := until(ctx, "the delivery of all posts", func() (bool, error) {
			pending, err := v.stores.Log.Pending(ctx, fanout.Group, topic.Name)
			return !slices.ContainsFunc(pending, func(p eventlog.Pending) bool { return p.Count > 0 }), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until waits for a condition of set-up. Nothing that is measured ends by it.
func until(ctx context.Context, what string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := condition(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}
