package embedded

import (
	"encoding/binary"
	"fmt"

	"skein/feed"
	"skein/storage"
)

func sprint(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func (c *checker) checkUsers() {
	c.each(tableUsers, func(key, value []byte) {
		c.contents.Users++
		if _, ok := c.id(key); !ok {
			return
		}
		if _, err := numbers(key, value, 1); err != nil {
			c.malformed(key)
		}
	})
}

// checkFollows checks that every edge is readable from both ends, that its users
// exist, that a set's head agrees with its edges, and that followers are counted
// right.
func (c *checker) checkFollows() {
	p := pair{
		mirror: newMirror(), first: tableFollows, other: tableFollowers, kind: kindFollows,
		toOther: func(key, _ []byte) []byte {
			if len(key) != twoNumbers {
				return nil // a head
			}
			return followersKey(feed.UserID(second(key)), userOf(key).Hash())
		},
		toFirst: func(key []byte) []byte {
			if len(key) != twoNumbers {
				return nil
			}
			return followsKey(feed.UserOfHash(second(key)), userOf(key))
		},
		onlyFirst: func(other []byte) string {
			viewer := feed.UserOfHash(second(other))
			return sprint("user %d follows user %d, and is not among the followers: posts do not reach %[1]d", viewer, userOf(other))
		},
		onlyOther: func(other []byte) string {
			viewer := feed.UserOfHash(second(other))
			return sprint("user %d is among the followers of user %d, and does not follow", viewer, userOf(other))
		},
	}
	c.checkFollowing(p.mirror)
	c.checkFollowers(p.mirror)
	c.compare(p)
}

// checkFollowing reads the viewers' side.
func (c *checker) checkFollowing(m *mirror) {
	users := c.along(tableUsers)
	defer users.close()
	var viewer feed.UserID
	var head followHead
	edges, began, hasHead := uint64(0), false, false
	end := func() {
		switch {
		case !began:
		case !hasHead && edges > 0:
			c.found(kindFollows, "the follow set of user %d has no head, so it counts no version", viewer)
		case head.count != edges:
			c.found(kindCounts, "user %d is said to follow %d and follows %d", viewer, head.count, edges)
		}
	}
	c.each(tableFollows, func(key, value []byte) {
		if len(key) != oneNumber && len(key) != twoNumbers || !userOf(key).Valid() {
			c.malformed(key)
			return
		}
		if u := userOf(key); u != viewer || !began {
			end()
			viewer, edges, began, hasHead, head = u, 0, true, false, followHead{}
			if _, exists := users.row(number(tableUsers, u)); !exists {
				c.found(kindUsers, "user %d has a follow set and does not exist", u)
			}
		}
		if len(key) == oneNumber {
			ns, err := numbers(key, value, 2)
			if err != nil {
				c.malformed(key)
			}
			hasHead, head = true, followHead{version: storage.FollowVersion(ns[0]), count: ns[1]}
			return
		}
		edges++
		c.contents.Follows++
		since, err := numbers(key, value, 1)
		switch author := feed.UserID(second(key)); {
		case err != nil || !author.Valid():
			c.malformed(key)
		case since[0] == 0 || since[0] > uint64(head.version):
			c.found(kindFollows, "user %d follows user %d since version %d of a set that is at version %d", viewer, author, since[0], head.version)
		}
		m.addFirst(followersKey(feed.UserID(second(key)), viewer.Hash()))
	})
	if !c.torn[tableFollows] {
		end()
	}
}

// checkFollowers reads the authors' side.
func (c *checker) checkFollowers(m *mirror) {
	users, counts := c.along(tableUsers), c.along(tableFollowerCounts)
	defer users.close()
	defer counts.close()
	var author feed.UserID
	edges := int64(0)
	end := func() {
		if edges == 0 {
			return
		}
		value, found := counts.row(number(tableFollowerCounts, author))
		if ns, err := numbers(nil, value, 1); found && err == nil && int64(ns[0]) != edges || !found {
			c.found(kindCounts, "user %d is said to have %d followers and has %d", author, int64(ns[0]), edges)
		}
	}
	c.each(tableFollowers, func(key, _ []byte) {
		if len(key) != twoNumbers || !userOf(key).Valid() {
			c.malformed(key)
			return
		}
		if u := userOf(key); u != author {
			end()
			author, edges = u, 0
			if _, exists := users.row(number(tableUsers, u)); !exists {
				c.found(kindUsers, "user %d has followers and does not exist", u)
			}
		}
		edges++
		m.addOther(key)
	})
	if c.torn[tableFollowers] {
		return
	}
	end()
	followers := c.along(tableFollowers)
	defer followers.close()
	c.each(tableFollowerCounts, func(key, value []byte) {
		ns, err := numbers(key, value, 1)
		if _, ok := c.id(key); !ok || err != nil {
			if ok {
				c.malformed(key)
			}
			return
		}
		if ns[0] == 0 {
			return
		}
		if _, any := followers.row(number(tableFollowers, userOf(key))); !any {
			c.found(kindCounts, "user %d is said to have %d followers and has none", userOf(key), int64(ns[0]))
		}
	})
}

// second is the second number of a key of two.
func second(key []byte) uint64 { return binary.BigEndian.Uint64(key[oneNumber:]) }
