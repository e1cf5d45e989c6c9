package terminal

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	feedv1 "skein/proto/feed/v1"
)

func userCommand(o *options) *cobra.Command {
	var p paging
	var user int64
	c := &cobra.Command{
		Use:   "user ID",
		Short: "Show a user with the latest posts; `user create` makes one",
		Long: `Show a user: how many follow and are followed (to one percent), and the user's own
posts, newest first.`,
		Example: `  skein user 2
  skein user 2 --posts 5 --json
  skein user create`,
		Args: p.check(o.arguments(0, id("ID", &user))),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error { return o.user(ctx, s, c, p, user) })
		},
	}
	p.bind(c)
	c.AddCommand(createCommand(o))
	return c
}

func (o *options) user(ctx context.Context, s *server, c *cobra.Command, p paging, id int64) error {
	user, err := s.graph.GetUser(ctx, &feedv1.GetUserRequest{Id: id})
	if err != nil {
		return err
	}
	all := &feedv1.GetUserTimelineResponse{}
	all.NextPageToken, err = p.scroll(func(size int32, token string) (int, string, error) {
		page, err := s.timelines.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: id, PageSize: size, PageToken: token})
		all.Posts = append(all.Posts, page.GetPosts()...)
		return len(page.GetPosts()), page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	if o.json {
		return writeUserJSON(c.OutOrStdout(), user, all)
	}
	if err := writeUser(c.OutOrStdout(), user); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.OutOrStdout()); err != nil {
		return err
	}
	if err := writePosts(c.OutOrStdout(), all.GetPosts(), nil); err != nil {
		return err
	}
	o.more(c, id, all.GetNextPageToken())
	return nil
}

// writeUserJSON writes the answers of both calls in one object.
func writeUserJSON(w io.Writer, user *feedv1.User, timeline *feedv1.GetUserTimelineResponse) (err error) {
	var both struct {
		User     json.RawMessage `json:"user"`
		Timeline json.RawMessage `json:"timeline"`
	}
	if both.User, err = inJSON(user); err != nil {
		return err
	}
	if both.Timeline, err = inJSON(timeline); err != nil {
		return err
	}
	return writeJSON(w, both)
}

func writeUser(w io.Writer, u *feedv1.User) error {
	_, err := fmt.Fprintf(w, "user %d, since %s: %s, follows %s\n",
		u.GetId(), clock(u.GetCreateTime()), Count(u.GetFollowerCount(), "follower", "followers"), Grouped(u.GetFollowingCount()))
	return err
}

func createCommand(o *options) *cobra.Command {
	r := &feedv1.CreateUserRequest{}
	return &cobra.Command{
		Use:   "create [ID]",
		Short: "Make a user",
		Long:  "Make a user, with the ID asked for or one of the server's choice.",
		Example: `  skein user create
  skein user create 7`,
		Args: o.arguments(1, id("ID", &r.Id)),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error {
				user, err := s.graph.CreateUser(ctx, r)
				if err != nil {
					return err
				}
				return o.answer(c, user, func(w io.Writer) error { return writeUser(w, user) })
			})
		},
	}
}
