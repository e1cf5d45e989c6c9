package loadgen

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

// readyWithin is how long a server may take to answer its first call.
const readyWithin = 10 * time.Second

// reconnect makes a server that was started again be noticed at once; gRPC's own
// pauses grow to minutes, and would be measured as failing calls.
var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

// server is one target.
type server struct {
	address   string
	conn      *grpc.ClientConn
	posts     feedv1.PostServiceClient
	graph     feedv1.GraphServiceClient
	timelines feedv1.TimelineServiceClient
}

// fleet is all targets. It is safe for concurrent use.
type fleet struct {
	servers []server
	turn    atomic.Uint64
}

// dial connects to every target and waits until each has answered a call.
func dial(ctx context.Context, targets []string) (*fleet, error) {
	f := &fleet{}
	for _, address := range targets {
		conn, err := grpc.NewClient(address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: readyWithin}))
		if err != nil {
			f.close()
			return nil, fmt.Errorf("%w: --target %s: %w", ErrConfig, address, err)
		}
		f.servers = append(f.servers, server{
			address: address, conn: conn,
			posts:     feedv1.NewPostServiceClient(conn),
			graph:     feedv1.NewGraphServiceClient(conn),
			timelines: feedv1.NewTimelineServiceClient(conn),
		})
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, s := range f.servers {
		_, err := s.graph.GetUser(ctx, &feedv1.GetUserRequest{Id: 1}, grpc.WaitForReady(true))
		if err != nil && status.Code(err) != codes.NotFound {
			f.close()
			return nil, fmt.Errorf("no server answers at %s (%w); start one with `skein serve`, or name it with --target",
				s.address, err)
		}
	}
	return f, nil
}

// next returns the servers in turn.
func (f *fleet) next() *server {
	return &f.servers[f.turn.Add(1)%uint64(len(f.servers))]
}

func (f *fleet) close() {
	for _, s := range f.servers {
		_ = s.conn.Close() // nothing is left to be sent
	}
}
