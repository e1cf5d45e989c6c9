package terminal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	feedv1 "skein/proto/feed/v1"
)

// maxTyped bounds what is read from stdin, in bytes: more than the server takes,
// which says how much that is.
const maxTyped = 64 << 10

func postCommand(o *options) *cobra.Command {
	var text string
	r := &feedv1.CreatePostRequest{}
	c := &cobra.Command{
		Use:   "post AUTHOR 'TEXT'",
		Short: "Post a text",
		Long: `Post a text as AUTHOR, and print the post's id. TEXT is one argument of at most 500
characters, so put it in quotes; - reads it from stdin.

Each post is sent with a request id. Should the answer be lost, the error names
it: repeat the command with it, and there is one post, not two.`,
		Example: `  skein post 2 'honk'
  fortune | skein post 2 -`,
		Args: o.arguments(0, id("AUTHOR", &r.AuthorId), argument{"'TEXT'", func(given string) error {
			text = given
			return nil
		}}),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if r.Text, err = typed(text, c.InOrStdin()); err != nil {
				return err
			}
			return o.post(c, r)
		},
	}
	c.Flags().StringVar(&r.RequestId, "request-id", "", "makes repeated commands one post; \"\": one of its own")
	return c
}

// typed is the text to post, which is on stdin if the argument is "-".
func typed(argument string, stdin io.Reader) (string, error) {
	text := argument
	if argument == "-" {
		read, err := io.ReadAll(io.LimitReader(stdin, maxTyped+1))
		if err != nil {
			return "", fmt.Errorf("cannot read the text from stdin: %w", err)
		}
		if len(read) > maxTyped {
			return "", fmt.Errorf("the text has more than %d bytes; a post has 500 characters; nothing was posted", maxTyped)
		}
		text = string(read)
		// The end of the last line is the shell's, not the author's.
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
	}
	if !utf8.ValidString(text) {
		return "", errors.New("the text is not valid UTF-8; nothing was posted")
	}
	return text, nil
}

func (o *options) post(c *cobra.Command, r *feedv1.CreatePostRequest) error {
	repeated := r.RequestId != ""
	if !repeated {
		r.RequestId = rand.Text()
	}
	err := o.call(c.Context(), func(ctx context.Context, s *server) error {
		post, err := s.posts.CreatePost(ctx, r)
		if err != nil {
			return err
		}
		said := "posted %d\n"
		if repeated { // then the answer is the first one's, of a post that may be gone
			found, err := s.posts.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: []int64{post.GetId()}})
			if err != nil {
				return err
			}
			if len(found.GetPosts()) == 0 {
				said = "posted %d before with this request id, and deleted since: nobody sees it\n"
			}
		}
		return o.answer(c, post, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, said, post.GetId())
			return err
		})
	})
	if f, ok := errors.AsType[*Failure](err); ok && f.uncertain {
		f.Advice = append(f.Advice, fmt.Sprintf("It may have been posted. Repeat it with --request-id %s, and it is one post.", r.RequestId))
	}
	return err
}

func deleteCommand(o *options) *cobra.Command {
	r := &feedv1.DeletePostRequest{}
	return &cobra.Command{
		Use:     "delete AUTHOR POST",
		Short:   "Delete a post of one's own",
		Long:    "Delete a post of AUTHOR's. When this returns, nobody's next read shows it.",
		Example: "  skein delete 2 7396521436512256",
		Args:    o.arguments(0, id("AUTHOR", &r.AuthorId), id("POST", &r.Id)),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error {
				empty, err := s.posts.DeletePost(ctx, r)
				if err != nil {
					return err
				}
				return o.answer(c, empty, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "deleted %d\n", r.GetId())
					return err
				})
			})
		},
	}
}
