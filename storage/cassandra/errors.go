package cassandra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

// translate is the edge between the driver's errors and ours: every error of the
// driver passes here. What bears a meaning of the contract passes as it is; what the
// server says of our own statements is a fault of ours; all else means that too few
// nodes could be asked, or that their answer was lost.
func translate(doing string, err error) error {
	if err == nil || errors.Is(err, feed.ErrLate) || errors.Is(err, storage.ErrConflict) {
		return err
	}
	if _, ok := errors.AsType[*feed.Error](err); ok {
		return err
	}
	if refused(err) {
		return &feed.Error{Code: feed.CodeInternal, Message: "cannot " + doing, Err: err}
	}
	return feed.Unavailable(doing, err)
}

// refused reports whether an error is the server's and about the statement, and not about
// the cluster: nothing comes of it.
func refused(err error) bool {
	var failure gocql.RequestError
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Code() {
	case gocql.ErrCodeProtocol, gocql.ErrCodeSyntax, gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeUnauthorized:
		return true
	}
	return false
}

// explainOpen looks why a session with a keyspace could not be had: of one that does
// not exist the driver says only that there is no connection.
func explainOpen(ctx context.Context, s settings, err error) error {
	if !errors.Is(err, gocql.ErrNoConnectionsStarted) {
		return explain(s, err)
	}
	session, plain := connect(s, "", callTimeout)
	if plain != nil {
		return explain(s, plain)
	}
	defer session.Close()
	if there, asked := hasKeyspace(ctx, session, s.keyspace); asked == nil && !there {
		return fmt.Errorf("%s has no keyspace %q (run: skein migrate; or correct the URL)", s.where(), s.keyspace)
	}
	return explain(s, err)
}

func hasKeyspace(ctx context.Context, session *gocql.Session, keyspace string) (bool, error) {
	var name string
	err := session.Query(`SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?`, keyspace).
		Consistency(gocql.One).Idempotent(true).WithContext(ctx).Scan(&name)
	if errors.Is(err, gocql.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// explain turns an error of the first connection into one line that says what to do.
func explain(s settings, err error) error {
	text := oneLine(err)
	if strings.Contains(text, "authenti") || strings.Contains(text, "username") {
		return fmt.Errorf("%s refuses user %q (correct the user or the password in the URL): %s", s.where(), s.user, text)
	}
	if strings.Contains(text, "host was filtered") {
		return fmt.Errorf("%s is not in data centre %q (correct the URL's datacenter, or name hosts that are there)", s.where(), s.datacenter)
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok {
		text = oneLine(dial)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	return fmt.Errorf("%s cannot be used (start it, or correct the URL): %s", s.where(), text)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
