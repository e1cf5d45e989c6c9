package storagetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"skein/feed"
)

var userCases = []testCase{
	{"CreateUser_GivenAndChosenIDs", createUsers},
	{"CreateUser_Concurrent", createUsersTogether},
	{"CreateUser_ChosenIDsSurviveReopen", createUsersReopened},
	{"GetUsers_WithCounts", userCounts},
	{"MissingUsers", missingUsers},
}

func createUsers(t *testing.T, s Stores) {
	before := time.Now().Add(-time.Second)
	given := result(s.Graph.CreateUser(bg, 3))(t)
	if given.ID != 3 || given.CreateTime.Before(before) || given.CreateTime.After(time.Now().Add(time.Second)) {
		t.Fatalf("made %+v, want user 3, now", given)
	}
	_, err := s.Graph.CreateUser(bg, 3)
	wantCode(t, err, feed.CodeExists)
	far := result(s.Graph.CreateUser(bg, 1<<62))(t)
	seen := map[feed.UserID]bool{given.ID: true, far.ID: true}
	for range 10 {
		u := result(s.Graph.CreateUser(bg, 0))(t)
		if !u.ID.Valid() || seen[u.ID] {
			t.Fatalf("chosen id %d, want a new one", u.ID)
		}
		seen[u.ID] = true
	}
	got := result(s.Graph.GetUsers(bg, []feed.UserID{1 << 62, 999_999, 3}))(t)
	if len(got) != 2 || got[0].ID != 1<<62 || got[1].ID != 3 || !got[1].CreateTime.Equal(given.CreateTime) {
		t.Fatalf("got %+v, want users 2^62 and 3", got)
	}
}

func createUsersTogether(t *testing.T, s Stores) {
	var mu sync.Mutex
	seen := map[feed.UserID]bool{}
	must(t, together(32, func(i int) error {
		id := feed.UserID(0)
		if i%4 == 0 {
			id = feed.UserID(i + 1)
		}
		u, err := s.Graph.CreateUser(bg, id)
		if feed.CodeOf(err) == feed.CodeExists && id != 0 {
			return nil // a chosen id came first
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[u.ID] {
			t.Errorf("user %d was made twice", u.ID)
		}
		seen[u.ID] = true
		return nil
	}))
}

func createUsersReopened(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	a := result(s.Graph.CreateUser(bg, 0))(t)
	s = s.Reopen(t)
	if b := result(s.Graph.CreateUser(bg, 0))(t); a.ID == b.ID {
		t.Fatalf("id %d was chosen again after reopening", a.ID)
	}
}

func userCounts(t *testing.T, s Stores) {
	for id := range feed.UserID(5) {
		result(s.Graph.CreateUser(bg, id+1))(t)
	}
	for _, e := range []feed.Follow{{Viewer: 1, Author: 5}, {Viewer: 2, Author: 5}, {Viewer: 2, Author: 5}, {Viewer: 2, Author: 4}} {
		result(s.Graph.Follow(bg, e))(t)
	}
	result(s.Graph.Unfollow(bg, feed.Follow{Viewer: 1, Author: 5}))(t)
	result(s.Graph.Unfollow(bg, feed.Follow{Viewer: 1, Author: 5}))(t)
	got := result(s.Graph.GetUsers(bg, []feed.UserID{5, 1, 2}))(t)
	for i, want := range []feed.User{{ID: 5, Followers: 1}, {ID: 1}, {ID: 2, Following: 2}} {
		if got[i].ID != want.ID || got[i].Followers != want.Followers || got[i].Following != want.Following {
			t.Errorf("user %+v, want %+v", got[i], want)
		}
	}
	counts := result(s.Graph.CountFollowers(bg, []feed.UserID{4, 1 << 62, 5, 1, 5}))(t)
	if want := []int64{1, 0, 1, 0, 1}; !slices.Equal(counts, want) {
		t.Errorf("followers %v, want %v", counts, want)
	}
}

func missingUsers(t *testing.T, s Stores) {
	for _, id := range []feed.UserID{3, 999_999, 1 << 50} {
		result(s.Graph.CreateUser(bg, id))(t)
	}
	asked := []feed.UserID{7, 3, 1 << 62, 999_999, 1 << 50, 7, 1<<50 + 1}
	missing := result(s.Graph.MissingUsers(bg, asked))(t)
	if want := []feed.UserID{7, 1 << 62, 7, 1<<50 + 1}; !slices.Equal(missing, want) {
		t.Errorf("missing users %v, want %v", missing, want)
	}
	if missing := result(s.Graph.MissingUsers(bg, nil))(t); len(missing) != 0 {
		t.Errorf("of no users %v are missing", missing)
	}
}
