package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skein/cmd/internal/engines"
	"skein/feed/policy"
)

func (p *program) policyCommand() *cobra.Command {
	config := DefaultConfig()
	settings := config.settings()
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "policy",
		GroupID: serverGroup,
		Short:   "Show or set who is pushed and who is pulled",
		Long: `Show or set the push/pull settings, which live in storage. With the embedded
engine that means that no server may run on the data directory meanwhile.

To push a post is to write it into the stored home timeline of each follower, once, by
workers; to pull it is to read it from storage each time that a follower asks. Pushing
makes reads cheap, and a post to a million followers dear. So by default, hybrid, an
author is loud, and pulled, from so many followers on, and quiet again, and pushed, when
there are clearly fewer. What a reader sees is the same either way.`,
		Example: "  skein policy show",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("policy wants show or set")}
		},
	}
	for _, name := range []string{"config", "data-dir", "graph", "allow-weak"} {
		cmd.PersistentFlags().AddFlag(settings.Lookup(name))
	}
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "answer in JSON, for scripts")
	open := func(ctx context.Context) (*engines.Set, error) {
		if err := config.load(settings, p.environ); err != nil {
			return nil, err
		}
		return engines.OpenGraph(ctx, config.Engines, engines.Options{Clock: time.Now, Logger: p.warnings()})
	}
	cmd.AddCommand(o.policyShow(open), o.policySet(open))
	return cmd
}

func (o *dataOptions) policyShow(open func(context.Context) (*engines.Set, error)) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the settings",
		Example: "  skein policy show --data-dir ./skein-data",
		Args:    wants(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.changePolicy(cmd, open, func(*policy.Settings) {})
		},
	}
}

func (o *dataOptions) policySet(open func(context.Context) (*engines.Set, error)) *cobra.Command {
	var mode modeFlag
	var loudAt int64
	cmd := &cobra.Command{
		Use:     "set",
		Short:   "Set --mode, --loud-at or both",
		Example: "  skein policy set --mode hybrid --loud-at 10000",
		Args:    wants(0),
	}
	cmd.Flags().Var(&mode, "mode", "push everybody, pull everybody, or decide by the followers: push, pull, hybrid")
	cmd.Flags().Int64Var(&loudAt, "loud-at", policy.DefaultSettings.LoudAt, "followers from which on an author is pulled (hybrid)")
	offer(cmd, "mode", "push", "pull", "hybrid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		hasMode, hasLoudAt := cmd.Flags().Changed("mode"), cmd.Flags().Changed("loud-at")
		switch {
		case !hasMode && !hasLoudAt:
			return usageError{errors.New("policy set wants --mode, --loud-at or both")}
		case loudAt < 1:
			return usageError{fmt.Errorf("loud-at is %d; at least 1", loudAt)}
		}
		return o.changePolicy(cmd, open, func(s *policy.Settings) {
			if hasMode {
				s.Mode = policy.Mode(mode)
			}
			if hasLoudAt {
				s.LoudAt = loudAt
			}
		})
	}
	return cmd
}

// changePolicy lets change edit the stored settings, writes them if they
// changed, and prints them.
func (o *dataOptions) changePolicy(cmd *cobra.Command, open func(context.Context) (*engines.Set, error), change func(*policy.Settings)) (err error) {
	ctx := cmd.Context()
	set, err := open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	tiers, err := set.Graph.GetTiers(ctx, 0)
	if err != nil {
		return err
	}
	settings := tiers.Settings
	change(&settings)
	if settings != tiers.Settings {
		if err := set.Graph.PutSettings(ctx, settings); err != nil {
			return err
		}
	}
	shown := policyResult{settings.Mode.String(), settings.LoudAt, settings.QuietBelow()}
	return o.answer(shown, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "mode %s, loud at %d followers, quiet again below %d\n", shown.Mode, shown.LoudAt, shown.QuietBelow)
		return err
	})
}

// policyResult is what the JSON of both commands holds.
type policyResult struct {
	Mode       string `json:"mode"`
	LoudAt     int64  `json:"loudAt"`
	QuietBelow int64  `json:"quietBelow"`
}

// modeFlag is a policy.Mode as a flag.
type modeFlag policy.Mode

var _ pflag.Value = (*modeFlag)(nil)

func (m *modeFlag) String() string { return policy.Mode(*m).String() }
func (m *modeFlag) Type() string   { return "mode" }

func (m *modeFlag) Set(text string) error {
	mode, err := policy.ParseMode(text)
	*m = modeFlag(mode)
	return err
}
