package engines

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says which engines to open, and where.
type Config struct {
	// DataDir is the folder of the embedded engines.
	DataDir string
	// Posts, Graph, Log and Timelines name engines by URL.
	Posts, Graph, Log, Timelines string
	// TimelineBytes limits the memory of the memory timelines.
	TimelineBytes Bytes
	// TimelineIdle is how long a timeline that nobody reads is kept.
	TimelineIdle time.Duration
	// AllowWeak opens servers whose settings may lose what was acknowledged,
	// with a warning.
	AllowWeak bool
}

// DefaultConfig needs no server beside it.
func DefaultConfig() Config {
	return Config{
		DataDir: "./skein-data",
		Posts:   "embedded", Graph: "embedded", Log: "embedded", Timelines: "memory",
		TimelineBytes: 1 << 30,
		TimelineIdle:  30 * 24 * time.Hour,
	}
}

// minTimelineBytes leaves room for a few thousand full timelines.
const minTimelineBytes Bytes = 16 << 20

// Names of engines: the schemes of their URLs.
const (
	nameEmbedded  = "embedded"
	nameMemory    = "memory"
	namePostgres  = "postgres"
	nameCassandra = "cassandra"
	nameKafka     = "kafka"
	nameRedis     = "redis"
	// nameRedisCluster is of the same engine.
	nameRedisCluster = "redis-cluster"
)

// Validate returns an error that names the first setting that is wrong, as the
// command line calls it, and what it may be. It looks at nothing outside c.
func (c Config) Validate() error {
	if c.DataDir == "" {
		return fmt.Errorf("data-dir is empty; name a folder")
	}
	storages := []string{namePostgres, nameCassandra}
	for _, e := range []struct {
		setting, url, alone string
		servers             []string
	}{
		{"posts", c.Posts, nameEmbedded, storages},
		{"graph", c.Graph, nameEmbedded, storages},
		{"log", c.Log, nameEmbedded, []string{nameKafka}},
		{"timelines", c.Timelines, nameMemory, []string{nameRedis, nameRedisCluster}},
	} {
		if e.url != e.alone && !(strings.Contains(e.url, "://") && slices.Contains(e.servers, Scheme(e.url))) {
			return fmt.Errorf("%s: there is no engine %q; say %s, or %s://…", e.setting, Scheme(e.url), e.alone, strings.Join(e.servers, "://… or "))
		}
	}
	if c.TimelineBytes < minTimelineBytes {
		return fmt.Errorf("timeline-bytes is %s; at least %s", c.TimelineBytes, minTimelineBytes)
	}
	if c.TimelineIdle < time.Minute {
		return fmt.Errorf("timeline-idle is %s; at least 1m", c.TimelineIdle)
	}
	return nil
}

// InProcess returns the first engine that lives in the process that opens it, as
// the command line calls it; "" when all are servers, which processes may share.
func (c Config) InProcess() string {
	for _, e := range []struct{ setting, url, alone string }{
		{"posts", c.Posts, nameEmbedded},
		{"graph", c.Graph, nameEmbedded},
		{"log", c.Log, nameEmbedded},
		{"timelines", c.Timelines, nameMemory},
	} {
		if e.url == e.alone {
			return "--" + e.setting + " " + e.alone
		}
	}
	return ""
}

// OnDisk reports whether an engine keeps its data in DataDir, and if it is all of
// storage and the log.
func (c Config) OnDisk() (some, all bool) {
	posts, graph, log := c.Posts == nameEmbedded, c.Graph == nameEmbedded, c.Log == nameEmbedded
	return posts || graph || log, posts && graph && log
}

// Scheme is what comes before "://" in an engine's URL: its name, and all of it
// that may be shown, as the rest may hold a password.
func Scheme(url string) string {
	name, _, _ := strings.Cut(url, "://")
	return name
}
