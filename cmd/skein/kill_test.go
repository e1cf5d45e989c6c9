package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	api "skein/feed/server"
	feedv1 "skein/proto/feed/v1"
)

const people, readers = 8, 4 // users 1 to 8 act, and are read

// audiences are followers who never read: 1 is pushed in chunks, 2 is loud.
var audiences = map[int64]int64{1: 1_500, 2: 9_993}

// SIGKILL at random moments under load and while starting, many times, on one
// folder. Whose call had no answer calls again after the restart, with the same
// request id. W1 to W4 hold all along, home timelines are right at once after
// each restart (T1 to T3, T7), and in the end delivery has caught up.
func TestKillUnderLoad(t *testing.T) {
	seed, kills := uint64(time.Now().UnixNano()), 12
	if testing.Short() {
		kills = 3
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	server := serve(t, dir)
	w := newTown(t, seed, dialAll(t, server))
	var born time.Time
	for range kills {
		w.load(server, rng)
		if rng.IntN(3) == 0 {
			unborn, _ := launch(t, dir)
			unborn.killIn(time.Duration(rng.IntN(100)) * time.Millisecond)
			<-unborn.ended
		}
		server, born = serve(t, dir), time.Now()
		if err := w.judge(dialAll(t, server)); err != nil {
			t.Fatalf("after a restart: %v", err)
		}
	}
	ctx, s := withDeadline(t), dialAll(t, server)
	together(people, func(n int) {
		for range 50 {
			if err := w.people[n].act(ctx, s); err != nil {
				t.Error(err)
			}
		}
	})()
	var wrong error
	defer func() { t.Logf("in the end: %v", wrong) }()
	eventually(t, "all is delivered", func() bool {
		if time.Since(born) < api.DefaultLagBound {
			return false // what the last kill left undelivered is not late yet
		}
		above := scrape(t, server.addresses.Metrics, "skein_above_top_reads_total", "")
		wrong = w.judge(s)
		// One event that stays in the outbox or the log keeps the top down.
		if now := scrape(t, server.addresses.Metrics, "skein_above_top_reads_total", ""); now > above {
			wrong = cmp.Or(wrong, errors.New("reads find the delivered-through id late"))
		}
		for _, lane := range []string{"small", "large", "bulk", "parked"} {
			if n := scrape(t, server.addresses.Metrics, "skein_lane_backlog", lane); n != 0 {
				wrong = cmp.Or(wrong, fmt.Errorf("%v records wait in lane %s", n, lane))
			}
		}
		return wrong == nil
	})
}

// town is the people and all that anybody was told. It outlives the servers.
type town struct {
	t      *testing.T
	people [people]*person

	mu sync.Mutex
	// ids and texts are of every post in any answer: a second id for a request,
	// or a second post under an id, is found whenever it shows (W3, W4).
	ids   map[string]int64
	texts map[int64]string
}

// newTown makes the users: people who all follow each other, and the audiences.
func newTown(t *testing.T, seed uint64, s services) *town {
	w := &town{t: t, ids: map[string]int64{}, texts: map[int64]string{}}
	stream, err := s.ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.people {
		author := int64(i + 1)
		w.people[i] = &person{
			town: w, id: author, rng: rand.New(rand.NewPCG(seed, uint64(author))),
			posts: map[string]int64{}, left: map[int64]bool{},
		}
		edges := &feedv1.ImportFollowsRequest{}
		for viewer := int64(1); viewer <= people+audiences[author]; viewer++ {
			if viewer != author {
				edges.Follows = append(edges.Follows, &feedv1.FollowEdge{ViewerId: viewer, AuthorId: author})
			}
		}
		_ = stream.Send(edges) // CloseAndRecv says what was wrong
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	return w
}

// load lets everybody act and read, beginning with what had no answer. After a
// random number of acts, and a little more, it kills the server.
func (w *town) load(server *process, rng *rand.Rand) {
	var left atomic.Int64
	var killed atomic.Bool
	left.Store(1 + rng.Int64N(400))
	late := time.Duration(rng.IntN(3_000)) * time.Microsecond
	ctx, s := withDeadline(w.t), dialAll(w.t, server)
	together(people+readers, func(n int) {
		for {
			var err error
			if n < people {
				err = w.people[n].act(ctx, s)
			} else {
				_, err = w.home(ctx, s, int64(n-people+1), 20)
			}
			switch {
			case err != nil && killed.Load() && status.Code(err) == codes.Unavailable:
				return
			case err != nil:
				w.t.Errorf("under load: %v", err)
				return
			case n < people && left.Add(-1) == 0:
				time.AfterFunc(late, func() { killed.Store(true); _ = server.Process.Kill() })
			}
		}
	})()
	server.killIn(0) // if nothing else did
	<-server.ended
	w.t.Logf("killed at %d posts; at its start, some were half written: %t", len(w.ids),
		strings.Contains(server.stderr.String(), "half written"))
}

// judge compares every timeline, and every post by id, with what must be there.
func (w *town) judge(s services) error {
	ctx, all := withDeadline(w.t), map[string]bool{}
	for _, p := range w.people {
		posts, err := scroll(func(token string) (page, error) {
			return s.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: p.id, PageSize: 200, PageToken: token})
		})
		shown, homeErr := w.home(ctx, s, p.id, 200)
		if err = cmp.Or(err, homeErr, compare("user timeline", w.note(posts), p.written()), compare("home timeline", shown, p.follows())); err != nil {
			return fmt.Errorf("user %d: %w", p.id, err)
		}
		maps.Copy(all, p.written())
	}
	var found []string
	for ids := range slices.Chunk(slices.Collect(maps.Keys(w.texts)), 200) {
		answer, err := s.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: ids})
		if err != nil {
			return err
		}
		found = append(found, w.note(answer.GetPosts())...)
	}
	return compare("BatchGetPosts", found, all)
}

// home scrolls a home timeline, and notes each page: a kill may cut off the rest.
func (w *town) home(ctx context.Context, s services, viewer int64, size int32) (texts []string, err error) {
	_, err = scroll(func(token string) (page, error) {
		answer, err := s.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: viewer, PageSize: size, PageToken: token})
		texts = append(texts, w.note(answer.GetPosts())...)
		return answer, err
	})
	return texts, err
}

// note holds posts against all answers before, and returns their texts.
func (w *town) note(posts []*feedv1.Post) (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, post := range posts {
		id, text := post.GetId(), post.GetText()
		if known, ok := w.ids[text]; ok && known != id {
			w.t.Errorf("post %s is there twice, as %d and %d", text, known, id)
		}
		if known, ok := w.texts[id]; ok && known != text {
			w.t.Errorf("id %d was given to posts %s and %s", id, known, text)
		}
		w.ids[text], w.texts[id] = id, text
		texts = append(texts, text)
	}
	return texts
}

// person does one act after the other, and knows what each has changed.
type person struct {
	*town
	id      int64
	rng     *rand.Rand
	asked   int              // posts asked for, numbered from 0
	posts   map[string]int64 // ids of those acknowledged, 0 once deleted
	left    map[int64]bool   // whom it unfollowed; it follows everybody else
	pending act              // without an answer, so to be called again
}

// act is one call, by the field that is set.
type act struct {
	create, remove string // a post's text
	toggle         int64  // an author to follow, or to unfollow
}

// text of a post is its request id too: no two posts share it.
func (p *person) text(n int) string { return fmt.Sprintf("%d/%d", p.id, n) }

func (p *person) choose() act {
	recent := p.text(max(0, p.asked-1-p.rng.IntN(1+p.rng.IntN(30))))
	switch n := p.rng.IntN(20); {
	case n < 2 && p.asked > 0: // an old request once more (W3)
		return act{create: p.text(p.rng.IntN(p.asked))}
	case n < 4 && p.posts[recent] > 0:
		return act{remove: recent}
	case n < 7:
		return act{toggle: 1 + (p.id+p.rng.Int64N(people-1))%people}
	}
	p.asked++
	return act{create: p.text(p.asked - 1)}
}

// act does what is pending, else something new.
func (p *person) act(ctx context.Context, s services) (err error) {
	again := p.pending != act{}
	if !again {
		p.pending = p.choose()
	}
	do, post := p.pending, &feedv1.Post{}
	switch {
	case do.create != "":
		post, err = s.CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: p.id, RequestId: do.create, Text: do.create})
	case do.remove != "":
		_, err = s.DeletePost(ctx, &feedv1.DeletePostRequest{AuthorId: p.id, Id: p.posts[do.remove]})
		if again && status.Code(err) == codes.NotFound {
			err = nil // the first call did it
		}
	case p.left[do.toggle]:
		_, err = s.Follow(ctx, &feedv1.FollowRequest{ViewerId: p.id, AuthorId: do.toggle})
	default:
		_, err = s.Unfollow(ctx, &feedv1.UnfollowRequest{ViewerId: p.id, AuthorId: do.toggle})
	}
	if err != nil {
		return err
	}
	p.pending = act{}
	switch {
	case do.create != "":
		p.note([]*feedv1.Post{post})
		if _, known := p.posts[do.create]; !known {
			p.posts[do.create] = post.GetId()
		}
	case do.remove != "":
		p.posts[do.remove] = 0
	default:
		p.left[do.toggle] = !p.left[do.toggle]
	}
	return nil
}

// written is the posts of p: true for those that must be there, false for those
// that may be.
func (p *person) written() map[string]bool {
	owed := map[string]bool{}
	if text := p.pending.create; text != "" {
		owed[text] = p.ids[text] > 0 // what somebody saw stays (W1)
	}
	for text, id := range p.posts {
		if owed[text] = text != p.pending.remove; id == 0 {
			delete(owed, text)
		}
	}
	return owed
}

// follows is the same of p's home timeline.
func (p *person) follows() map[string]bool {
	owed := map[string]bool{}
	for _, author := range p.people {
		unsure := author.id == p.pending.toggle
		if p.left[author.id] && !unsure {
			continue
		}
		for text, must := range author.written() {
			owed[text] = must && !unsure
		}
	}
	return owed
}
