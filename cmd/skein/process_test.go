package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	feedv1 "skein/proto/feed/v1"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// asSkein makes the test binary behave as skein itself, so that tests run real
// processes without a build of their own. With _CLOCK its clock is off by so much.
const asSkein = "TEST_BINARY_IS_SKEIN"

func TestMain(m *testing.M) {
	if os.Getenv(asSkein) != "" {
		if off, err := time.ParseDuration(os.Getenv(asSkein + "_CLOCK")); err == nil {
			clock = func() time.Time { return time.Now().Add(off) }
		}
		main()
	}
	goleak.VerifyTestMain(m)
}

// process is skein in a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer // to be read when it has ended
	ended          chan struct{}
	addresses      Addresses
}

// command starts skein with args.
func command(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, envPrefix) })
	p.Env = append(p.Env, asSkein+"=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // the exit code is asked for later
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // fails when it has ended, as it should
		<-p.ended
		if t.Failed() {
			t.Logf("%v said:\n%s%s", args, p.stdout.Bytes(), p.stderr.Bytes())
		}
	})
	return p
}

// exit waits for the end and returns the exit code and what was on stderr.
func (p *process) exit(t *testing.T) (code int, stderr string) {
	t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode(), p.stderr.String()
	case <-time.After(patience):
		_ = p.Process.Signal(syscall.SIGQUIT) // its goroutines, in what it said
		select {
		case <-p.ended:
		case <-time.After(patience): // it is stopped
		}
		t.Fatalf("%v did not end", p.Args)
		return 0, ""
	}
}

// launch starts `skein serve` on free ports; file will tell them.
func launch(t *testing.T, dataDir string, args ...string) (p *process, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "address")
	return command(t, append([]string{
		"serve", "--data-dir", dataDir, "--listen", "127.0.0.1:0",
		"--metrics-listen", "127.0.0.1:0", "--address-file", file,
	}, args...)...), file
}

// serve starts `skein serve` on free ports and waits until it serves.
func serve(t *testing.T, dataDir string, args ...string) *process {
	t.Helper()
	p, file := launch(t, dataDir, args...)
	eventually(t, "serve", func() bool {
		select {
		case <-p.ended:
			t.Fatal("skein serve ended")
		default:
		}
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		if err == nil {
			err = json.Unmarshal(content, &p.addresses)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	return p
}

// killIn sends SIGKILL some time later, unless it has ended by then.
func (p *process) killIn(d time.Duration) {
	time.AfterFunc(d, func() { _ = p.Process.Kill() })
}

func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !condition() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// services is a client of one server.
type services struct {
	feedv1.PostServiceClient
	feedv1.GraphServiceClient
	feedv1.TimelineServiceClient
}

func dialAll(t *testing.T, server *process) services {
	c := dial(t, server.addresses.GRPC)
	return services{feedv1.NewPostServiceClient(c), feedv1.NewGraphServiceClient(c), feedv1.NewTimelineServiceClient(c)}
}

// page is one of any timeline.
type page interface {
	GetPosts() []*feedv1.Post
	GetNextPageToken() string
}

// scroll reads a timeline to its end, and fails unless it is strictly newest
// first (T2, T3).
func scroll(read func(token string) (page, error)) (posts []*feedv1.Post, err error) {
	for token := ""; ; {
		answer, err := read(token)
		if err != nil {
			return nil, err
		}
		posts = append(posts, answer.GetPosts()...)
		if token = answer.GetNextPageToken(); token == "" {
			break
		}
	}
	for i := 1; i < len(posts); i++ {
		if above, below := posts[i-1].GetId(), posts[i].GetId(); above <= below {
			return nil, fmt.Errorf("post %d comes after %d", below, above)
		}
	}
	return posts, nil
}

// compare tells whether shown is all of owed, whose posts must be there for true
// and may be for false, and nothing else.
func compare(what string, shown []string, owed map[string]bool) error {
	missing := maps.Clone(owed)
	for _, text := range shown {
		if _, may := owed[text]; !may {
			return fmt.Errorf("%s: post %s is there, which was deleted or is of an author not followed", what, text)
		}
		delete(missing, text)
	}
	for text, must := range missing {
		if must {
			return fmt.Errorf("%s: post %s is missing, of %d", what, text, len(owed))
		}
	}
	return nil
}

// withDeadline is a context for calls that should answer soon.
func withDeadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// together runs f in count goroutines and returns a function that waits for
// all.
func together(count int, f func(worker int)) (wait func()) {
	var workers sync.WaitGroup
	for worker := range count {
		workers.Go(func() { f(worker) })
	}
	return workers.Wait
}
