package terminal

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxPage is the most posts that the server gives at once.
const maxPage = 200

// paging is how much of a timeline to show.
type paging struct {
	posts int    // at most
	token string // of the page to begin with
}

func (p *paging) bind(c *cobra.Command) {
	c.Flags().IntVar(&p.posts, "posts", 20, "how many posts to show at most")
	c.Flags().StringVar(&p.token, "page", "", "`token` of the page to begin with; a page that is not the last names the next")
}

// check extends a command's check of its line.
func (p *paging) check(rest cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if p.posts < 1 {
			return fmt.Errorf("--posts is %d; at least 1", p.posts)
		}
		return rest(c, given)
	}
}

// scroll asks for pages until there are enough posts or no more; a page may be
// shorter than asked and not the last. It returns the token of what follows.
func (p *paging) scroll(page func(size int32, token string) (posts int, next string, err error)) (next string, err error) {
	next = p.token
	for missing := p.posts; missing > 0; {
		var got int
		if got, next, err = page(int32(min(missing, maxPage)), next); err != nil || next == "" {
			return "", err
		}
		missing -= got
	}
	return next, nil
}

// more tells a person how to go on, on stderr: the table is all of stdout. user is whose
// timeline it is.
func (o *options) more(c *cobra.Command, user int64, next string) {
	if next == "" || o.json {
		return
	}
	words := []string{c.CommandPath(), strconv.FormatInt(user, 10)}
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "page" {
			words = append(words, "--"+f.Name+"="+quoted(f.Value.String()))
		}
	})
	fmt.Fprintf(c.ErrOrStderr(), "There is more: %s --page %s\n", strings.Join(words, " "), strings.TrimSpace(next))
}
