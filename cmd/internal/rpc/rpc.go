// Package rpc makes the gRPC server around the API: codec, interceptors, the
// limit of calls in work, health and reflection. It is here, and not in the one
// program that serves, so that what is measured is what is served. It does not
// listen.
package rpc

import (
	"cmp"
	"log/slog"
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
	// readWithin is how long a request may take to come in while others are kept out.
	readWithin = 10 * time.Second
	// maxStreams bounds the calls of one connection that are read at once.
	maxStreams = 250
	// goneAfter is when a silent client is asked whether it is there, and goneWithin
	// how long it has to answer, as to say its first word: those that vanished shall
	// not count as connections.
	goneAfter, goneWithin = time.Minute, 20 * time.Second
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
	// ReadWithin is how long a request may take to come in while others are kept out:
	// 10 s by default.
	ReadWithin time.Duration
	// NoReflection leaves clients that ask what the API is without an answer.
	NoReflection bool
}

// API is what is served: a *server.Server as a rule.
type API interface {
	// Register adds the services to a gRPC server.
	Register(grpc.ServiceRegistrar)
}

// New makes the gRPC server with the API, health (NOT_SERVING until resumed)
// and reflection on it. First the bound of requests that are coming in, whose refusals
// no metric counts. Interceptors, from the outside in: metrics see the codes that
// clients see; errors become codes; then replies are counted for connections of
// a Connections; then the limit, whose refusal is an error like others.
func New(config Config, api API, registry prometheus.Registerer, log *slog.Logger) (*grpc.Server, *health.Server) {
	metrics := grpcprometheus.NewServerMetrics(grpcprometheus.WithServerHandlingTimeHistogram())
	registry.MustRegister(metrics)
	inFlight, streams := newLimit(config.MaxInFlight), newLimit(max(1, config.MaxInFlight/streamShare))
	unread := newUnread(config.MaxInFlight, cmp.Or(config.ReadWithin, readWithin))
	rpc := grpc.NewServer(
		grpc.InTapHandle(unread.tap),
		grpc.ForceServerCodecV2(countingCodec{server.Codec()}),
		// Stop returns when nothing uses the engines any more.
		grpc.WaitForHandlers(true),
		grpc.ChainUnaryInterceptor(readUnary, metrics.UnaryServerInterceptor(), server.UnaryErrors(log), heldUnary, inFlight.unary),
		grpc.ChainStreamInterceptor(readStream, metrics.StreamServerInterceptor(), server.StreamErrors(log), inFlight.stream, streams.stream),
		// Clients behind a load balancer ping to keep their connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(goneWithin),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: goneAfter, Timeout: goneWithin}),
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
	return rpc, status
}
