package redis

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua
var sources embed.FS

// script is a Lua script and the name under which a server that was told it
// knows it. (A goredis.Script loses its name when it is loaded in a pipeline.)
type script struct{ source, sha string }

// The scripts, each one atomic step on one key.
var (
	readScript    = newScript("prologue", "rewrite", "tidy", "read")
	createScript  = newScript("prologue", "create")
	finishScript  = newScript("prologue", "rewrite", "finish")
	foldScript    = newScript("prologue", "rewrite", "fold")
	compactScript = newScript("prologue", "rewrite", "tidy", "compact")
	actScript     = newScript("prologue", "act")
	deletesScript = newScript("prologue", "deletes")
	sinceScript   = newScript("prologue", "since")

	scripts = []script{
		readScript, createScript, finishScript, foldScript, compactScript, actScript, deletesScript, sinceScript,
	}
)

// newScript joins parts of the lua folder.
func newScript(parts ...string) script {
	var source strings.Builder
	for _, part := range parts {
		text, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic(err) // the folder is compiled in: the first test to run says so
		}
		source.Write(text)
		source.WriteByte('\n')
	}
	sum := sha1.Sum([]byte(source.String())) // as Redis names scripts
	return script{source: source.String(), sha: hex.EncodeToString(sum[:])}
}

// queue adds a run of the script on one key to a pipeline.
func (s script) queue(ctx context.Context, pipe goredis.Pipeliner, key string, args ...any) {
	pipe.EvalSha(ctx, s.sha, []string{key}, args...)
}

// load makes the scripts known to a server.
func load(ctx context.Context, c *goredis.Client) error {
	_, err := c.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for _, s := range scripts {
			pipe.ScriptLoad(ctx, s.source)
		}
		return nil
	})
	return err
}

// loads is how often the scripts are loaded for one pipeline. Once is usual; more
// is for whoever flushes scripts again and again.
const loads = 20

func lacksScript(cmds []goredis.Cmder) bool {
	for _, cmd := range cmds {
		if goredis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return true
		}
	}
	return false
}
