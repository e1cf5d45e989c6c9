package server

import (
	"context"
	"sync/atomic"

	"skein/feed"
	"skein/storage"
)

// knownPlaces is how many users are remembered at most: 1 MiB of them.
const knownPlaces = 1 << 17

// knownUsers is a graph that remembers who was found to exist, so that a post does
// not cost a question about its author. Users are never removed, so what it knows
// stays true; an absent one is asked for again each time. It is safe for concurrent
// use.
type knownUsers struct {
	storage.Graph
	// places hold users by their hash, each the one found last.
	places []atomic.Int64
}

func rememberUsers(graph storage.Graph) *knownUsers {
	return &knownUsers{Graph: graph, places: make([]atomic.Int64, knownPlaces)}
}

func (k *knownUsers) place(user feed.UserID) *atomic.Int64 { return &k.places[user.Hash()%knownPlaces] }

// MissingUsers implements storage.Users. It asks the graph for all or for none.
func (k *knownUsers) MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error) {
	if k.know(ids) {
		return nil, nil
	}
	missing, err := k.Graph.MissingUsers(ctx, ids)
	if err == nil && len(missing) == 0 {
		for _, id := range ids {
			k.place(id).Store(int64(id))
		}
	}
	return missing, err
}

// know reports whether all of ids are remembered. An empty place holds 0, which is
// no user's id.
func (k *knownUsers) know(ids []feed.UserID) bool {
	for _, id := range ids {
		if id <= 0 || k.place(id).Load() != int64(id) {
			return false
		}
	}
	return true
}
