package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

// readyWithin is how long a server that can be connected to may take to answer its
// first call.
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

// dial connects to every target and returns when each has answered a call, or at
// once when one does not let itself be connected to.
func dial(ctx context.Context, targets []string) (*fleet, error) {
	f := &fleet{}
	// gRPC keeps to itself why it has no connection.
	var reason atomic.Pointer[error]
	dialer := func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			reason.Store(&err)
		}
		return c, err
	}
	for _, address := range targets {
		conn, err := grpc.NewClient(address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(dialer),
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
		_, err := s.graph.GetUser(ctx, &feedv1.GetUserRequest{Id: 1})
		if err == nil || status.Code(err) == codes.NotFound {
			continue
		}
		f.close()
		return nil, errors.New(unanswered(s.address, status.Convert(err), reason.Load()))
	}
	return f, nil
}

// unanswered says why the first call of a target failed, and what to do.
func unanswered(address string, answer *status.Status, reason *error) string {
	const advice = "start one with `skein serve`, or name it with --target"
	switch {
	case answer.Code() == codes.DeadlineExceeded:
		return fmt.Sprintf("the server at %s does not answer; see whether it hangs or is overloaded, or %s", address, advice)
	case answer.Code() != codes.Unavailable:
		return fmt.Sprintf("what is at %s is no skein, or of another version: %s", address, answer.Message())
	case reason != nil:
		return fmt.Sprintf("there is no server at %s: %v; %s", address, *reason, advice)
	}
	return fmt.Sprintf("no server answers at %s; %s", address, advice)
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
