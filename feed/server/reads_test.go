package server_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

// T4: what the viewer did shows in the next read, with the fan-out asleep.
func TestOwnActsShowAtOnce(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(3)
	r.wantHome(1)
	own := r.post(1)
	if sources := r.wantHome(1, own); sources[0] != feedv1.Source_SOURCE_OWN {
		t.Errorf("an own post comes from %v", sources[0])
	}
	theirs := r.post(2)
	r.wantHome(1, own)
	r.follow(1, 2)
	r.wantHome(1, theirs, own)
	r.delete(1, own)
	r.wantHome(1, theirs)
	r.unfollow(1, 2)
	r.wantHome(1)
	r.follow(1, 2)
	r.wantHome(1, theirs)
	r.delete(2, theirs)
	r.wantHome(1)
}

// T6: the cap is not the end. A scroll goes on from storage, to the first post.
func TestScrollGoesBeyondTheCap(t *testing.T) {
	r := newRig(t, rigOptions{cap: 20})
	r.users(3)
	r.follow(1, 2)
	r.follow(1, 3)
	r.wantHome(1)
	var want []int64
	for i := range int64(100) {
		want = append([]int64{r.pushed(2 + i%2)}, want...)
	}
	for _, size := range []int32{1, 7, 50, 200} {
		got, sources := r.scroll(1, size)
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d show %d posts, want %d", size, len(got), len(want))
		}
		if sources[0] != feedv1.Source_SOURCE_PUSHED || sources[99] != feedv1.Source_SOURCE_BELOW_BOTTOM {
			t.Errorf("pages of %d come from %v at the top and %v at the end", size, sources[0], sources[99])
		}
	}
	// Rebuilt, the timeline holds the newest 20, and the scroll is the same.
	must(r, r.timelines.Drop(r.Context(), 1))
	r.wantHome(1, want...)
}

// T5: filters cause refills. Of 300 entries, every page is full although most
// entries are deleted or belong to an author no longer followed.
func TestFilteredPagesAreFull(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(3)
	r.follow(1, 2)
	r.follow(1, 3)
	r.wantHome(1)
	kept := 0
	for i := range 300 {
		switch id := r.pushed(int64(2 + i%2)); {
		case i%2 == 1: // by author 3, unfollowed below
		case i%5 == 0:
			r.delete(2, id)
		default:
			kept++
		}
	}
	r.unfollow(1, 3)
	page := r.page(1, 50, "")
	if len(page.GetPosts()) != 50 || page.GetNextPageToken() == "" {
		t.Fatalf("the first page has %d posts", len(page.GetPosts()))
	}
	if got, _ := r.scroll(1, 50); len(got) != kept {
		t.Errorf("the scroll has %d posts, want %d", len(got), kept)
	}
}

// T5: when the scan budget is spent a page is short, even empty, and its token
// goes on.
func TestSpentBudgetGoesOnByToken(t *testing.T) {
	r := newRig(t, rigOptions{cap: 4000})
	r.users(3)
	r.follow(1, 2)
	r.follow(1, 3)
	first := r.post(2)
	r.wantHome(1, first)
	for range 2500 {
		r.pushed(3)
	}
	r.unfollow(1, 3)
	page := r.page(1, 50, "")
	if len(page.GetPosts()) != 0 || page.GetNextPageToken() == "" {
		t.Fatalf("a page behind 2,500 hidden entries has %d posts, token %q", len(page.GetPosts()), page.GetNextPageToken())
	}
	r.wantHome(1, first)
}

// T5: "could not ask" is not "not found". The page ends before the entries that
// could not be checked, and its token takes them up.
func TestCouldNotAskEndsThePage(t *testing.T) {
	r := newRig(t, rigOptions{cap: 20})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	var want []int64
	for range 60 {
		want = append([]int64{r.pushed(2)}, want...)
	}
	// The page of 50 needs the timeline's part and a part from below it.
	r.posts.passGets.Store(1)
	r.posts.failGets.Store(1)
	page := r.page(1, 50, "")
	n := len(page.GetPosts())
	if n == 0 || n >= 50 || page.GetNextPageToken() == "" {
		t.Fatalf("the page has %d posts, token %q", n, page.GetNextPageToken())
	}
	rest := r.page(1, 200, page.GetNextPageToken())
	var got []int64
	for _, p := range append(page.GetPosts(), rest.GetPosts()...) {
		got = append(got, p.GetId())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the two pages show %d posts, want %d", len(got), len(want))
	}
	// With nothing to show yet, and no copies that live, the call fails instead.
	r.clock.Add(time.Second)
	r.posts.passGets.Store(0)
	r.posts.failGets.Store(1)
	_, err := r.GetHomeTimeline(t.Context(), &feedv1.GetHomeTimelineRequest{ViewerId: 1})
	wantCode(t, err, codes.Unavailable)
}

// Reads and acts that meet a failing engine do not fill the log: of each kind there is
// a line a second at most.
func TestFailuresDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer // the handler writes under its lock, and nobody does in the end
	r := newRig(t, rigOptions{log: slog.NewTextHandler(&log, nil)})
	r.users(2)
	r.follow(1, 2)
	r.timelines.down.Store(true)
	began := time.Now()
	for range 100 {
		if !r.page(1, 50, "").GetDegraded() {
			t.Fatal("a page is not degraded")
		}
	}
	lines, most := strings.Count(log.String(), "level=WARN"), 1+int(time.Since(began)/time.Second)
	if lines < 1 || lines > most {
		t.Errorf("100 degraded pages made %d lines, want 1 to %d:\n%s", lines, most, log.String())
	}
}

// The failure table, "timelines": reads are pulled from storage, whole and marked.
func TestTimelinesDown(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	a := r.pushed(2)
	r.wantHome(1, a)
	r.timelines.down.Store(true)
	b := r.post(2)
	if page := r.page(1, 50, ""); !page.GetDegraded() || len(page.GetPosts()) != 2 {
		t.Errorf("degraded is %v, with %d posts", page.GetDegraded(), len(page.GetPosts()))
	}
	r.wantHome(1, b, a)
	r.timelines.down.Store(false)
	must(r, r.timelines.Drop(r.Context(), 1)) // lost with its server
	if page := r.page(1, 50, ""); page.GetDegraded() {
		t.Error("still degraded")
	}
	r.wantHome(1, b, a)
}

// The timeline vanishes between two pages of a scroll: the rest is pulled.
func TestTimelineLostWithinAScroll(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	var want []int64
	for range 30 {
		want = append([]int64{r.pushed(2)}, want...)
	}
	page := r.page(1, 10, "")
	must(r, r.timelines.Drop(r.Context(), 1))
	rest := r.page(1, 50, page.GetNextPageToken())
	if len(page.GetPosts()) != 10 || len(rest.GetPosts()) != 20 || rest.GetPosts()[0].GetId() != want[10] {
		t.Errorf("the pages have %d and %d posts", len(page.GetPosts()), len(rest.GetPosts()))
	}
}

// T8: who does not read has no timeline, and is not delivered to.
func TestTheAbsentHaveNoTimeline(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.pushed(2)
	stats, err := r.timelines.Stats(t.Context())
	must(r, err)
	if stats.Live != 0 || stats.Entries != 0 {
		t.Errorf("%d timelines with %d entries", stats.Live, stats.Entries)
	}
}

// T3: a token stays valid while posts arrive, and after the post that it points
// at is deleted. Trap "a token that points at nothing".
func TestTokenOutlivesItsPost(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	var ids []int64
	for range 20 {
		ids = append([]int64{r.pushed(2)}, ids...)
	}
	page := r.page(1, 10, "")
	r.delete(2, ids[9])
	r.delete(2, ids[10])
	for range 5 {
		r.pushed(2)
	}
	rest := r.page(1, 50, page.GetNextPageToken())
	if len(rest.GetPosts()) != 9 || rest.GetPosts()[0].GetId() != ids[11] {
		t.Errorf("the second page has %d posts", len(rest.GetPosts()))
	}
}

// A token that was altered, belongs to another viewer or to another list is
// refused, whichever byte of it was touched.
func TestForeignTokens(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	for range 3 {
		r.post(1)
	}
	token := r.page(1, 1, "").GetNextPageToken()
	try := func(viewer int64, token string) error {
		_, err := r.GetHomeTimeline(t.Context(), &feedv1.GetHomeTimelineRequest{ViewerId: viewer, PageToken: token})
		return err
	}
	if err := try(1, token); err != nil {
		t.Fatalf("the token itself is refused: %v", err)
	}
	wantViolation(t, try(2, token), "page_token")
	for _, bad := range []string{"x", token + "A", token[1:], strings.Repeat("A", len(token)), "%%%", strings.Repeat("x", 1<<16)} {
		wantViolation(t, try(1, bad), "page_token")
	}
	for i := range token {
		altered := []byte(token)
		altered[i] ^= 1
		wantViolation(t, try(1, string(altered)), "page_token")
	}
	_, err := r.GetUserTimeline(t.Context(), &feedv1.GetUserTimelineRequest{AuthorId: 1, PageToken: token})
	wantViolation(t, err, "page_token")
}

// User timelines and lists of users page to their ends.
func TestOtherListsPage(t *testing.T) {
	r := newRig(t, rigOptions{})
	const users = 25
	r.users(users)
	var posts []int64
	for author := int64(2); author <= users; author++ {
		r.follow(1, author)
		r.follow(author, 1)
		posts = append([]int64{r.post(1)}, posts...)
	}
	var got, followers, following []int64
	for token := ""; ; {
		page, err := r.GetUserTimeline(t.Context(), &feedv1.GetUserTimelineRequest{AuthorId: 1, PageSize: 7, PageToken: token})
		must(r, err)
		for _, p := range page.GetPosts() {
			got = append(got, p.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for token := ""; ; {
		page, err := r.ListFollowers(t.Context(), &feedv1.ListFollowersRequest{UserId: 1, PageSize: 7, PageToken: token})
		must(r, err)
		followers = append(followers, page.GetFollowerIds()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for token := ""; ; {
		page, err := r.ListFollowing(t.Context(), &feedv1.ListFollowingRequest{UserId: 1, PageSize: 7, PageToken: token})
		must(r, err)
		following = append(following, page.GetAuthorIds()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	slices.Sort(followers)
	if !slices.Equal(got, posts) || len(followers) != users-1 || !slices.Equal(followers, following) {
		t.Errorf("posts %v, followers %v, following %v", got, followers, following)
	}
	user, err := r.GetUser(t.Context(), &feedv1.GetUserRequest{Id: 1})
	must(r, err)
	if user.GetFollowerCount() != users-1 || user.GetFollowingCount() != users-1 {
		t.Errorf("the counts are %d and %d", user.GetFollowerCount(), user.GetFollowingCount())
	}
}

// F7, trap "the relay that skips": a commit wakes the relay; its poll only sweeps up.
func TestCreatePostWakesTheRelay(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(1)
	before := r.fanout.woken.Load()
	if _, err := r.CreatePost(t.Context(), &feedv1.CreatePostRequest{AuthorId: 1, Text: "honk"}); err != nil {
		t.Fatal(err)
	}
	if r.fanout.woken.Load() == before {
		t.Error("nobody was woken")
	}
}

// W3: a retry with the same key is the same post, also after it was deleted; with
// other content it is refused.
func TestRetryIsTheSamePost(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(1)
	create := func(text string) (int64, error) {
		p, err := r.CreatePost(t.Context(), &feedv1.CreatePostRequest{AuthorId: 1, Text: text, RequestId: "k"})
		return p.GetId(), err
	}
	first, err := create("honk")
	must(r, err)
	again, err := create("honk")
	must(r, err)
	_, err = create("moo")
	wantCode(t, err, codes.AlreadyExists)
	r.delete(1, first)
	deleted, err := create("honk")
	must(r, err)
	if again != first || deleted != first {
		t.Errorf("the retries made %d and %d of %d", again, deleted, first)
	}
	r.wantHome(1)
}

// A page of a viewer who follows a loud author beyond the recent posts at hand.
func TestScrollBelowTheRecentPostsOfALoudAuthor(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.loud(2)
	var want []int64
	for range 600 {
		want = append([]int64{r.post(2)}, want...)
	}
	r.clock.Add(2 * time.Second)
	sources := r.wantHome(1, want...)
	for i, s := range sources {
		if s != feedv1.Source_SOURCE_PULLED {
			t.Fatalf("post %d comes from %v", i, s)
		}
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}
