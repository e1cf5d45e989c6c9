package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "skein/proto/feed/v1"
)

// answer writes a message to stdout, in JSON if that is asked for, else as
// people says.
func (o *options) answer(c *cobra.Command, m proto.Message, people func(w io.Writer) error) error {
	if !o.json {
		return people(c.OutOrStdout())
	}
	text, err := inJSON(m)
	if err != nil {
		return err
	}
	return writeJSON(c.OutOrStdout(), text)
}

// inJSON is the standard JSON of a message, with its zeros: ids are strings in
// it, since many programs would round the numbers.
func inJSON(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
}

// writeJSON writes any value of package json, indented.
func writeJSON(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// writePosts writes a table of posts, newest first as they come; how, if not
// nil, says for each how it came onto the page.
func writePosts(w io.Writer, posts []*feedv1.Post, how []feedv1.Source) error {
	if len(posts) == 0 {
		_, err := fmt.Fprintln(w, "No posts.")
		return err
	}
	var b bytes.Buffer // cannot fail; w may
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	columns := func(source string, cells ...string) {
		if how != nil {
			cells = append(cells[:3:3], source, cells[3])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	columns("HOW", "POST", "AUTHOR", "TIME", "TEXT")
	for i, p := range posts {
		source := ""
		if i < len(how) {
			source = sourceOf(how[i]).name
		}
		columns(source, strconv.FormatInt(p.GetId(), 10), strconv.FormatInt(p.GetAuthorId(), 10),
			clock(p.GetCreateTime()), OneLine(p.GetText()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func clock(t *timestamppb.Timestamp) string {
	return t.AsTime().Local().Format("2006-01-02 15:04:05 -0700")
}
