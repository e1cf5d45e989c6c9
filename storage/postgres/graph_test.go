package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/storage/postgres"
)

// A change of tier whose commit stalls: GetTiers waits for it. Otherwise a planner
// would get a copy without the change, fresh by its own account, when ids are
// already where the change takes effect.
func TestTiers_WaitForAChangeThatCommits(t *testing.T) {
	url := database(t)
	s := open(t, url)
	waiting, release := stall(t, url, "AFTER", "tiers", "true")
	next := policy.History{{From: feed.IDAt(time.Now().Add(time.Minute)), Tier: policy.Loud}}
	changed := start(func() (struct{}, error) { return struct{}{}, s.ChangeTier(bg, 1, nil, next) })
	waiting()
	read := start(func() (storage.TierChanges, error) { return s.GetTiers(bg, 0) })
	c := connect(t, url)
	eventually(t, "GetTiers waits", func() bool {
		select {
		case o := <-read:
			t.Fatalf("while a change commits GetTiers returned %+v", o)
		default:
		}
		return value[bool](t, c, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 739 AND NOT granted)`)
	})
	release()
	receive(t, "the change is made", changed)
	if got := receive(t, "the tiers are read", read); len(got.Histories) != 1 {
		t.Errorf("after waiting GetTiers has %+v, want the change", got)
	}
}

// An author whom everybody follows is no hot lock: a follow whose commit stalls
// does not stop the next one.
func TestFollow_OfACelebrityDoesNotQueue(t *testing.T) {
	url := database(t)
	s := open(t, url)
	follow := func(viewer feed.UserID) <-chan outcome[bool] {
		return start(func() (bool, error) { return s.Follow(bg, feed.Follow{Viewer: viewer, Author: 100}) })
	}
	receive(t, "the first follow", follow(3))
	waiting, release := stall(t, url, "AFTER", "follows", "NEW.viewer = 1")
	slow := follow(1)
	waiting()
	receive(t, "a follow beside one that stalls", follow(2))
	release()
	receive(t, "the follow that stalled", slow)
	_, err := s.CreateUser(bg, 100)
	must(t, err)
	if users, err := s.GetUsers(bg, []feed.UserID{100}); err != nil || users[0].Followers != 3 {
		t.Errorf("%+v, %v; want 3 followers", users, err)
	}
}

// Imports and follows of the same users, in every order, do not deadlock, and
// nobody is counted twice.
func TestImport_OrdersItsLocks(t *testing.T) {
	const users = 40
	url := database(t)
	s := open(t, url)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	// The users exist, else imports would queue for each other's new users.
	c := connect(t, url)
	exec(t, c, `INSERT INTO users SELECT n, now() FROM generate_series(1, 1000) AS n`)
	work := make(chan outcome[struct{}], 8)
	for i := range cap(work) {
		go func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			round := 0 // there are new viewers in each
			user := func() feed.UserID { return feed.UserID(1 + round*users/2 + rng.IntN(users)) }
			edge := func() feed.Follow { return feed.Follow{Viewer: user(), Author: user()} }
			var err error
			for ; round < 15 && err == nil; round++ {
				edges := make([]feed.Follow, 300)
				for n := range edges {
					edges[n] = edge()
				}
				if _, err = s.ImportFollows(bg, edges); err != nil {
					break
				}
				for range 20 {
					if _, err = s.Unfollow(bg, edge()); err != nil {
						break
					}
					if _, err = s.Follow(bg, edge()); err != nil {
						break
					}
				}
			}
			work <- outcome[struct{}]{err: err}
		}()
	}
	for range cap(work) {
		receive(t, "the imports end", work)
	}
	if n := value[int](t, c, `SELECT count(*) FROM users AS u
		WHERE (SELECT count(*) FROM follows WHERE author = u.id) <> (SELECT sum(count) FROM follower_counts WHERE author = u.id)
			OR (SELECT count(*) FROM follows WHERE viewer = u.id) <> (SELECT count FROM viewers WHERE viewer = u.id)`); n > 0 {
		t.Errorf("%d of %d users are counted wrongly", n, users)
	}
	must(t, s.Close()) // whose sessions then tell what they counted
	eventually(t, "the sessions have ended", func() bool {
		return value[int](t, c, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`) == 1
	})
	if n := value[int](t, c, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// However its edges lie, an import takes the heads of follow sets by rising viewer:
// while it waits for one it holds none above.
func TestImport_TakesHeadsInOrder(t *testing.T) {
	url := database(t)
	s := open(t, url)
	waiting, release := stall(t, url, "BEFORE", "viewers", "NEW.viewer = 1")
	imported := start(func() (storage.Imported, error) {
		return s.ImportFollows(bg, []feed.Follow{{Viewer: 2, Author: 9}, {Viewer: 1, Author: 9}})
	})
	waiting()
	receive(t, "a follow of a viewer above", start(func() (bool, error) {
		return s.Follow(bg, feed.Follow{Viewer: 2, Author: 8})
	}))
	release()
	if got := receive(t, "the import", imported); got.Added != 2 {
		t.Errorf("imported %+v, want 2 edges", got)
	}
}

// The indexes hold all that the reads ask for. A plan is made while the tables are
// empty and kept when they are full, so it must not be another one then.
func TestReads_AreIndexOnly(t *testing.T) {
	url := database(t)
	s, c := open(t, url), connect(t, url)
	settings, err := postgres.Settings(url)
	must(t, err)
	for name, value := range settings {
		exec(t, c, fmt.Sprintf("SET %s = '%s'", name, value))
	}
	reads := []struct{ name, sql, args string }{
		{"follow_set", postgres.FollowSet, "1, 0"},
		{"following", postgres.ListFollowing, "1, 0, 10"},
		{"followers", postgres.ListFollowers, "1, -5, 5, 10"},
		{"newest", postgres.NewestOfEach, "'{1,2}', '{1,1}', '{9,9}', 5"},
	}
	for _, r := range reads {
		exec(t, c, fmt.Sprintf("PREPARE %s AS %s", r.name, r.sql))
	}
	check := func(when string) {
		for _, r := range reads {
			rows, err := c.Query(bg, fmt.Sprintf("EXPLAIN (COSTS OFF) EXECUTE %s (%s)", r.name, r.args))
			must(t, err)
			var plan []string
			for rows.Next() {
				var line string
				must(t, rows.Scan(&line))
				plan = append(plan, line)
			}
			must(t, rows.Err())
			text := strings.Join(plan, "\n")
			for _, table := range []string{"on follows", "on posts"} {
				if n := strings.Count(text, table); n != strings.Count(text, "Index Only Scan") && n > 0 {
					t.Errorf("%s, %s does not read the index alone:\n%s", when, r.name, text)
				}
			}
			if strings.Contains(text, "Sort") || strings.Contains(text, "Seq Scan") {
				t.Errorf("%s, %s sorts or reads a whole table:\n%s", when, r.name, text)
			}
		}
	}
	check("empty")
	var edges []feed.Follow
	for v := range feed.UserID(2000) {
		edges = append(edges, feed.Follow{Viewer: 1, Author: v + 2}, feed.Follow{Viewer: v + 2, Author: 1})
	}
	_, err = s.ImportFollows(bg, edges)
	must(t, err)
	exec(t, c, `INSERT INTO posts SELECT n, n % 7, 'text', '' FROM generate_series(1, 20000) AS n`)
	check("full, before statistics")
	exec(t, c, `VACUUM ANALYZE follows, posts`)
	check("full")
}
