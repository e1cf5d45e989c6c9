package cassandra_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/cassandra"
)

// asPoster makes the test binary a process that creates one post in the keyspace that
// it names, and is killed at the step that asPoster_STEP names.
const asPoster = "TEST_BINARY_POSTS_TO"

func poster(url string) {
	s, err := cassandra.Open(bg, url, cassandra.Options{Logger: silent})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var deadly cassandra.Step
	fmt.Sscan(os.Getenv(asPoster+"_STEP"), &deadly)
	var id feed.PostID
	s.OnStep(func(at cassandra.Step) {
		if at == deadly {
			fmt.Println("post", int64(id))
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	for ids, again := feed.NewIDs(s, time.Now), true; again; again = errors.Is(err, feed.ErrLate) {
		if id, err = ids.Next(bg); err == nil {
			_, err = s.CreatePost(bg, draft(id, feed.UserID(deadly)+1, ""))
		}
	}
	fmt.Println("it was not killed:", err)
	os.Exit(1)
}

// A process is killed between event and post, and another after the post, before the
// acknowledgement: both posts are completed and published, the first not at once.
func TestW1_KilledBetweenTheSteps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until a dead process counts as dead")
	}
	url := emptied(t).url
	steps := []cassandra.Step{cassandra.StepEvent, cassandra.StepPost}
	ids := make([]feed.PostID, len(steps))
	var killing sync.WaitGroup
	for i, step := range steps {
		killing.Go(func() {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), asPoster+"="+url, fmt.Sprint(asPoster, "_STEP=", int(step)))
			out, _ := child.CombinedOutput()
			if _, err := fmt.Sscanf(strings.TrimSpace(string(out)), "post %d", (*int64)(&ids[i])); err != nil {
				t.Errorf("the child said %q", out)
			}
		})
	}
	killing.Wait()
	if t.Failed() {
		return
	}
	s := open(t, url)
	if got := visible(t, s, ids...); len(got) != 1 || got[0] != ids[1] {
		t.Fatalf("visible are %v, want only %d, which was written", got, ids[1])
	}
	if id := oldest(t, s); id != min(ids[0], ids[1]) {
		t.Fatalf("oldest event %d, want one of %v", id, ids)
	}
	published := map[feed.PostID]bool{}
	eventually(t, "both events are published", func() bool {
		_, err := s.Relay(bg, 10, func(_ feed.PostID, events []storage.Event) error {
			for _, e := range events {
				published[e.Post] = true
				if len(visible(t, s, e.Post)) == 0 {
					t.Errorf("post %d is published and not visible", e.Post)
				}
				if refs := newest(t, s, e.Author); len(refs) != 1 || refs[0].Post != e.Post {
					t.Errorf("author %d has %v, want post %d", e.Author, refs, e.Post)
				}
			}
			return nil
		})
		must(t, err)
		return published[ids[0]] && published[ids[1]]
	})
	if id := oldest(t, s); id != feed.MaxPostID {
		t.Errorf("event %d is still there", id)
	}
}
