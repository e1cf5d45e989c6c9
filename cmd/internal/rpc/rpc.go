// Package rpc makes the gRPC server around the API: codec, interceptors, health and
// reflection, and the bounds of everything that clients can pile up: connections,
// headers, requests that are coming in, calls in work, replies that nobody reads. It is
// here, and not in the one program that serves, so that what is measured is what is
// served. It does not choose an address, and knows nothing of feeds.
package rpc

import (
	"cmp"
	"log/slog"
	"net"
	"strings"
	"time"

	grpcprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"skein/feed/server"
)

const (
	// maxMessage is the largest request that is read: somewhat more than a message of
	// 10,000 follows, the largest that is legal. A request takes memory before anybody
	// can refuse it.
	maxMessage = 256 << 10
	// maxHeaders bounds the headers of a call, in bytes as HTTP/2 counts them.
	maxHeaders = 8 << 10
	// readWithin is how long a request may take to come in, and a reply to be taken,
	// while others are kept out.
	readWithin = 10 * time.Second
	// silence is how long a stream waits for the next message of its client.
	silence = time.Minute
	// untakenBytes and untakenEach bound the replies that wait for their clients, of
	// all connections and of one: far more than wait for clients that read.
	untakenBytes, untakenEach = 512 << 20, 32 << 20
	// streamWindow and connectionWindow bound what comes in of a stream and of a
	// connection before it is read. Without them they grow to 16 MiB.
	streamWindow, connectionWindow = 512 << 10, 1 << 20
	// maxStreams bounds the calls of one connection that are read at once.
	maxStreams = 250
	// goneAfter is when a silent client is asked whether it is there, and goneWithin
	// how long it has to answer, as to say its first word: those that vanished shall
	// not count as connections, nor, for longer than idleFor, those that call nothing.
	goneAfter, goneWithin, idleFor = time.Minute, 20 * time.Second, 15 * time.Minute
	// streamWorkers is how many goroutines wait for calls. What they save is the
	// growth of a new goroutine's stack, 7 % of a read; calls beyond them get a
	// goroutine each.
	streamWorkers = 64
)

// apiPrefix begins the names of our own services and their methods.
const apiPrefix = "feed.v1."

// Config says how to serve.
type Config struct {
	// MaxInFlight bounds the calls of the API in work at once, and as many whose
	// requests are still coming in; at least 1.
	MaxInFlight int
	// MaxConnections bounds the connections, and twice that the calls of health and
	// reflection; at least 1.
	MaxConnections int
	// ReadWithin is how long a request may take to come in, and a reply to be taken,
	// while others are kept out: 10 s by default.
	ReadWithin time.Duration
	// NoReflection leaves clients that ask what the API is without an answer.
	NoReflection bool

	// For the constants of these names, if 0.
	untakenBytes, untakenEach int
	silence                   time.Duration
}

// API is what is served: a *server.Server as a rule.
type API interface {
	// Register adds the services to a gRPC server.
	Register(grpc.ServiceRegistrar)
}

// Server is a gRPC server whose connections are bounded.
type Server struct {
	*grpc.Server
	connections *connections
	untaken     *untaken
}

// Serve is that of grpc.Server. The Server closes l.
func (s *Server) Serve(l net.Listener) error {
	return s.Server.Serve(listener{l, s.connections})
}

// New makes the gRPC server with the API, health (NOT_SERVING until resumed)
// and reflection on it. First the bound of requests that are coming in, whose refusals
// no metric counts. Interceptors, from the outside in: metrics see the codes that
// clients see; errors become codes; then what clients leave unread, and the calls in
// work, whose refusals are errors like others.
func New(config Config, api API, registry prometheus.Registerer, log *slog.Logger) (*Server, *health.Server) {
	metrics := grpcprometheus.NewServerMetrics(grpcprometheus.WithServerHandlingTimeHistogram())
	registry.MustRegister(metrics)
	config.ReadWithin = cmp.Or(config.ReadWithin, readWithin)
	gates := newGates(config)
	untaken := newUntaken(cmp.Or(config.untakenBytes, untakenBytes), cmp.Or(config.untakenEach, untakenEach), config.ReadWithin)
	rpc := grpc.NewServer(
		grpc.InTapHandle(gates.tap),
		grpc.ForceServerCodecV2(encodedCodec{server.Codec()}),
		// Stop returns when nothing uses the engines any more.
		grpc.WaitForHandlers(true),
		grpc.ChainUnaryInterceptor(arrivedUnary, metrics.UnaryServerInterceptor(), server.UnaryErrors(log), untakenUnary, gates.unary),
		grpc.ChainStreamInterceptor(arrivedStream, metrics.StreamServerInterceptor(), server.StreamErrors(log), gates.stream),
		// Clients behind a load balancer ping to keep their connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleFor, Time: goneAfter, Timeout: goneWithin}),
		grpc.ConnectionTimeout(goneWithin),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.NumStreamWorkers(streamWorkers),
	)
	api.Register(rpc)
	status := health.NewServer()
	for service := range rpc.GetServiceInfo() {
		if strings.HasPrefix(service, apiPrefix) {
			status.SetServingStatus(service, healthv1.HealthCheckResponse_NOT_SERVING)
		}
	}
	status.Shutdown() // until the caller resumes it
	healthv1.RegisterHealthServer(rpc, status)
	if !config.NoReflection {
		reflection.Register(rpc)
	}
	metrics.InitializeMetrics(rpc)
	return &Server{rpc, newConnections(config.MaxConnections, untaken, registry, log), untaken}, status
}
