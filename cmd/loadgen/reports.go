package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skein/loadgen"
	"skein/loadgen/report"
)

// openReport reads a report that the command line names; what cannot be read is
// wrong usage.
func openReport(path string) (*report.Report, error) {
	r, err := report.Read(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", loadgen.ErrConfig, err)
	}
	return r, nil
}

func (p *program) reportCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use:   "report REPORT",
		Short: "Print a report again, and with --out make its page again",
		Long: `Print the table of a report again. REPORT is a report.json, or the folder that
holds it. Nothing is written unless --out names a file for the page.`,
		Example: `  loadgen report out/demo
  loadgen report out/demo/report.json --out again.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := openReport(args[0])
			if err != nil {
				return err
			}
			if err := r.Table(p.stdout); err != nil || out == "" {
				return err
			}
			return p.wrotePage(out, r.WritePage(out))
		},
	}
	c.Flags().StringVar(&out, "out", out, "`file` for the page (HTML)")
	return c
}

func (p *program) compareCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Put two reports side by side, with the change from A to B in percent",
		Long: `Put two reports side by side, with the change from A to B in percent. A and B are
files report.json, or the folders that hold them. Reports of different workloads,
graphs or loads are compared with a warning. Nothing is written unless --out names
a file for the comparison as a page, which has the charts of both.`,
		Example: `  loadgen compare out/push out/pull
  loadgen compare out/push out/pull --out both.html`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := openReport(args[0])
			if err != nil {
				return err
			}
			b, err := openReport(args[1])
			if err != nil {
				return err
			}
			both := report.Comparison{A: a, B: b, NameA: args[0], NameB: args[1]}
			if err := both.Table(p.stdout); err != nil || out == "" {
				return err
			}
			return p.wrotePage(out, both.WritePage(out))
		},
	}
	c.Flags().StringVar(&out, "out", out, "`file` for the comparison as a page (HTML)")
	return c
}

// wrotePage says where a page is, if it could be written.
func (p *program) wrotePage(path string, err error) error {
	if err == nil {
		fmt.Fprintf(p.stdout, "\nThe page: %s\n", path)
	}
	return err
}
