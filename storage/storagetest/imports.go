package storagetest

import (
	"math/rand/v2"
	"testing"

	"skein/feed"
	"skein/storage"
)

var importCases = []testCase{
	{"ImportFollows_EqualsSingleFollows", importEqualsFollows},
	{"ImportFollows_MakesUsers", importMakesUsers},
	{"ImportFollows_TooMany", importTooMany},
	{"ImportFollows_Concurrent", importTogether},
}

// importEqualsFollows imports, into one half of the ids, what it follows singly
// in the other half, over edges that repeat and that exist already.
func importEqualsFollows(t *testing.T, s Stores) {
	const users, half = 20, 1000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		var edges []feed.Follow
		singles := int64(0)
		for range 60 {
			e := feed.Follow{Viewer: feed.UserID(1 + rng.IntN(users)), Author: feed.UserID(1 + rng.IntN(users))}
			edges = append(edges, e)
			if result(s.Graph.Follow(bg, feed.Follow{Viewer: e.Viewer + half, Author: e.Author + half}))(t) {
				singles++
			}
		}
		if got := result(s.Graph.ImportFollows(bg, edges))(t); got.Added != singles {
			t.Fatalf("added %d, want %d", got.Added, singles)
		}
	}
	for u := feed.UserID(1); u <= users; u++ {
		imported := result(s.Graph.GetFollowSet(bg, u, nil))(t)
		followed := result(s.Graph.GetFollowSet(bg, u+half, nil))(t)
		for i := range followed.Authors {
			followed.Authors[i] -= half
		}
		wantEqual(t, "authors", imported.Authors, followed.Authors)
		if n := len(imported.Authors); n > 0 && (imported.Version < 1 || imported.Version > 4) {
			t.Errorf("version %d after 4 imports, want one for each that added", imported.Version)
		}
		a := followersOf(t, s, u, feed.AllHashes, 100)
		b := followersOf(t, s, u+half, feed.AllHashes, 100)
		if len(a) != len(b) {
			t.Errorf("author %d has %d followers by import, %d singly", u, len(a), len(b))
		}
	}
}

func importMakesUsers(t *testing.T, s Stores) {
	result(s.Graph.CreateUser(bg, 1))(t)
	edges := []feed.Follow{{Viewer: 1, Author: 2}, {Viewer: 3, Author: 2}, {Viewer: 1, Author: 2}}
	if got, want := result(s.Graph.ImportFollows(bg, edges))(t), (storage.Imported{Added: 2, UsersCreated: 2}); got != want {
		t.Fatalf("imported %+v, want %+v", got, want)
	}
	if got := result(s.Graph.ImportFollows(bg, edges))(t); got != (storage.Imported{}) {
		t.Fatalf("the second import changed %+v", got)
	}
	users := result(s.Graph.GetUsers(bg, []feed.UserID{1, 2, 3}))(t)
	if len(users) != 3 || users[1].Followers != 2 || users[0].Following != 1 {
		t.Fatalf("users %+v, want three, the second with 2 followers", users)
	}
	for range 5 {
		if u := result(s.Graph.CreateUser(bg, 0))(t); u.ID <= 3 {
			t.Fatalf("id %d, taken by the import, was chosen", u.ID)
		}
	}
}

func importTooMany(t *testing.T, s Stores) {
	_, err := s.Graph.ImportFollows(bg, make([]feed.Follow, storage.MaxImport+1))
	wantCode(t, err, feed.CodeInvalid)
	if got := result(s.Graph.ImportFollows(bg, nil))(t); got != (storage.Imported{}) {
		t.Fatalf("an empty import changed %+v", got)
	}
}

// importTogether imports overlapping edges at once: each is added once.
func importTogether(t *testing.T, s Stores) {
	const imports, viewers, authors = 6, 30, 20
	added := make([]int64, imports)
	must(t, together(imports, func(i int) error {
		var edges []feed.Follow
		for n := range viewers * authors {
			edges = append(edges, feed.Follow{Viewer: feed.UserID(1 + n%viewers), Author: feed.UserID(100 + n/viewers)})
		}
		got, err := s.Graph.ImportFollows(bg, edges)
		added[i] = got.Added
		return err
	}))
	total := int64(0)
	for _, n := range added {
		total += n
	}
	if total != viewers*authors {
		t.Fatalf("added %d edges together, want %d", total, viewers*authors)
	}
	for _, u := range result(s.Graph.GetUsers(bg, []feed.UserID{100, 119}))(t) {
		if u.Followers != viewers {
			t.Errorf("author %d has %d followers, want %d", u.ID, u.Followers, viewers)
		}
	}
}
