package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

const authors, viewers = 4, 20 // users 1 to 4, and 101 to 120 who follow them all

// SIGTERM under load: calls end well or are refused, the process exits with 0,
// and what was acknowledged is there after a restart (W2), in storage and in
// home timelines (T1), and the backlog goes to nothing.
func TestDrainUnderLoad(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir)
	connection := dial(t, server.addresses.GRPC)
	ctx := withDeadline(t)
	importFollows(t, feedv1.NewGraphServiceClient(connection))
	for viewer := int64(101); viewer <= 100+viewers; viewer++ {
		home(t, feedv1.NewTimelineServiceClient(connection), viewer)
	}

	var acknowledged [authors][]int64
	var count atomic.Int64
	wait := together(authors, func(author int) {
		posts := feedv1.NewPostServiceClient(connection)
		for n := 0; ; n++ {
			post, err := posts.CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: int64(author + 1), Text: fmt.Sprint("post ", n)})
			if err != nil {
				if status.Code(err) != codes.Unavailable {
					t.Errorf("CreatePost while draining: %v, want success or UNAVAILABLE", err)
				}
				return
			}
			acknowledged[author] = append(acknowledged[author], post.GetId())
			count.Add(1)
		}
	})
	eventually(t, "posts", func() bool { return count.Load() >= 300 })
	server.signal(t, syscall.SIGTERM)
	code, stderr := server.exit(t)
	wait()
	if code != exitOK || !strings.Contains(stderr, "drained") || strings.Contains(stderr, "did not end in time") {
		t.Errorf("SIGTERM under load: exit %d, want 0 and a clean drain", code)
	}

	again := serve(t, dir)
	connection = dial(t, again.addresses.GRPC)
	all := slices.Concat(acknowledged[:]...)
	for ids := range slices.Chunk(all, 200) {
		found, err := feedv1.NewPostServiceClient(connection).BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: ids})
		if err != nil || len(found.GetPosts()) != len(ids) {
			t.Errorf("after the restart: %d of %d posts (%v)", len(found.GetPosts()), len(ids), err)
		}
	}
	eventually(t, "backlog of 0", func() bool { return backlog(t, again.addresses.Metrics) == 0 })
	for _, viewer := range []int64{101, 100 + viewers} {
		shown := home(t, feedv1.NewTimelineServiceClient(connection), viewer)
		for _, id := range all {
			if !shown[id] {
				t.Fatalf("after the restart, viewer %d misses post %d of %d (%d shown)", viewer, id, len(all), len(shown))
			}
		}
	}
}

// importing begins an import, and returns when it is in work.
func importing(t *testing.T, server *process) feedv1.GraphService_ImportFollowsClient {
	t.Helper()
	stream, err := feedv1.NewGraphServiceClient(dial(t, server.addresses.GRPC)).ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(follows(1, 2)); err != nil {
		t.Fatal(err)
	}
	awaitImport(t, server.addresses.Metrics)
	return stream
}

// A second signal that is meant stops the server in the middle of its drain.
func TestSecondSignalForces(t *testing.T) {
	server := serve(t, t.TempDir(), "--drain=1h")
	importing(t, server) // its client does not end it, so the drain waits
	server.signal(t, syscall.SIGTERM)
	eventually(t, "end", func() bool {
		select {
		case <-server.ended:
			return true
		default:
			_ = server.Process.Signal(syscall.SIGTERM) // fails when it has ended meanwhile
			return false
		}
	})
	if code, stderr := server.exit(t); code != exitError || !strings.Contains(stderr, "second signal") {
		t.Errorf("two signals: exit %d, want 1", code)
	}
}

// Two signals at once are one: the drain goes on, and ends well.
func TestSignalsInABurst(t *testing.T) {
	server := serve(t, t.TempDir(), "--drain=1h")
	stream := importing(t, server)
	server.signal(t, syscall.SIGTERM)
	server.signal(t, syscall.SIGINT)
	eventually(t, "NOT_SERVING", func() bool { return readiness(t, server.addresses.Metrics) == http.StatusServiceUnavailable })
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Errorf("a call in work: %v", err)
	}
	if code, stderr := server.exit(t); code != exitOK || !strings.Contains(stderr, "drained") {
		t.Errorf("two signals at once: exit %d, want 0 and a drain", code)
	}
}

// follows is one message of an import: viewer follows each author.
func follows(viewer int64, followed ...int64) *feedv1.ImportFollowsRequest {
	request := &feedv1.ImportFollowsRequest{}
	for _, author := range followed {
		request.Follows = append(request.Follows, &feedv1.FollowEdge{ViewerId: viewer, AuthorId: author})
	}
	return request
}

func importFollows(t *testing.T, graph feedv1.GraphServiceClient) {
	t.Helper()
	stream, err := graph.ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for viewer := int64(101); viewer <= 100+viewers; viewer++ {
		if err := stream.Send(follows(viewer, 1, 2, 3, 4)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := stream.CloseAndRecv()
	if err != nil || got.GetAdded() != viewers*authors {
		t.Fatalf("ImportFollows: %v (%v)", got, err)
	}
}

// home scrolls a home timeline to its end and returns the ids on it.
func home(t *testing.T, timelines feedv1.TimelineServiceClient, viewer int64) map[int64]bool {
	t.Helper()
	shown := map[int64]bool{}
	request := &feedv1.GetHomeTimelineRequest{ViewerId: viewer, PageSize: 200}
	for {
		page, err := timelines.GetHomeTimeline(withDeadline(t), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, post := range page.GetPosts() {
			shown[post.GetId()] = true
		}
		if page.GetNextPageToken() == "" {
			return shown
		}
		request.PageToken = page.GetNextPageToken()
	}
}

// scrape sums a metric over all of its labels that match one text.
func scrape(t *testing.T, address, metric, label string) (sum float64) {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if before, _, _ := strings.Cut(name, "{"); before != metric || !strings.Contains(name, label) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(value, &n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum, found = sum+n, true
	}
	if !found {
		t.Fatalf("there is no metric %s with %s", metric, label)
	}
	return sum
}

func backlog(t *testing.T, metrics string) float64 {
	t.Helper()
	return scrape(t, metrics, "skein_lane_backlog", "")
}

// awaitImport waits until the server is at work on the first message of an
// import.
func awaitImport(t *testing.T, metrics string) {
	t.Helper()
	eventually(t, "an import in work", func() bool {
		return scrape(t, metrics, "grpc_server_msg_received_total", "ImportFollows") == 1
	})
}

func readiness(t *testing.T, metrics string) int {
	t.Helper()
	answer, err := http.Get("http://" + metrics + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
