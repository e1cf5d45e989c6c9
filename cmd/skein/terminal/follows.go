package terminal

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	feedv1 "skein/proto/feed/v1"
)

func followCommand(o *options) *cobra.Command {
	r := &feedv1.FollowRequest{}
	return &cobra.Command{
		Use:     "follow VIEWER AUTHOR",
		Short:   "Follow somebody",
		Long:    "Let VIEWER follow AUTHOR. The next home timeline shows the author's posts, older\nones too. Following twice is following once.",
		Example: "  skein follow 1 2",
		Args:    o.arguments(0, id("VIEWER", &r.ViewerId), id("AUTHOR", &r.AuthorId)),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error {
				done, err := s.graph.Follow(ctx, r)
				if err != nil {
					return err
				}
				return o.answer(c, done, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%d follows %d\n", r.GetViewerId(), r.GetAuthorId())
					return err
				})
			})
		},
	}
}

func unfollowCommand(o *options) *cobra.Command {
	r := &feedv1.UnfollowRequest{}
	return &cobra.Command{
		Use:     "unfollow VIEWER AUTHOR",
		Short:   "Follow somebody no more",
		Long:    "Let VIEWER follow AUTHOR no more. The next home timeline shows none of the author's\nposts. Unfollowing somebody not followed is no error.",
		Example: "  skein unfollow 1 2",
		Args:    o.arguments(0, id("VIEWER", &r.ViewerId), id("AUTHOR", &r.AuthorId)),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error {
				done, err := s.graph.Unfollow(ctx, r)
				if err != nil {
					return err
				}
				return o.answer(c, done, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%d no longer follows %d\n", r.GetViewerId(), r.GetAuthorId())
					return err
				})
			})
		},
	}
}
