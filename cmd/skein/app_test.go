package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"skein/cmd/internal/rpc"
	feedv1 "skein/proto/feed/v1"
)

// running is an App in this process.
type running struct {
	*App
	stop  context.CancelFunc
	ended chan struct{}
	err   error // of Run and Close, once ended
}

func run(t *testing.T, change func(*Config)) *running {
	t.Helper()
	config := DefaultConfig()
	config.Engines.DataDir = t.TempDir()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	change(&config)
	app, err := New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{App: app, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = errors.Join(app.Run(ctx), app.Close())
	}()
	t.Cleanup(func() { stop(); <-r.ended })
	return r
}

// result waits for the end of Run and Close.
func (r *running) result(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(patience):
		t.Fatal("the App did not end")
		return nil
	}
}

// The call in work ends well during a drain, health says NOT_SERVING, and
// nothing is left behind: no goroutine, no lock, no address file.
func TestDrain(t *testing.T) {
	before := goleak.IgnoreCurrent()
	addresses := filepath.Join(t.TempDir(), "addresses")
	app := run(t, func(c *Config) { c.AddressFile = addresses })
	connection := dial(t, app.Addresses().GRPC)
	ctx := withDeadline(t)
	health := healthv1.NewHealthClient(connection)
	watch, err := health.Watch(ctx, &healthv1.HealthCheckRequest{Service: "feed.v1.TimelineService"})
	if err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, watch, healthv1.HealthCheckResponse_SERVING)
	eventually(t, "address file", func() bool { _, err := os.Stat(addresses); return err == nil })

	stream, err := feedv1.NewGraphServiceClient(connection).ImportFollows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 2)); err != nil {
		t.Fatal(err)
	}
	awaitImport(t, app.Addresses().Metrics)
	app.stop()
	awaitHealth(t, watch, healthv1.HealthCheckResponse_NOT_SERVING)
	if err := watch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 3)); err != nil {
		t.Fatal(err)
	}
	if got, err := stream.CloseAndRecv(); err != nil || got.GetAdded() != 2 {
		t.Errorf("the call in work when the drain began: %v (%v), want 2 added", got, err)
	}
	connection.Close() // ends the watch
	if err := app.result(t); err != nil {
		t.Errorf("drain: %v", err)
	}
	if _, err := os.Stat(addresses); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the address file is left behind (%v)", err)
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	again := run(t, func(c *Config) { c.Engines.DataDir = app.config.Engines.DataDir })
	again.stop()
	if err := again.result(t); err != nil {
		t.Errorf("the second run on the same data: %v", err)
	}
}

func awaitHealth(t *testing.T, watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for {
		answer, err := watch.Recv()
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		if answer.GetStatus() == want {
			return
		}
	}
}

// A client that does not end its call holds a drain up for so long and no
// longer.
func TestDrainEnds(t *testing.T) {
	app := run(t, func(c *Config) { c.Drain = 200 * time.Millisecond })
	stream, err := feedv1.NewGraphServiceClient(dial(t, app.Addresses().GRPC)).ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 2)); err != nil {
		t.Fatal(err)
	}
	awaitImport(t, app.Addresses().Metrics)
	app.stop()
	if err := app.result(t); err != nil {
		t.Errorf("drain: %v", err)
	}
	if _, err := stream.CloseAndRecv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the call that was cut off: %v, want UNAVAILABLE", err)
	}
}

// One connection too many is closed, and the person at it hears why it may be.
func TestConnectionLimit(t *testing.T) {
	app := run(t, func(c *Config) { c.MaxConnections = 1 })
	target := app.Addresses().GRPC
	first := dial(t, target)
	if _, err := healthv1.NewHealthClient(first).Check(withDeadline(t), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	code, stderr := command(t, "user", "1", "--target", target).exit(t)
	if code != exitError || !strings.Contains(stderr, "--max-connections") {
		t.Errorf("a second connection: exit %d, %q", code, stderr)
	}
}

// Connections leave files for the engines.
func TestConnectionsLeaveFiles(t *testing.T) {
	for files, want := range map[uint64]int{1 << 20: 1000, engineFiles + 1000: 1000, engineFiles + 999: 1000, 1024: 341, 64: 21, 2: 1} {
		if got := connectionsWithin(files, 1000); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	app := run(t, func(c *Config) { c.MaxInFlight = 1 })
	connection := dial(t, app.Addresses().GRPC)
	ctx := withDeadline(t)
	graph := feedv1.NewGraphServiceClient(connection)
	stream, err := graph.ImportFollows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 2)); err != nil {
		t.Fatal(err)
	}
	awaitImport(t, app.Addresses().Metrics)
	_, err = graph.CreateUser(ctx, &feedv1.CreateUserRequest{})
	refused := status.Convert(err)
	if refused.Code() != codes.ResourceExhausted {
		t.Errorf("one call too many: %v, want RESOURCE_EXHAUSTED", err)
	}
	var retry *errdetails.RetryInfo
	for _, detail := range refused.Details() {
		retry, _ = detail.(*errdetails.RetryInfo)
	}
	if got := retry.GetRetryDelay().AsDuration(); got != rpc.RetryAfter {
		t.Errorf("asked to wait %s, want %s", got, rpc.RetryAfter)
	}
	if _, err := healthv1.NewHealthClient(connection).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("health while the limit is reached: %v", err)
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a free slot", func() bool {
		_, err := graph.CreateUser(ctx, &feedv1.CreateUserRequest{})
		return err == nil
	})
}

// An engine that fails for good ends the App with that error, at once.
func TestFatal(t *testing.T) {
	app := run(t, func(*Config) {})
	broken := errors.New("the disk is full")
	app.fail(broken)
	if err := app.result(t); !errors.Is(err, broken) || strings.Contains(err.Error(), "\n") {
		t.Errorf("after a failure for good: %v, want %v", err, broken)
	}
	app.bury(t)
}

func TestBuildInfo(t *testing.T) {
	app := run(t, func(*Config) {})
	const labels = `{graph="embedded",log="embedded",posts="embedded",timelines="memory",version="unknown"}`
	if got := scrape(t, app.Addresses().Metrics, "skein_build_info", labels); got != 1 {
		t.Errorf("skein_build_info%s is %v", labels, got)
	}
	if got := scrape(t, app.Addresses().Metrics, "skein_timelines_live", ""); got != 0 {
		t.Errorf("%v live timelines in a new store", got)
	}
}
