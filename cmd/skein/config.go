package main

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"skein/cmd/internal/engines"
	"skein/feed/server"
)

// Config is everything that `skein serve` can be told.
type Config struct {
	Engines engines.Config
	// Role is what this process does: all, api or worker.
	Role string
	// Listen is where the API listens, MetricsListen where metrics, profiles
	// and health do ("" switches that off); host:port, port 0 for a free one.
	Listen, MetricsListen string
	// AddressFile, unless "", tells where it listens; see writeAddresses.
	AddressFile string
	// LagBound is how far delivery may lag before reads pull what is missing.
	LagBound time.Duration
	// MaxInFlight bounds the calls in work at once.
	MaxInFlight int
	// MaxConnections bounds the connections to the API, and twice that the calls of
	// health and reflection.
	MaxConnections int
	// Drain is how long a stop may take.
	Drain        time.Duration
	NoReflection bool
	LogLevel     slog.Level
	LogFormat    string
}

// DefaultConfig is one process with nothing beside it.
func DefaultConfig() Config {
	return Config{
		Engines:        engines.DefaultConfig(),
		Role:           string(roleAll),
		Listen:         "127.0.0.1:7460",
		MetricsListen:  "127.0.0.1:7461",
		LagBound:       server.DefaultLagBound,
		MaxInFlight:    1024,
		MaxConnections: 1024,
		Drain:          30 * time.Second,
		LogLevel:       slog.LevelInfo,
		LogFormat:      "text",
	}
}

// settings returns the flags that fill c, with c's values as defaults. Their
// names are also the keys of the YAML file and, in capitals after SKEIN_, the
// names of the environment's variables.
func (c *Config) settings() *pflag.FlagSet {
	f := pflag.NewFlagSet("skein", pflag.ContinueOnError)
	f.String("config", "", "YAML `file` with settings, by the names of these flags")
	e := &c.Engines
	f.StringVar(&e.DataDir, "data-dir", e.DataDir, "`folder` of the embedded engines; one process at a time")
	f.StringVar(&e.Posts, "posts", e.Posts, "engine of posts, by `URL`: embedded, postgres://… or cassandra://host,host/keyspace")
	f.StringVar(&e.Graph, "graph", e.Graph, "engine of users and follows, by `URL`: embedded, postgres://… or cassandra://host,host/keyspace")
	f.StringVar(&e.Log, "log", e.Log, "engine of the event log, by `URL`: embedded or kafka://host,host")
	f.StringVar(&e.Timelines, "timelines", e.Timelines, "engine of home timelines, by `URL`: memory, redis://… or redis-cluster://host,host/prefix")
	f.TextVar(&e.TimelineBytes, "timeline-bytes", e.TimelineBytes, "memory of all timelines in memory, at least 16MiB; beyond it those not read for longest go (`size`)")
	f.DurationVar(&e.TimelineIdle, "timeline-idle", e.TimelineIdle, "how long a timeline that nobody reads is kept")
	f.BoolVar(&e.AllowWeak, "allow-weak", e.AllowWeak, "use servers whose settings may lose acknowledged posts")
	f.StringVar(&c.Role, "role", c.Role, "what this process does: all; where all engines are servers also api (serve and relay) or worker (plan and deliver)")
	f.StringVar(&c.Listen, "listen", c.Listen, "`address` of the gRPC API")
	f.StringVar(&c.MetricsListen, "metrics-listen", c.MetricsListen, "`address` of /metrics, /healthz, /readyz, /version and /debug/pprof; \"\" for none")
	f.StringVar(&c.AddressFile, "address-file", c.AddressFile, "`file` to write, once serving, with the addresses as JSON")
	f.DurationVar(&c.LagBound, "lag-bound", c.LagBound, fmt.Sprintf("how late a delivery may be before reads ask storage for it; at least %s", server.MinLagBound))
	f.IntVar(&c.MaxInFlight, "max-in-flight", c.MaxInFlight, "calls in work at once; more are refused with RESOURCE_EXHAUSTED")
	f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "connections to the API; more are closed at once")
	f.DurationVar(&c.Drain, "drain", c.Drain, "how long a stop may take to finish what is in work")
	f.BoolVar(&c.NoReflection, "no-reflection", c.NoReflection, "do not describe the API to clients that ask")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "least `level` to log: debug, info, warn, error")
	f.Lookup("log-level").DefValue = levelText(c.LogLevel)
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "`form` of the log: text or json")
	return f
}

// Validate returns an error that names the first setting that is wrong, and
// what it may be.
func (c Config) Validate() error {
	if err := c.Engines.Validate(); err != nil {
		return err
	}
	if err := c.checkRole(); err != nil {
		return err
	}
	if err := checkAddress(c.Listen); err != nil {
		return fmt.Errorf("listen: %w; say host:port", err)
	}
	if err := checkAddress(c.MetricsListen); err != nil && c.MetricsListen != "" {
		return fmt.Errorf("metrics-listen: %w; say host:port, or \"\" for none", err)
	}
	switch {
	case c.LagBound < server.MinLagBound:
		return fmt.Errorf("lag-bound is %s; at least %s", c.LagBound, server.MinLagBound)
	case c.MaxInFlight < 1:
		return fmt.Errorf("max-in-flight is %d; at least 1", c.MaxInFlight)
	case c.MaxConnections < 1:
		return fmt.Errorf("max-connections is %d; at least 1", c.MaxConnections)
	case c.Drain <= 0:
		return fmt.Errorf("drain is %s; more than 0", c.Drain)
	case c.LogFormat != "text" && c.LogFormat != "json":
		return fmt.Errorf("log-format is %q; text or json", c.LogFormat)
	}
	return nil
}

// checkAddress says what is wrong with an address to listen on, as far as that can be
// told without doing so.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	_, err = net.LookupPort("tcp", port)
	return err
}

// levelText is a level as people write it.
func levelText(l slog.Level) string { return strings.ToLower(l.String()) }
