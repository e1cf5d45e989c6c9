package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"skein/fanout/eventlog"
	embeddedlog "skein/fanout/eventlog/embedded"
	"skein/feed"
	embeddedstorage "skein/storage/embedded"
)

// CheckOptions says what a check must know of what runs on top, and whom it tells
// what. All are required. One goroutine calls the functions.
type CheckOptions struct {
	// Topics of the event log; Origin is that in which every post comes into
	// it, under the Key of its author; Record says why a record of a topic
	// cannot be handled.
	Topics []eventlog.Topic
	Origin string
	Key    func(feed.UserID) []byte
	Record func(topic string, r eventlog.Record) error
	// Found is told of everything that is wrong: one of a few kinds, and which.
	Found func(kind, detail string)
	// Step is told how many rows more were read.
	Step func(rows int64)
}

// Contents counts what a data directory holds, as far as it can be read: where not all
// of storage or of the log can be, that is said.
type Contents struct {
	Posts       int64 `json:"posts"`
	Outbox      int64 `json:"outbox"`
	RequestKeys int64 `json:"requestKeys"`
	Users       int64 `json:"users"`
	Follows     int64 `json:"follows"`
	Tiers       int64 `json:"tierHistories"`
	Topics      int64 `json:"topics"`
	Records     int64 `json:"records"`

	StorageIncomplete bool `json:"storageIncomplete"`
	LogIncomplete     bool `json:"logIncomplete"`
}

// Check reads the embedded engines' data in dir, whose lock the caller has, and
// holds it against their invariants. It changes nothing. What is wrong goes to
// Found; the error is ctx's alone.
func Check(ctx context.Context, dir string, o CheckOptions) (c Contents, err error) {
	log, err := embeddedlog.Check(ctx, filepath.Join(dir, logFolder), embeddedlog.CheckOptions{
		Topics: o.Topics, Origin: o.Origin, Record: o.Record, Found: o.Found, Step: o.Step,
	})
	if err != nil {
		return c, err
	}
	store, err := embeddedstorage.Check(ctx, filepath.Join(dir, storageFolder), embeddedstorage.CheckOptions{
		Found: o.Found, Step: o.Step, Logged: log.Posts(),
		Token: func(key []byte) {
			if known, err := os.ReadFile(filepath.Join(dir, identityFile)); err != nil || strings.TrimSpace(string(known)) != identityOf(key) {
				o.Found("identity", fmt.Sprintf("the file %s is missing, or that of another storage than this one", identityFile))
			}
		},
		Relayed: func(r feed.Ref) {
			if log.Lacks(o.Key(r.Author), r.Post) {
				o.Found("event", fmt.Sprintf("post %d of user %d is neither in the outbox nor in the log: it was not pushed to anybody", r.Post, r.Author))
			}
		},
	})
	return Contents{
		Posts: store.Posts, Outbox: store.Events, RequestKeys: store.Requests, Users: store.Users,
		Follows: store.Follows, Tiers: store.Tiers, Topics: log.Topics, Records: log.Records,
		StorageIncomplete: store.Incomplete, LogIncomplete: log.Incomplete,
	}, err
}
