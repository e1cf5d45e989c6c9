package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"skein/cmd/internal/engines"
	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

// A call of `skein import` has up to 10 messages of 10,000 follows.
const inCall = 100_000

// edgeList writes a file in which follows stand, in no order, viewers from 1 on
// with 700 follows each.
func edgeList(t *testing.T, follows int) (path string) {
	t.Helper()
	var b strings.Builder
	for n := range follows {
		n = follows - 1 - n
		fmt.Fprintln(&b, 1+n/700, 1_000_000+n%700)
	}
	path = filepath.Join(t.TempDir(), "edges of it.txt") // a name that a shell would cut
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// imported runs an import that must succeed.
func imported(t *testing.T, target string, args ...string) (result struct{ ResumedFrom, Sent, Added, UsersCreated int64 }) {
	t.Helper()
	code, stdout, stderr := typed(target, "", append([]string{"import", "--json"}, args...)...)
	if code != exitOK {
		t.Fatalf("import %v: exit %d, %s", args, code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// held is a graph that takes so many messages of imports and then holds them up
// until their call is given up; open lets everything pass.
type held struct {
	storage.Graph
	left    atomic.Int64
	open    atomic.Bool
	holding chan struct{}
}

func (h *held) ImportFollows(ctx context.Context, edges []feed.Follow) (storage.Imported, error) {
	if h.left.Add(-1) < 0 && !h.open.Load() {
		select {
		case h.holding <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return storage.Imported{}, ctx.Err()
	}
	return h.Graph.ImportFollows(ctx, edges)
}

func holdAfter(messages int64) (h *held, alter func(*engines.Set)) {
	h = &held{holding: make(chan struct{}, 1)}
	h.left.Store(messages)
	return h, func(s *engines.Set) { h.Graph, s.Graph = s.Graph, h }
}

// resumption is the command that a stopped import printed, without "skein".
func resumption(t *testing.T, stderr string) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	command, ok := strings.CutPrefix(strings.TrimSpace(lines[len(lines)-1]), "skein ")
	if !ok {
		t.Fatalf("no command to go on in %q", stderr)
	}
	args := word.FindAllString(command, -1)
	for i := range args {
		args[i] = strings.Trim(args[i], "'")
	}
	return args
}

// Ctrl-C in the second call: the command that is printed goes on, and no follow
// is missing in the end. What does not fit it is refused.
func TestInterruptedImportIsResumed(t *testing.T) {
	const follows = inCall + 25_500
	graph, alter := holdAfter(11)
	target := startApp(t, asItIs, alter).Addresses().GRPC
	file := edgeList(t, follows)
	client := command(t, "import", file, "--target", target)
	select {
	case <-graph.holding:
	case <-withDeadline(t).Done():
		t.Fatal("the import did not begin")
	}
	client.signal(t, syscall.SIGINT)
	code, stderr := client.exit(t)
	if want := "skein: interrupted\n  100,000 of 125,500 follows are imported. To go on:\n"; code != exitError || !strings.Contains(stderr, want) {
		t.Fatalf("interrupted: exit %d, %s", code, stderr)
	}
	args := resumption(t, stderr)

	graph.open.Store(true)
	refused(t, "this is not the import that stopped", append(args, "--reverse")...)
	refused(t, "the server lacks follows", append(args, "--target", startApp(t, asItIs, intact).Addresses().GRPC)...)
	result := imported(t, target, args[1:]...)
	// The eleventh message was written, and its call never acknowledged.
	if result.ResumedFrom != inCall || result.Sent != follows-inCall || result.Added != follows-inCall-10_000 {
		t.Errorf("resumed: %+v", result)
	}
	if again := imported(t, target, file); again.Sent != follows || again.Added != 0 {
		t.Errorf("the whole file once more: %+v, nothing was to be new", again)
	}
	if err := os.WriteFile(file, []byte("1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "this is not the import that stopped", args...)
}

// refused runs a resumption that must not do anything.
func refused(t *testing.T, why string, args ...string) {
	t.Helper()
	code, _, stderr := typed("", "", args...)
	if code != exitError || !strings.Contains(stderr, why) || !strings.Contains(stderr, "leave out --resume-from") {
		t.Errorf("%v: exit %d, %s; want %q", args, code, stderr, why)
	}
}

// A server that cannot write ends the import at once, and the next one begins
// where that stopped, here at the beginning.
func TestImportStopsWithItsServer(t *testing.T) {
	target := startApp(t, asItIs, func(s *engines.Set) { s.Graph = down{s.Graph} }).Addresses().GRPC
	code, _, stderr := typed(target, "", "import", "testdata/edges.txt", "--skip-bad")
	want := "cannot do it now: cannot write follows now; try again\n  0 of 3 follows are imported. To go on:\n" +
		"    skein import testdata/edges.txt --skip-bad --target " + target + "\n"
	if code != exitError || !strings.HasSuffix(stderr, want) {
		t.Errorf("exit %d, %s; want %s", code, stderr, want)
	}
}

// down is a graph that cannot be written.
type down struct{ storage.Graph }

func (down) ImportFollows(context.Context, []feed.Follow) (storage.Imported, error) {
	return storage.Imported{}, feed.Unavailable("write follows", errors.New("the disk is away"))
}

// A busy server says when to come back. An import does that by itself, for as
// long as its timeout; other commands say it.
func TestBusyServer(t *testing.T) {
	app := startApp(t, func(c *Config) { c.MaxInFlight, c.MetricsListen = 1, "127.0.0.1:0" }, intact)
	target, metrics := app.Addresses().GRPC, app.Addresses().Metrics
	stream, err := feedv1.NewGraphServiceClient(dial(t, target)).ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 2)); err != nil {
		t.Fatal(err)
	}
	awaitImport(t, metrics)
	const want = "skein: the server has 1 calls in work already; try again\n  Try again in 100ms.\n"
	if code, _, stderr := typed(target, "", "user", "1"); code != exitError || stderr != want {
		t.Errorf("user: exit %d, %s; want %s", code, stderr, want)
	}
	if code, _, stderr := typed(target, "", "import", "testdata/edges.txt", "--skip-bad", "--timeout", "10ms"); code != exitError || !strings.Contains(stderr, "Try again in 100ms.") {
		t.Errorf("import without patience: exit %d, %s", code, stderr)
	}

	const refusals = `{grpc_code="ResourceExhausted",grpc_method="ImportFollows",grpc_service="feed.v1.GraphService",grpc_type="client_stream"}`
	before := scrape(t, metrics, "grpc_server_handled_total", refusals)
	type outcome struct {
		code   int
		stderr string
	}
	done := make(chan outcome, 1)
	go func() {
		code, _, stderr := typed(target, "", "import", "testdata/edges.txt", "--skip-bad")
		done <- outcome{code, stderr}
	}()
	eventually(t, "a refusal", func() bool { return scrape(t, metrics, "grpc_server_handled_total", refusals) > before })
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	select {
	case o := <-done:
		if o.code != exitOK || strings.Count(o.stderr, "the server is busy") != 1 {
			t.Errorf("import at a server that was busy for a while: exit %d, %s", o.code, o.stderr)
		}
	case <-withDeadline(t).Done():
		t.Fatal("the import did not come back")
	}
}
