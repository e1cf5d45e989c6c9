package readonly

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Damage remembers what could not be read. One damaged file is met from many sides,
// and one line of it is enough. The zero value is ready; it is not safe for concurrent
// use.
type Damage struct{ said map[string]bool }

// Say returns an error of Pebble in one line that begins with where it was met, and
// whether it is the first of its file or, if it names none, of its words.
func (d *Damage) Say(where string, err error) (line string, first bool) {
	file, said := inOneLine(err)
	if file == "" {
		file = said
	}
	if d.said[file] {
		return "", false
	}
	if d.said == nil {
		d.said = map[string]bool{}
	}
	d.said[file] = true
	return where + ": " + said, true
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
