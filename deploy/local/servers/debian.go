package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fetchDebian unpacks packages of Debian, or of a system made of it, into a
// folder of the cache, with those that they need and this machine lacks, and
// returns where their programs and libraries are. Nothing is installed, nobody
// need be root. The version is the system's; apt-get checks the signatures.
func fetchDebian(ctx context.Context, cache, name string, packages ...string) (bin, libraries string, err error) {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", "", fmt.Errorf("there is no %s on the PATH", tool)
		}
	}
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
	work := filepath.Join(folder, "apt")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// Else root's apt-get tries to work as a user who may not write here.
	options := []string{"-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"}
	names, err := lacking(ctx, work, options, packages)
	if err != nil {
		// A fresh machine has no lists of packages: fetch them, for us alone.
		options = append(options, "-o", "Dir::State::Lists="+filepath.Join(work, "lists"), "-o", "Dir::Cache="+filepath.Join(work, "cache"))
		if _, err := run(ctx, work, "apt-get", append(options, "update")...); err != nil {
			return err
		}
		if names, err = lacking(ctx, work, options, packages); err != nil {
			return err
		}
	}
	if _, err := run(ctx, work, "apt-get", append(append(options, "download"), names...)...); err != nil {
		return err
	}
	archives, _ := filepath.Glob(filepath.Join(work, "*.deb"))
	for _, archive := range archives {
		if _, err := run(ctx, work, "dpkg", "-x", archive, folder); err != nil {
			return err
		}
	}
	return nil
}

// lacking returns packages and what they need, less what is installed, as
// apt-get would install them.
func lacking(ctx context.Context, folder string, options, packages []string) (names []string, err error) {
	plan, err := run(ctx, folder, "apt-get", append(append(options, "--simulate", "--no-install-recommends", "--reinstall", "install"), packages...)...)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(plan) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Inst" {
			names = append(names, fields[1])
		}
	}
	if len(names) == 0 {
		return nil, errors.New("apt-get: nothing to fetch")
	}
	return names, nil
}
