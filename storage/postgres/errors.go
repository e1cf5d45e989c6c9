package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"skein/feed"
	"skein/storage"
)

// SQLSTATEs that we tell apart. A class is the first two characters.
const (
	codeLate         = "SK001" // raised by create_post
	codeNoTable      = "42P01"
	codeNoDatabase   = "3D000"
	codeNotNow       = "57P03" // starting, stopping or recovering
	codeDeadlock     = "40P01"
	codeConflict     = "40001"
	codeReadOnly     = "25006" // a primary that became a standby
	codeIdleTooLong  = "25P03" // holdTimeout
	codeLockTimeout  = "55P03"
	classConnection  = "08"
	classAuth        = "28"
	classRollback    = "40"
	classResources   = "53" // too many connections, a full disk
	classIntervening = "57" // shutdown, crash, cancel
	classSystem      = "58" // the server's I/O failed
)

// translate is the edge between the driver's errors and ours: every error of the
// driver passes here. What bears a meaning of the contract passes as it is; what
// the server says of our own statements is a fault of ours; all else means that
// the server could not be asked, or that its answer was lost.
func translate(doing string, err error) error {
	if err == nil || errors.Is(err, feed.ErrLate) || errors.Is(err, storage.ErrConflict) {
		return err
	}
	if _, ok := errors.AsType[*feed.Error](err); ok {
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == codeLate:
			return feed.ErrLate
		case !passing(pg.Code):
			return &feed.Error{Code: feed.CodeInternal, Message: "cannot " + doing, Err: err}
		}
	}
	return feed.Unavailable(doing, err)
}

// passing reports whether the server may answer another time.
func passing(code string) bool {
	switch code {
	case codeReadOnly, codeIdleTooLong, codeLockTimeout:
		return true
	}
	switch code[:min(2, len(code))] {
	case classConnection, classRollback, classResources, classIntervening, classSystem:
		return true
	}
	return false
}

// explainURL says what is wrong with a URL, without the URL: it holds a password,
// and one that cannot be parsed cannot be cut reliably.
func explainURL(err error) error {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return errors.New("the URL of PostgreSQL is malformed: it has the form postgres://user:password@host:5432/database?option=value, with what is special in a password percent-encoded")
	}
	return fmt.Errorf("PostgreSQL: %w", err)
}

// explain turns an error of the first connection into one line that says what to
// do.
func explain(c *pgx.ConnConfig, err error) error {
	where := net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pg.Code, classAuth):
			return fmt.Errorf("PostgreSQL at %s refuses user %q (correct the user or the password in the URL): %s", where, c.User, pg.Message)
		case pg.Code == codeNoDatabase:
			return fmt.Errorf("PostgreSQL at %s has no database %q (run: createdb %s; or correct the URL)", where, c.Database, c.Database)
		case pg.Code == codeNotNow:
			return fmt.Errorf("PostgreSQL at %s is not ready (wait until it is): %s", where, pg.Message)
		}
		return fmt.Errorf("PostgreSQL at %s cannot be used (correct what it says, in its settings or in the URL): %s", where, pg.Message)
	}
	cause := err
	if dial, ok := errors.AsType[*net.OpError](err); ok {
		cause = dial
	}
	if errors.Is(err, context.DeadlineExceeded) {
		cause = errors.New("no answer in time")
	}
	return fmt.Errorf("PostgreSQL at %s cannot be used (start it, or correct the URL): %s", where, oneLine(cause))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
