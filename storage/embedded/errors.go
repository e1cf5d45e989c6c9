package embedded

import (
	"errors"
	"fmt"

	"skein/feed"
	"skein/internal/readonly"
)

// errClosed is what a call on a closed store finds.
var errClosed = errors.New("the store is closed")

// errNewer is in the error of a folder that a newer program wrote.
var errNewer = errors.New("use a newer program")

// cannotOpen says why a folder was not opened, and what to do.
func (f *fault) cannotOpen(err error) error {
	if failed := f.failed(); failed != nil {
		return failed
	}
	if errors.Is(err, errNewer) {
		return fmt.Errorf("cannot open the store in %s: %w", f.dir, err)
	}
	return fmt.Errorf("cannot open the store in %s (%s): %w", f.dir, readonly.Advice(err), readonly.Plain(err))
}

// translate is the edge between Pebble's errors and ours. An error that bears a
// code already passes; whatever else Pebble says means that the store could not
// be asked. pebble.ErrNotFound never gets here: lookup turns it into an answer.
func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*feed.Error](err); ok {
		return err
	}
	return feed.Unavailable(doing, readonly.Plain(err))
}

// damaged reports a row that this code cannot have written.
func damaged(key []byte) error {
	return &feed.Error{
		Code:    feed.CodeInternal,
		Message: "the store is damaged",
		Err:     fmt.Errorf("%w: the row %x does not have the form of its table", readonly.ErrDamaged, key),
	}
}
