package terminal

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	feedv1 "skein/proto/feed/v1"
)

func homeCommand(o *options) *cobra.Command {
	var p paging
	r := &feedv1.GetHomeTimelineRequest{}
	c := &cobra.Command{
		Use:   "home VIEWER",
		Short: "Show a home timeline",
		Long: `Show the home timeline of VIEWER: own posts and those of everybody followed, newest
first.

--explain says how each post came onto the page. As a rule it was pushed: a worker
wrote it into the stored timeline of each follower. The posts of loud authors, who have
many followers (see skein policy --help), are pulled: read from storage when somebody
asks. So are posts whose delivery failed and was set aside (see skein deadletters
--help), and those that are not delivered yet. A stored timeline that is not there, as
nobody read it yet, or for long, or since it was lost (with timelines in memory: since
the start), is rebuilt: made anew from storage.`,
		Example: `  skein home 1
  skein home 1 --explain
  skein home 1 --posts 1000 --json | jq -r '.posts[].text'`,
		Args: p.check(o.arguments(0, id("VIEWER", &r.ViewerId))),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.call(c.Context(), func(ctx context.Context, s *server) error { return o.home(ctx, s, c, p, r) })
		},
	}
	p.bind(c)
	c.Flags().BoolVar(&r.Explain, "explain", false, "say how each post came onto the page")
	return c
}

func (o *options) home(ctx context.Context, s *server, c *cobra.Command, p paging, r *feedv1.GetHomeTimelineRequest) error {
	all := &feedv1.GetHomeTimelineResponse{}
	next, err := p.scroll(func(size int32, token string) (int, string, error) {
		r.PageSize, r.PageToken = size, token
		page, err := s.timelines.GetHomeTimeline(ctx, r)
		all.Posts = append(all.Posts, page.GetPosts()...)
		all.Sources = append(all.Sources, page.GetSources()...)
		all.Degraded = all.Degraded || page.GetDegraded()
		return len(page.GetPosts()), page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	all.NextPageToken = next
	if err := o.answer(c, all, func(w io.Writer) error { return writeHome(w, all, r.GetExplain()) }); err != nil {
		return err
	}
	if all.GetDegraded() && !o.json {
		fmt.Fprintln(c.ErrOrStderr(), "Degraded: the store of timelines could not be asked. All of it is here, pulled from storage.")
	}
	o.more(c, r.GetViewerId(), next)
	return nil
}

func writeHome(w io.Writer, all *feedv1.GetHomeTimelineResponse, explain bool) error {
	if !explain || len(all.GetPosts()) == 0 {
		return writePosts(w, all.GetPosts(), nil)
	}
	if err := writePosts(w, all.GetPosts(), all.GetSources()); err != nil {
		return err
	}
	return writeSources(w, all.GetSources())
}
