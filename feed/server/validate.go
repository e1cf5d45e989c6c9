package server

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

const (
	maxTextCharacters = 500
	maxTextBytes      = 16 << 10
	maxPayloadBytes   = 4 << 10
	maxRequestIDBytes = 128
	maxBatch          = 200

	// maxViolations is how many violations an error names: it travels in the
	// trailers, of which some clients take no more than 8 KiB.
	maxViolations = 16

	defaultPageSize = 50
	maxPageSize     = 200
)

// violations gathers what is wrong with a request.
type violations []feed.Violation

func (v *violations) add(field, format string, args ...any) {
	*v = append(*v, feed.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
}

func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return feed.Invalid(v[:min(len(v), maxViolations)]...)
}

func (v *violations) id(field string, id int64) {
	if id <= 0 {
		v.add(field, "is %d; an id lies between 1 and 2^63-1", id)
	}
}

// pageSize returns the size to use.
func (v *violations) pageSize(size int32) int {
	switch {
	case size < 0:
		v.add("page_size", "is %d; it must not be negative", size)
	case size == 0:
		return defaultPageSize
	case size > maxPageSize:
		return maxPageSize
	}
	return int(size)
}

func (v *violations) text(text string) {
	switch {
	case strings.TrimSpace(text) == "":
		v.add("text", "is empty, or blank")
	case len(text) > maxTextBytes:
		v.add("text", "has %d bytes; at most %d are allowed", len(text), maxTextBytes)
	case !utf8.ValidString(text):
		v.add("text", "is not valid UTF-8")
	default:
		// A character is at least a byte: most texts need no counting.
		if len(text) > maxTextCharacters {
			if n := uniseg.GraphemeClusterCount(text); n > maxTextCharacters {
				v.add("text", "has %d characters; at most %d are allowed", n, maxTextCharacters)
			}
		}
	}
}

func validateCreatePost(r *feedv1.CreatePostRequest) error {
	var v violations
	v.id("author_id", r.GetAuthorId())
	v.text(r.GetText())
	if n := len(r.GetPayload()); n > maxPayloadBytes {
		v.add("payload", "has %d bytes; at most %d are allowed", n, maxPayloadBytes)
	}
	if n := len(r.GetRequestId()); n > maxRequestIDBytes {
		v.add("request_id", "has %d bytes; at most %d are allowed", n, maxRequestIDBytes)
	}
	return v.err()
}

func validateDeletePost(r *feedv1.DeletePostRequest) error {
	var v violations
	v.id("id", r.GetId())
	v.id("author_id", r.GetAuthorId())
	return v.err()
}

func validateBatchGet(r *feedv1.BatchGetPostsRequest) error {
	var v violations
	if n := len(r.GetIds()); n == 0 || n > maxBatch {
		v.add("ids", "has %d ids; 1 to %d are allowed", n, maxBatch)
		return v.err()
	}
	for i, id := range r.GetIds() {
		v.id(fmt.Sprintf("ids[%d]", i), id)
	}
	return v.err()
}

// edge checks both ends of a follow; prefix names the edge within a
// larger request.
func (v *violations) edge(prefix string, viewer, author int64) {
	v.id(prefix+"viewer_id", viewer)
	v.id(prefix+"author_id", author)
	if viewer == author && viewer > 0 {
		v.add(prefix+"author_id", "is the viewer; nobody follows themselves")
	}
}

func validateImport(r *feedv1.ImportFollowsRequest) error {
	var v violations
	if n := len(r.GetFollows()); n == 0 || n > storage.MaxImport {
		v.add("follows", "has %d follows; 1 to %d are allowed in a message", n, storage.MaxImport)
		return v.err()
	}
	for i, f := range r.GetFollows() {
		v.edge(fmt.Sprintf("follows[%d].", i), f.GetViewerId(), f.GetAuthorId())
		if len(v) >= maxViolations {
			break
		}
	}
	return v.err()
}
