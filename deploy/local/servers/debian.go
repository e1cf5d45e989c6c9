package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// fetchDebian unpacks packages of Debian, or of a system made of it, into a
// folder of the cache, with those that they need and this machine lacks, and
// returns where their programs and libraries are. Nothing is installed, nobody
// need be root. The version is the system's; apt-get checks the signatures.
func fetchDebian(ctx context.Context, cache, name string, packages ...string) (bin, libraries string, err error) {
	folder, err := fetched(ctx, cache, name+"-debian", func(folder string) error {
		return unpackDebian(ctx, folder, packages)
	})
	if err != nil {
		return "", "", err
	}
	found, _ := filepath.Glob(filepath.Join(folder, "usr", "lib", "*-linux-*"))
	return filepath.Join(folder, "usr", "bin"), strings.Join(found, ":"), nil
}

func unpackDebian(ctx context.Context, folder string, packages []string) error {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("there is no %s on the PATH", tool)
		}
	}
	work := filepath.Join(folder, "apt")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// Else root's apt-get tries to work as a user who may not write here.
	options := []string{"-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"}
	if err := download(ctx, work, options, packages); err != nil {
		// A fresh machine has no lists of packages, or old ones: fetch them, for
		// us alone.
		lists, cache := filepath.Join(work, "lists"), filepath.Join(work, "cache")
		for _, folder := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		options = append(options, "-o", "Dir::State::Lists="+lists, "-o", "Dir::Cache="+cache)
		if _, err := run(ctx, work, "apt-get", slices.Concat(options, []string{"update"})...); err != nil {
			return err
		}
		if err := download(ctx, work, options, packages); err != nil {
			return err
		}
	}
	archives, _ := filepath.Glob(filepath.Join(work, "*.deb"))
	for _, archive := range archives {
		if _, err := run(ctx, work, "dpkg", "-x", archive, folder); err != nil {
			return err
		}
	}
	return nil
}

// download fetches into folder packages and what they need, less what is
// installed, as apt-get would install them.
func download(ctx context.Context, folder string, options, packages []string) error {
	simulate := slices.Concat(options, []string{"--simulate", "--no-install-recommends", "--reinstall", "install"}, packages)
	plan, err := run(ctx, folder, "apt-get", simulate...)
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(plan) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Inst" {
			names = append(names, fields[1])
		}
	}
	_, err = run(ctx, folder, "apt-get", slices.Concat(options, []string{"download"}, names)...)
	return err
}
