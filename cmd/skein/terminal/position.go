package terminal

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"skein/loadgen/graph"
)

// position is where an import stopped: how many follows, in the order in which
// they are sent, the server has acknowledged. It also bears a fingerprint of all
// that was to be sent, since a number means nothing in another file, or in the
// same one read otherwise. As text it is follows-fingerprint.
type position struct {
	follows     int64 // 0: none was given
	fingerprint uint64
}

// String implements pflag.Value.
func (p *position) String() string {
	if p.follows == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%016x", p.follows, p.fingerprint)
}

// Set implements pflag.Value.
func (p *position) Set(text string) (err error) {
	follows, fingerprint, _ := strings.Cut(text, "-")
	if p.follows, err = strconv.ParseInt(follows, 10, 64); err == nil {
		p.fingerprint, err = strconv.ParseUint(fingerprint, 16, 64)
	}
	if err != nil || p.follows < 1 || p.String() != text {
		return fmt.Errorf("it is not what an import printed when it stopped, like 120000-00c0ffee00c0ffee")
	}
	return nil
}

// Type implements pflag.Value.
func (p *position) Type() string { return "position" }

// positionIn is the position after so many follows of g.
func positionIn(g *graph.Graph, follows int64) *position {
	return &position{follows, fingerprint(g)}
}

// check returns an error if p was printed by the import of another graph.
func (p *position) check(g *graph.Graph) error {
	if p.follows > 0 && (p.follows > g.Follows() || p.fingerprint != fingerprint(g)) {
		return &Failure{
			What: "this is not the import that stopped: the file has changed, or its flags are others",
			Advice: []string{
				"Use the same file with the same --reverse, --undirected and --skip-bad,",
				"or import all of it: leave out --resume-from. What is there already does no harm.",
			},
		}
	}
	return nil
}

// fingerprint is a hash of all follows of g in the order in which they are
// sent. It guards against mistakes, not against forgery.
func fingerprint(g *graph.Graph) uint64 {
	hash := xxhash.New()
	var row []byte
	for viewer := range uint32(g.Users()) {
		row = binary.LittleEndian.AppendUint64(row[:0], uint64(g.ID(viewer)))
		row = binary.LittleEndian.AppendUint64(row, uint64(len(g.Following(viewer))))
		for _, author := range g.Following(viewer) {
			row = binary.LittleEndian.AppendUint64(row, uint64(g.ID(author)))
		}
		_, _ = hash.Write(row) // never fails
	}
	return hash.Sum64()
}
