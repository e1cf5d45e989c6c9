package terminal

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	feedv1 "skein/proto/feed/v1"
)

// server is a connection to a running server, that was up when it was made.
type server struct {
	connection *grpc.ClientConn
	posts      feedv1.PostServiceClient
	graph      feedv1.GraphServiceClient
	timelines  feedv1.TimelineServiceClient
}

// connect connects at once, rather than with the first call, so that a server
// that is not there can be told from one that cannot do what it is asked. The
// caller closes the server.
func (o *options) connect(parent context.Context) (*server, error) {
	ctx, cancel := context.WithTimeout(parent, o.timeout)
	defer cancel()
	// gRPC keeps to itself why it has no connection.
	var reason atomic.Pointer[error]
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			reason.Store(&err)
		}
		return c, err
	}
	connection, err := grpc.NewClient("passthrough:///"+o.target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial))
	if err != nil {
		return nil, fmt.Errorf("cannot use the target %q: %w", o.target, err)
	}
	connection.Connect()
	for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
		if state != connectivity.TransientFailure && connection.WaitForStateChange(ctx, state) {
			continue
		}
		_ = connection.Close() // there is none
		return nil, o.unreachable(ctx, reason.Load())
	}
	return &server{
		connection: connection,
		posts:      feedv1.NewPostServiceClient(connection),
		graph:      feedv1.NewGraphServiceClient(connection),
		timelines:  feedv1.NewTimelineServiceClient(connection),
	}, nil
}

func (s *server) close() { _ = s.connection.Close() } // nothing is in work any more

// unreachable says why there is no connection; reason is nil when something
// took the call and then said nothing that gRPC understands.
func (o *options) unreachable(ctx context.Context, reason *error) *Failure {
	f := &Failure{
		What:   fmt.Sprintf("there is no server at %s", o.target),
		Advice: []string{"Start one with `skein serve`, or name another with --target or SKEIN_TARGET."},
	}
	switch {
	case reason != nil:
		f.What += ": " + (*reason).Error()
	case ctx.Err() != nil:
		f.What += fmt.Sprintf(": no answer within %s", o.timeout)
	default:
		f.What += " that speaks gRPC; is it the port of the metrics?"
	}
	return f
}
