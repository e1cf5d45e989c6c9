package embedded

import (
	"bytes"
	"encoding/binary"

	"skein/feed"
	"skein/feed/policy"
)

// checkRequests checks that every idempotency key has its time of expiry and the
// other way round, and that it points to a post of its author and content, unless
// that was deleted (W3).
func (c *checker) checkRequests() {
	p := pair{
		mirror: newMirror(), first: tableRequests, other: tableRequestTimes, kind: kindRequests,
		toOther: func(key, value []byte) []byte {
			if row := requestOf(key, value); row != nil {
				return row.timeKey()
			}
			return nil
		},
		toFirst: func(key []byte) []byte {
			if len(key) != oneNumber+scopeLen {
				return nil
			}
			return append([]byte{tableRequests}, key[oneNumber:]...)
		},
		onlyFirst: func(other []byte) string {
			return sprint("a request key of user %d never expires: it has no time", second(other))
		},
		onlyOther: func(other []byte) string {
			return sprint("a time of expiry of user %d has no request key, or one of another time", second(other))
		},
	}
	c.each(tableRequests, func(key, value []byte) {
		c.contents.Requests++
		row := requestOf(key, value)
		if row == nil {
			c.malformed(key)
			return
		}
		p.addFirst(row.timeKey())
		c.checkRequest(row)
	})
	c.each(tableRequestTimes, func(key, _ []byte) {
		if len(key) != oneNumber+scopeLen {
			c.malformed(key)
			return
		}
		p.addOther(key)
	})
	c.compare(p)
}

// requestOf decodes a request key; nil if it is malformed.
func requestOf(key, value []byte) *requestRow {
	if len(key) != 1+scopeLen || len(value) != 16+len(content{}) {
		return nil
	}
	row := &requestRow{millis: binary.BigEndian.Uint64(value), post: feed.PostID(binary.BigEndian.Uint64(value[8:]))}
	copy(row.scope[:], key[1:])
	copy(row.content[:], value[16:])
	return row
}

func (c *checker) checkRequest(row *requestRow) {
	author := feed.UserID(binary.BigEndian.Uint64(row.scope[:]))
	key := postKey(row.post)
	c.value(key, func(value []byte) {
		post, err := decodePost(key, value)
		switch {
		case err != nil: // reported with the posts
		case post.Author != author:
			c.found(kindRequests, "a request key of user %d points to post %d of user %d", author, row.post, post.Author)
		case contentOf(post) != row.content:
			c.found(kindRequests, "a request key of user %d points to post %d, which has another content", author, row.post)
		}
	})
}

// checkTiers checks the facts that all share, and every tier history.
func (c *checker) checkTiers() {
	head := sharedHead{settings: policy.DefaultSettings}
	c.value(keyShared, func(value []byte) {
		h, err := decodeSharedHead(keyShared, value)
		switch {
		case err != nil:
			c.malformed(keyShared)
			return
		case h.settings.LoudAt < 1, h.settings.Mode > policy.Pull:
			c.found(kindTiers, "the settings are mode %d, loud at %d followers, which nobody can have set", h.settings.Mode, h.settings.LoudAt)
		}
		head = h
	})
	c.each(tableTierVersions, func(key, value []byte) {
		ns, err := numbers(key, value, 1)
		author, ok := c.id(key)
		if !ok || err != nil {
			if ok {
				c.malformed(key)
			}
			return
		}
		c.contents.Tiers++
		row, same := number(tableTiers, ns[0]), false
		if !c.value(row, func(value []byte) {
			of, _, err := decodeHistory(row, value)
			same = err != nil || of == feed.UserID(author)
		}) || !same {
			c.found(kindTiers, "the tier history of user %d, of version %d, is not there", author, ns[0])
		}
	})
	c.each(tableTiers, func(key, value []byte) {
		version, err := lastNumber(key, oneNumber)
		author, history, decodeErr := decodeHistory(key, value)
		if err != nil || decodeErr != nil {
			c.malformed(key)
			return
		}
		if version > uint64(head.version) {
			c.found(kindTiers, "the tier history of user %d has version %d, beyond the last, %d: nobody learns of it", author, version, head.version)
		}
		if !c.value(number(tableTierVersions, author), func(present []byte) {
			if !bytes.Equal(present, encodeNumbers(version)) {
				c.found(kindTiers, "user %d has a tier history of version %d beside the present one", author, version)
			}
		}) {
			c.found(kindTiers, "the tier history of user %d, of version %d, is not known to be the user's", author, version)
		}
		c.checkHistory(author, history)
	})
}

// checkHistory checks what policy.History.Add keeps.
func (c *checker) checkHistory(author feed.UserID, h policy.History) {
	tier, from := policy.Quiet, feed.PostID(0)
	for _, change := range h {
		if change.Tier == tier || change.Tier != policy.Quiet && change.Tier != policy.Loud || change.From <= from {
			c.found(kindTiers, "the tier history of user %d does not alternate in the order of time: %v", author, h)
			return
		}
		tier, from = change.Tier, change.From
	}
	if len(h) > policy.MaxChanges {
		c.found(kindTiers, "the tier history of user %d has %d changes; at most %d are kept", author, len(h), policy.MaxChanges)
	}
}
