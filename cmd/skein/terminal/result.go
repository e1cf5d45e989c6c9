package terminal

import (
	"fmt"
	"io"

	"skein/loadgen/graph"
)

// importResult is what became of a file, each line accounted for. Its JSON is
// what scripts see.
type importResult struct {
	File         string `json:"file"`
	Lines        int64  `json:"lines"`
	Users        int    `json:"users"`
	Follows      int64  `json:"follows"`
	Shifted      bool   `json:"shifted"` // each id is the file's node plus 1
	SelfFollows  int64  `json:"selfFollows"`
	Duplicates   int64  `json:"duplicates"`
	SkippedLines int64  `json:"skippedLines"`
	FirstSkipped string `json:"firstSkipped"`

	ResumedFrom  int64   `json:"resumedFrom"`
	Sent         int64   `json:"sent"`
	Added        int64   `json:"added"`
	UsersCreated int64   `json:"usersCreated"`
	Seconds      float64 `json:"seconds"`
}

func newImportResult(file string, g *graph.Graph, n graph.Notes) *importResult {
	return &importResult{
		File: file, Lines: n.Lines, Users: g.Users(), Follows: g.Follows(), Shifted: n.Shifted,
		SelfFollows: n.SelfFollows, Duplicates: n.Duplicates, SkippedLines: n.Skipped, FirstSkipped: n.FirstSkipped,
	}
}

// writeRead says what was found in the file.
func (r *importResult) writeRead(w io.Writer) error {
	shift, first := "", ""
	if r.Shifted {
		shift = "; the file has a node 0, so each id is its node plus 1"
	}
	if r.SkippedLines > 0 {
		first = "\n         the first: " + OneLine(r.FirstSkipped)
	}
	_, err := fmt.Fprintf(w, `File     %s: %s
Users    %s%s
Follows  %s
Dropped  %s, %s, %s%s
`, r.File, Count(r.Lines, "line", "lines"), Grouped(int64(r.Users)), shift, Grouped(r.Follows),
		Count(r.SelfFollows, "self-follow", "self-follows"), Count(r.Duplicates, "duplicate", "duplicates"), Count(r.SkippedLines, "bad line", "bad lines"), first)
	return err
}

// writeSent says what the server made of it.
func (r *importResult) writeSent(w io.Writer) error {
	resumed := ""
	if r.ResumedFrom > 0 {
		resumed = fmt.Sprintf(", after %s of before", Grouped(r.ResumedFrom))
	}
	_, err := fmt.Fprintf(w, "Sent     %s%s; %s new, and %s made\n",
		Count(r.Sent, "follow", "follows"), resumed, Grouped(r.Added), Count(r.UsersCreated, "user", "users"))
	return err
}
