package engines

import (
	"fmt"
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

// Validate returns an error that names the first setting that is wrong, as the
// command line calls it, and what it may be. It looks at nothing outside c.
func (c Config) Validate() error {
	if c.DataDir == "" {
		return fmt.Errorf("data-dir is empty; name a folder")
	}
	for _, e := range []struct{ setting, url, engine string }{
		{"posts", c.Posts, "embedded"},
		{"graph", c.Graph, "embedded"},
		{"log", c.Log, "embedded"},
		{"timelines", c.Timelines, "memory"},
	} {
		if e.url != e.engine {
			return fmt.Errorf("%s: this build has no engine %q, only %q", e.setting, Scheme(e.url), e.engine)
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

// Scheme is what comes before "://" in an engine's URL: its name, and all of it
// that may be shown, as the rest may hold a password.
func Scheme(url string) string {
	name, _, _ := strings.Cut(url, "://")
	return name
}
