package oracle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"skein/feed"
)

// filler makes posts differ in length, and says what a scroll is about.
const filler = "One post in a skein of many: whoever follows its author finds it, once, in its place, until it is deleted."

// name is how a post begins, and how a person finds it again.
func (h *History) name(n Number, author uint32) string {
	b := make([]byte, 0, 256)
	b = append(b, h.cfg.Run...)
	b = strconv.AppendUint(append(b, " #"...), uint64(n), 10)
	b = strconv.AppendInt(append(b, " of author "...), int64(h.cfg.Graph.ID(author)), 10)
	return string(b)
}

// text is what post n says: its name, and a tail whose length depends on n.
func (h *History) text(n Number, author uint32) string {
	return h.name(n, author) + ". " + filler[:1+int(n*37)%len(filler)]
}

// payloadOf gives every fourth post a payload.
func payloadOf(n Number) []byte {
	if n%4 != 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, feed.UserID(n+1).Hash())
}

// numberOf reads the number back from a text of this run.
func (h *History) numberOf(text string) (n Number, ok bool) {
	rest, ok := strings.CutPrefix(text, h.cfg.Run+" #")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	v, err := strconv.ParseUint(digits, 10, 32)
	return Number(v), err == nil
}

// identify finds the post that an item shows. fault says what is wrong with
// the item; foreign, that it is older than the history. The caller holds mu.
func (h *History) identify(it Item) (n Number, fault string, foreign bool) {
	n, marked := h.numberOf(it.Text)
	if !marked || int(n) >= len(h.mu.posts) {
		return h.identifyByID(it)
	}
	r := &h.mu.posts[n]
	switch {
	case r.id != 0 && r.id != it.ID:
		return n, fmt.Sprintf("%s has the id %d", h.name(n, r.author), r.id), false
	case h.cfg.Graph.ID(r.author) != it.Author:
		return n, fmt.Sprintf("its author %d is not the one who wrote it", it.Author), false
	case it.Text != h.text(n, r.author):
		return n, "its text was altered", false
	case !bytes.Equal(it.Payload, payloadOf(n)):
		return n, "its payload was altered", false
	case r.refused:
		return n, "its call was refused", false
	}
	return n, "", false
}

// identifyByID is for a text that this run did not write.
func (h *History) identifyByID(it Item) (n Number, fault string, foreign bool) {
	if author, ok := h.cfg.Graph.Index(it.Author); ok {
		for _, n := range h.mu.byAuthor[author] {
			if h.mu.posts[n].id == it.ID {
				return n, "its text was altered", false
			}
		}
	}
	if it.ID <= h.mu.foreign {
		return 0, "", true
	}
	return 0, "nobody wrote it", false
}
