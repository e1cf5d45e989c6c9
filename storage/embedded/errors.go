package embedded

import (
	"errors"
	"fmt"

	"skein/feed"
)

// errClosed is what a call on a closed store finds.
var errClosed = errors.New("the store is closed")

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
	return feed.Unavailable(doing, err)
}

// damaged reports a row that this code cannot have written.
func damaged(key []byte) error {
	return &feed.Error{
		Code:    feed.CodeInternal,
		Message: "the store is damaged",
		Err:     fmt.Errorf("the row %x does not have the form of its table; restore the folder from a copy", key),
	}
}
