package servers

import (
	"context"
	"os"
	"os/exec"
)

// Program is an executable of an engine.
type Program struct {
	// Path is absolute.
	Path string
	// Env is what it needs beside the environment of the caller.
	Env []string
}

// Command returns the program, ready to start; it is killed when ctx ends.
func (p Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, p.Path, args...)
	command.Env = append(os.Environ(), p.Env...)
	return command
}

// Tool returns redis-benchmark or redis-cli, from the PATH or fetched into
// cache ("" means [DefaultCache]). It is a *[MissingError] if it cannot be had.
func Tool(ctx context.Context, cache, name string) (Program, error) {
	if path, err := exec.LookPath(name); err == nil && installed() {
		return Program{Path: path}, nil
	}
	if cache == "" {
		var err error
		if cache, err = DefaultCache(); err != nil {
			return Program{}, err
		}
	}
	found, err := fetchRedis(ctx, cache)
	if err != nil {
		return Program{}, err
	}
	tool := found.tool(name)
	if _, err := os.Stat(tool.Path); err != nil {
		return Program{}, &MissingError{Engine: name, Why: "it is not among the programs that were fetched, " + found.bin, Remedy: redisRemedy}
	}
	return tool, nil
}
