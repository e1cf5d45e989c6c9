package main

import (
	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

func (p *program) pinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pin",
		Short: "Fetch what is fetched, for every platform, and print the checksums to keep",
		Long: `Fetch what Maven and pip bring, for every platform, without comparing it with
anything, and print the checksums. Say this after changing a version in package
servers, and look at the difference before you commit it.`,
		Example: "  go run ./deploy/local pin > checksums.new && mv checksums.new deploy/local/servers/checksums.txt",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return servers.Pin(command.Context(), p.stdout)
		},
	}
}
