package redis

import (
	"encoding/binary"
	"fmt"

	"skein/feed"
	"skein/timeline"
)

// A timeline is one list:
//
//	index 0 …      … pushed since │ sorted, newest first … │ header
//
// An entry is 8 bytes, the post's id in the upper 63 bits and "from storage" in
// the lowest, big endian, so that the order of bytes is the order of ids. The
// header is the last element and has another length than any entry:
//
//	offset  0  version of this layout, 1
//	        1  state: 1 being built, 2 live
//	        2  bottom, packed like an entry with its lowest bit set
//	       10  token
//	       18  follow version
//	       26  life of the event log
//	       34  acts
//	       42  when it was created, seconds since 1970, 4 bytes
//	       46  how many entries the sorted part has, 4 bytes
//	       50  stamp: the master_replid under which it was created, 40 hex digits
//
// The scripts know these offsets too, counted from 1.
const (
	entrySize  = 8
	stampSize  = 40
	headerSize = 50 + stampSize

	headerVersion = 1
	stateBuilding = 1
	stateLive     = 2
)

// pack appends the stored form of entries to b.
func pack(b []byte, entries ...timeline.Entry) []byte {
	for _, e := range entries {
		packed := uint64(e.ID()) << 1
		if e.IsRebuilt() {
			packed |= 1
		}
		b = binary.BigEndian.AppendUint64(b, packed)
	}
	return b
}

// unpack is the inverse of pack for the entry at the start of s.
func unpack(s string) timeline.Entry {
	packed := beUint64(s)
	if packed&1 != 0 {
		return timeline.Rebuilt(feed.PostID(packed >> 1))
	}
	return timeline.Delivered(feed.PostID(packed >> 1))
}

// packBottom is the stored form of a bottom: the highest of its id, so that what
// is above it is greater.
func packBottom(bottom feed.PostID) []byte {
	return pack(nil, timeline.Rebuilt(max(bottom, 0)))
}

// number is the stored form of a number in a header.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// header is a decoded header, as far as readers need it.
type header struct {
	timeline.Header
	state timeline.State
	acts  uint64
}

func parseHeader(s string) (header, error) {
	if len(s) != headerSize || s[0] != headerVersion {
		return header{}, fmt.Errorf("a timeline's header has %d bytes and is not of version %d", len(s), headerVersion)
	}
	h := header{acts: beUint64(s[34:]), state: timeline.Building}
	h.Bottom = unpack(s[2:]).ID()
	h.Token = timeline.Token(beUint64(s[10:]))
	h.FollowVersion = beUint64(s[18:])
	h.Life = beUint64(s[26:])
	if s[1] == stateLive {
		h.state = timeline.Live
	}
	return h, nil
}

func beUint64(s string) uint64 {
	_ = s[7]
	return uint64(s[0])<<56 | uint64(s[1])<<48 | uint64(s[2])<<40 | uint64(s[3])<<32 |
		uint64(s[4])<<24 | uint64(s[5])<<16 | uint64(s[6])<<8 | uint64(s[7])
}
