package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skein/cmd/skein/terminal"
)

// wants is the check of a command's line for so many arguments.
func wants(arguments int) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) == arguments {
			return nil
		}
		_, usage, _ := strings.Cut(c.Use, " ")
		if arguments == 0 {
			usage = "no arguments"
		}
		return fmt.Errorf("%q wants %s, not %s", c.CommandPath(), usage, terminal.Count(int64(len(given)), "argument", "arguments"))
	}
}

// offer lets a shell complete the values of a flag.
func offer(c *cobra.Command, flag string, values ...string) {
	// The error is that there is no such flag; a test would find that out.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// flagError says of a flag's value that cannot be read what is wanted.
func flagError(_ *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		flag := invalid.GetFlag()
		return errors.New(misread("--"+flag.Name, flag, invalid.GetValue(), invalid.Unwrap()))
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("%w; before a text or number that begins with a dash goes a --", err)
	}
	return err
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "skein",
		Short:         "Home timelines for any number of people",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("skein {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: serverGroup, Title: "Run a server:"})
	root.AddCommand(p.serveCommand(), p.migrateCommand(), p.policyCommand(), p.checkCommand(), p.backupCommand(), p.restoreCommand(),
		p.deadLettersCommand(), p.planCommand(), p.versionCommand())
	terminal.AddTo(root, p.target())
	root.SetFlagErrorFunc(flagError)
	// Cobra's own help of what is not there is no error.
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, topic []string) error {
			_, _, err := root.Find(topic)
			return err
		}
	}
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args = func(_ *cobra.Command, shells []string) error {
			if len(shells) > 0 {
				return fmt.Errorf("no completion for %q; there is one for bash, fish, powershell and zsh", shells[0])
			}
			return nil
		}
		completion.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	return root
}

func (p *program) versionCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  skein version",
		Args:    wants(0),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return o.answer(v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "skein %s %s %s\n", v.Version, v.Go, v.System)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "answer in JSON, for scripts")
	return cmd
}

// target is where the commands that talk to a server find it, unless told.
func (p *program) target() string {
	for _, variable := range p.environ {
		if value, ok := strings.CutPrefix(variable, envTarget+"="); ok && value != "" {
			return value
		}
	}
	return DefaultConfig().Listen
}
