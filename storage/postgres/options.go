package postgres

import (
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"skein/feed"
)

// Options says how to open a store. The zero value is usable.
type Options struct {
	// Clock is this process's, which gives out ids; nil is time.Now. Open and
	// OldestEvent compare it with the server's, which alone decides what is
	// late.
	Clock feed.Clock
	// Logger gets the store's few lines; nil is slog.Default.
	Logger *slog.Logger
	// MaxConns bounds the connections to the server; 0 is what the URL says
	// with pool_max_conns, else 16. A relay holds one while it publishes.
	MaxConns int32
	// AllowWeak opens a server whose settings may lose acknowledged posts,
	// with a warning. For tests and demonstrations.
	AllowWeak bool
}

const (
	maxConns = 16
	// connectTimeout is for one attempt, openTimeout for Open as a whole.
	connectTimeout = 4 * time.Second
	openTimeout    = 9 * time.Second
	// pingTimeout is for a connection that was idle: if it is dead, there is
	// time left in a call to take another.
	pingTimeout = time.Second
	// holdTimeout ends a transaction whose process is silent: paused, or cut
	// off. Publishing a batch of events must take less.
	holdTimeout = "30s"
)

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// configure turns a URL into the settings of a pool.
func configure(url string, o Options) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, explainURL(err)
	}
	switch {
	case o.MaxConns > 0:
		c.MaxConns = o.MaxConns
	case !strings.Contains(url, "pool_max_conns"):
		c.MaxConns = maxConns
	}
	if c.PingTimeout == 0 {
		c.PingTimeout = pingTimeout
	}
	conn := c.ConnConfig
	if conn.ConnectTimeout == 0 || conn.ConnectTimeout > connectTimeout {
		conn.ConnectTimeout = connectTimeout
	}
	// A migration has no time limit of its own, and may wait long in silence:
	// a host that is gone is noticed all the same.
	conn.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}).DialContext
	// What we read decides what a viewer is shown next: never from a standby.
	conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	conn.RuntimeParams["default_transaction_isolation"] = "read committed"
	for name, value := range map[string]string{
		"application_name":                    "skein",
		"idle_in_transaction_session_timeout": holdTimeout,
		// Every statement of ours is a short walk of an index. A plan made
		// while the tables were empty must not read them whole when they are
		// full, nor may a high estimate have it compiled.
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"plan_cache_mode":   "force_generic_plan",
		"jit":               "off",
	} {
		if _, set := conn.RuntimeParams[name]; !set {
			conn.RuntimeParams[name] = value
		}
	}
	return c, nil
}
