package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"skein/feed"
)

// tokenKind is the list to which a page token belongs.
type tokenKind byte

const (
	homeToken tokenKind = iota + 1
	userToken
	followersToken
	followingToken
)

const (
	tokenVersion = 1
	tokenBody    = 1 + 1 + 8 + 8
	tokenMAC     = 16
)

var (
	tokenText = base64.RawURLEncoding.EncodedLen(tokenBody + tokenMAC)
	notOurs   = feed.Violation{Field: "page_token", Description: "was not given out by this service; start again without one"}
)

// tokens makes and reads page tokens. A token says where the next page begins,
// is bound to its list and to the user whose list it is, and is signed with a key
// that all servers share, so that an altered or foreign one is told apart.
type tokens struct{ key []byte }

// make returns the token of a page that begins at next.
func (t tokens) make(kind tokenKind, user feed.UserID, next uint64) string {
	b := make([]byte, 0, tokenBody+tokenMAC)
	b = append(b, tokenVersion, byte(kind))
	b = binary.BigEndian.AppendUint64(b, uint64(user))
	b = binary.BigEndian.AppendUint64(b, next)
	return base64.RawURLEncoding.EncodeToString(append(b, t.sign(b)...))
}

// read returns where the page begins: first for an empty token. It returns a
// violation for a token that make did not make for this list.
func (t tokens) read(token string, kind tokenKind, user feed.UserID, first uint64) (uint64, []feed.Violation) {
	if token == "" {
		return first, nil
	}
	// The decoder skips line breaks; a token of the right length has no room
	// for one.
	if len(token) != tokenText {
		return 0, []feed.Violation{notOurs}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenBody+tokenMAC || !hmac.Equal(b[tokenBody:], t.sign(b[:tokenBody])) {
		return 0, []feed.Violation{notOurs}
	}
	if b[0] != tokenVersion || tokenKind(b[1]) != kind || feed.UserID(binary.BigEndian.Uint64(b[2:])) != user {
		return 0, []feed.Violation{{Field: "page_token", Description: "belongs to another list; start again without one"}}
	}
	return binary.BigEndian.Uint64(b[10:]), nil
}

func (t tokens) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(body)
	return mac.Sum(nil)[:tokenMAC]
}
