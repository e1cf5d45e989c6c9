package embedded

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// unreadable reports what Pebble cannot read, once for each file or reason: one
// damaged file is met from many sides, and one line of it is enough. where is used the
// first time.
func (c *checker) unreadable(where string, err error) {
	c.checked.Incomplete = true
	file, said := inOneLine(err)
	if file == "" {
		file = said
	}
	if c.unread[file] {
		return
	}
	if c.unread == nil {
		c.unread = map[string]bool{}
	}
	c.unread[file] = true
	c.found(kindUnreadable, "%s: %s", where, said)
}

// inOneLine is what Pebble says, without what it adds for its own developers, and the
// file that it says is damaged, "" if it names none.
func inOneLine(err error) (file, said string) {
	said, _, _ = strings.Cut(err.Error(), "\n")
	said = strings.ReplaceAll(said, "pebble: ", "")
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		file = filepath.Base(info.Path)
		said = fmt.Sprintf("the file %s is damaged (%s)", file, said)
	}
	return file, said
}
