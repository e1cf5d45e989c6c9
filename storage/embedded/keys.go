package embedded

import (
	"encoding/binary"

	"skein/feed"
)

// Every key begins with the byte of its table; numbers are big endian, so that
// keys sort as numbers do. Times are milliseconds since feed.Epoch, in 8 bytes.
//
//	table            key                          value
//	meta             name                         as named
//	posts            post                         a post
//	byAuthor         author, ^post (newest first) empty
//	events           post                         a post; the outbox
//	requests         author, hash of the key      time, post, content hash
//	requestTimes     time, author, hash           empty; the order of expiry
//	leases           node (2 bytes)               time until which it is granted
//	users            user                         time of creation
//	followerCounts   author                       int64, merged by addition
//	follows          viewer                       version, count: the set's head
//	follows          viewer, author               version that the follow made
//	followers        author, hash of viewer       empty
//	sharedHead       (nothing)                    version, life, mode, loudAt
//	tierVersions     author                       version of its present history
//	tiers            version                      author, history
//
// A viewer's head sorts right before the edges, and the three shared tables are
// neighbours, so that one iterator reads each group as one consistent state.
const (
	tableMeta           = 0x01
	tablePosts          = 0x10
	tableByAuthor       = 0x11
	tableEvents         = 0x12
	tableRequests       = 0x13
	tableRequestTimes   = 0x14
	tableLeases         = 0x15
	tableUsers          = 0x20
	tableFollowerCounts = 0x21
	tableFollows        = 0x22
	tableFollowers      = 0x23
	tableSharedHead     = 0x30
	tableTierVersions   = 0x31
	tableTiers          = 0x32
)

// Lengths of keys by what follows the table byte.
const (
	oneNumber  = 1 + 8
	twoNumbers = 1 + 8 + 8
)

var (
	keyFormat   = []byte{tableMeta, 'f'}
	keyToken    = []byte{tableMeta, 't'}
	keyLogName  = []byte{tableMeta, 'l'}
	keyShared   = []byte{tableSharedHead}
	eventsEnd   = []byte{tableEvents + 1}
	sharedEnd   = []byte{tableTiers + 1}
	allTierRows = []byte{tableTiers}
)

// number makes the key of a table with one number.
func number[T ~int64 | ~uint64](table byte, n T) []byte {
	return appendNumber(make([]byte, 0, twoNumbers), table, n)
}

func appendNumber[T ~int64 | ~uint64](dst []byte, table byte, n T) []byte {
	return binary.BigEndian.AppendUint64(append(dst, table), uint64(n))
}

func postKey(id feed.PostID) []byte  { return number(tablePosts, id) }
func eventKey(id feed.PostID) []byte { return number(tableEvents, id) }

// byAuthorKey sorts an author's posts newest first.
func byAuthorKey(author feed.UserID, id feed.PostID) []byte {
	return appendByAuthor(nil, author, id)
}

func appendByAuthor(dst []byte, author feed.UserID, id feed.PostID) []byte {
	dst = appendNumber(dst, tableByAuthor, author)
	return binary.BigEndian.AppendUint64(dst, ^uint64(id))
}

func followsKey(viewer, author feed.UserID) []byte {
	return binary.BigEndian.AppendUint64(number(tableFollows, viewer), uint64(author))
}

func followersKey(author feed.UserID, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(number(tableFollowers, author), hash)
}

func leaseKey(node uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{tableLeases}, node)
}

// nextKey is the least key of the table behind those that begin with n.
func nextKey[T ~int64 | ~uint64](table byte, n T) []byte {
	if uint64(n) == 1<<64-1 {
		return []byte{table + 1}
	}
	return number(table, uint64(n)+1)
}

// lastNumber reads the 8 bytes at the end of a key of the given length. Keys are
// ours, yet a damaged store must not make us panic.
func lastNumber(key []byte, length int) (uint64, error) {
	if len(key) != length {
		return 0, damaged(key)
	}
	return binary.BigEndian.Uint64(key[length-8:]), nil
}
