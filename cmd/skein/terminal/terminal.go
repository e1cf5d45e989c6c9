// Package terminal is Skein for people at a terminal, and for their scripts: the
// commands that ask a running server to do something and show what it answers.
// It is a client that knows only the API. It starts no server, opens no data,
// and leaves exit codes to the program that runs its commands.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// group is where the help lists these commands.
const group = "terminal"

// AddTo adds the commands to root. target is the server's address, host:port,
// unless --target says another.
//
// An error of a command that ran is a *Failure, or one line about this machine
// (a file that cannot be read). What cobra reports before it runs a command is
// wrong usage, and nothing was sent.
func AddTo(root *cobra.Command, target string) {
	root.AddGroup(&cobra.Group{ID: group, Title: "Talk to a running server:"})
	for _, build := range []func(*options) *cobra.Command{
		importCommand, postCommand, deleteCommand, followCommand, unfollowCommand, homeCommand, userCommand,
	} {
		o := &options{target: target, timeout: 10 * time.Second}
		c := build(o)
		c.GroupID = group
		o.bind(c)
		root.AddCommand(c)
	}
}

// options are what each of the commands is told.
type options struct {
	target  string
	timeout time.Duration
	json    bool

	line *line // to the server, once connect was called
}

func (o *options) bind(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&o.target, "target", o.target, "`address` of the server's gRPC API; also SKEIN_TARGET")
	f.DurationVar(&o.timeout, "timeout", o.timeout, "how long to wait for an answer")
	f.BoolVar(&o.json, "json", false, "answer in JSON, for scripts")
}

func (o *options) check() error {
	if _, _, err := net.SplitHostPort(o.target); err != nil {
		return fmt.Errorf("the target %q is no address; say host:port, with --target or SKEIN_TARGET", o.target)
	}
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout is %s; more than 0", o.timeout)
	}
	return nil
}

// argument is one that a command wants on its line; into takes it, or says what
// is wrong with it.
type argument struct {
	name string
	into func(text string) error
}

// arguments makes the check of a command's line, which runs before the command
// does. The last optional ones may be missing.
func (o *options) arguments(optional int, wanted ...argument) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) > len(wanted) || len(given) < len(wanted)-optional {
			_, usage, _ := strings.Cut(c.Use, " ")
			return fmt.Errorf("%q wants %s, not %s", c.CommandPath(), usage, Count(int64(len(given)), "argument", "arguments"))
		}
		for i, text := range given {
			if err := wanted[i].into(text); err != nil {
				return fmt.Errorf("%s %w", wanted[i].name, err)
			}
		}
		return o.check()
	}
}

// id is an argument that names a user or a post.
func id(name string, to *int64) argument {
	return argument{name, func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("is %q; an id is a number from 1 to %d", text, int64(math.MaxInt64))
		}
		*to = n
		return nil
	}}
}

// call connects to the server and lets f ask it, all within the timeout. The
// error is f's, made a *Failure where the server or the way to it is at fault.
func (o *options) call(parent context.Context, f func(ctx context.Context, s *server) error) error {
	s, err := o.connect(parent)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(parent, o.timeout)
	defer cancel()
	err = f(ctx, s)
	if _, ok := errors.AsType[*fs.PathError](err); ok { // the one file here is stdout
		return &Failure{
			What:   fmt.Sprintf("the server answered, but the answer cannot be shown: %s", err),
			Advice: []string{"What was asked for is done."},
		}
	}
	return o.failure(err)
}

// failure makes err a *Failure if it is a gRPC status.
func (o *options) failure(err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return o.explain(err)
}
