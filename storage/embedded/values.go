package embedded

import (
	"encoding/binary"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// Values are fixed numbers, big endian, except texts and histories, which come
// last and bear their length where something follows. Every decoder takes the
// key, for the error that it returns when the bytes do not fit.

// encodePost writes author, length of the text, text, payload.
func encodePost(p feed.Post) []byte {
	v := make([]byte, 0, 8+binary.MaxVarintLen64+len(p.Text)+len(p.Payload))
	v = binary.BigEndian.AppendUint64(v, uint64(p.Author))
	v = binary.AppendUvarint(v, uint64(len(p.Text)))
	v = append(v, p.Text...)
	return append(v, p.Payload...)
}

func decodePost(key, v []byte) (feed.Post, error) {
	id, err := lastNumber(key, oneNumber)
	if err != nil {
		return feed.Post{}, err
	}
	author, err := postAuthor(key, v)
	if err != nil {
		return feed.Post{}, err
	}
	length, n := binary.Uvarint(v[8:])
	if n <= 0 || length > uint64(len(v)-8-n) {
		return feed.Post{}, damaged(key)
	}
	text, payload := v[8+n:8+n+int(length)], v[8+n+int(length):]
	p := feed.Post{ID: feed.PostID(id), Author: author, Text: string(text)}
	if len(payload) > 0 {
		p.Payload = append([]byte(nil), payload...)
	}
	return p, nil
}

// postAuthor reads no more of a post than its author.
func postAuthor(key, v []byte) (feed.UserID, error) {
	if len(v) < 8 {
		return 0, damaged(key)
	}
	return feed.UserID(binary.BigEndian.Uint64(v)), nil
}

// numbers decodes a value of exactly n numbers.
func numbers(key, v []byte, n int) ([3]uint64, error) {
	var out [3]uint64
	if len(v) != 8*n || n > len(out) {
		return out, damaged(key)
	}
	for i := range n {
		out[i] = binary.BigEndian.Uint64(v[8*i:])
	}
	return out, nil
}

func encodeNumbers(ns ...uint64) []byte {
	v := make([]byte, 0, 8*len(ns))
	for _, n := range ns {
		v = binary.BigEndian.AppendUint64(v, n)
	}
	return v
}

// sharedHead is what GetTiers tells besides histories.
type sharedHead struct {
	version  storage.TierVersion
	life     storage.Life
	settings policy.Settings
}

func (h sharedHead) encode() []byte {
	v := encodeNumbers(uint64(h.version), uint64(h.life), uint64(h.settings.LoudAt))
	return append(v, byte(h.settings.Mode))
}

func decodeSharedHead(key, v []byte) (sharedHead, error) {
	if len(v) != 25 {
		return sharedHead{}, damaged(key)
	}
	n, err := numbers(key, v[:24], 3)
	return sharedHead{
		version:  storage.TierVersion(n[0]),
		life:     storage.Life(n[1]),
		settings: policy.Settings{LoudAt: int64(n[2]), Mode: policy.Mode(v[24])},
	}, err
}

// changeLen is the length of one change of a history: its id and its tier.
const changeLen = 9

func encodeHistory(author feed.UserID, h policy.History) []byte {
	v := encodeNumbers(uint64(author))
	for _, c := range h {
		v = append(binary.BigEndian.AppendUint64(v, uint64(c.From)), byte(c.Tier))
	}
	return v
}

func decodeHistory(key, v []byte) (feed.UserID, policy.History, error) {
	if len(v) < 8 || (len(v)-8)%changeLen != 0 {
		return 0, nil, damaged(key)
	}
	author := feed.UserID(binary.BigEndian.Uint64(v))
	var h policy.History
	for v = v[8:]; len(v) > 0; v = v[changeLen:] {
		h = append(h, policy.Change{From: feed.PostID(binary.BigEndian.Uint64(v)), Tier: policy.Tier(v[8])})
	}
	return author, h, nil
}
