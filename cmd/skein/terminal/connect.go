package terminal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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

// line is the way to a server. gRPC keeps to itself what became of it. It is safe
// for concurrent use.
type line struct {
	refused atomic.Pointer[error] // why nothing took the call, the last time
	taken   atomic.Bool           // something took it
	heard   atomic.Bool           // something was said there
	broken  atomic.Bool           // it ended, and not by us
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		l.refused.Store(&err)
		return nil, err
	}
	l.taken.Store(true)
	return lineConn{c, l}, nil
}

// lineConn is a connection of a line.
type lineConn struct {
	net.Conn
	line *line
}

func (c lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.line.heard.Store(true)
	}
	c.failed(err)
	return n, err
}

func (c lineConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.failed(err)
	return n, err
}

func (c lineConn) failed(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.line.broken.Store(true)
	}
}

// connect connects at once, rather than with the first call, so that a server
// that is not there can be told from one that cannot do what it is asked. The
// caller closes the server.
func (o *options) connect(parent context.Context) (*server, error) {
	ctx, cancel := context.WithTimeout(parent, o.timeout)
	defer cancel()
	o.line = &line{}
	connection, err := grpc.NewClient("passthrough:///"+o.target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(o.line.dial))
	if err != nil {
		return nil, fmt.Errorf("cannot use the target %q: %w", o.target, err)
	}
	connection.Connect()
	for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
		if state != connectivity.TransientFailure && connection.WaitForStateChange(ctx, state) {
			continue
		}
		_ = connection.Close() // there is none
		return nil, o.unreachable(ctx)
	}
	return &server{
		connection: connection,
		posts:      feedv1.NewPostServiceClient(connection),
		graph:      feedv1.NewGraphServiceClient(connection),
		timelines:  feedv1.NewTimelineServiceClient(connection),
	}, nil
}

func (s *server) close() { _ = s.connection.Close() } // nothing is in work any more

// unreachable says why there is no connection. Nothing was asked for yet.
func (o *options) unreachable(ctx context.Context) *Failure {
	refused, silent := o.line.refused.Load(), !o.line.heard.Load()
	switch {
	case refused == nil && o.line.taken.Load() && silent && ctx.Err() != nil:
		return &Failure{
			What:   fmt.Sprintf("%s accepts connections, but does not answer within %s; nothing was sent", o.target, o.timeout),
			Advice: []string{"See whether the server there hangs or is overloaded, or give it longer with --timeout."},
		}
	case refused == nil && o.line.broken.Load() && silent:
		return &Failure{
			What:   fmt.Sprintf("the connection to %s broke before the server said anything; nothing was sent", o.target),
			Advice: []string{"See whether the server still runs, or has as many connections as it takes (--max-connections), and try again."},
		}
	}
	f := &Failure{
		What:   fmt.Sprintf("there is no server at %s", o.target),
		Advice: []string{"Start one with `skein serve`, or name another with --target or SKEIN_TARGET."},
	}
	switch {
	case refused != nil:
		f.What += ": " + (*refused).Error()
	case ctx.Err() != nil:
		f.What += fmt.Sprintf(": no answer within %s", o.timeout)
	default:
		f.What += " that speaks gRPC; is it the port of the metrics?"
	}
	return f
}
