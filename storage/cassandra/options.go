package cassandra

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
)

// Options says how to open a store. The zero value is usable.
type Options struct {
	// Clock is this process's; nil is time.Now. It only tells what time has passed
	// since Cassandra was last asked for its own.
	Clock feed.Clock
	// Logger gets the store's few lines; nil is slog.Default.
	Logger *slog.Logger
	// AllowWeak opens a keyspace whose settings may lose acknowledged posts, with a
	// warning. For tests and demonstrations. A cluster of one node needs it not,
	// as it can do no better, and is warned of all the same.
	AllowWeak bool
}

const (
	// connectTimeout is for one attempt, openTimeout for Open as a whole.
	connectTimeout = 4 * time.Second
	openTimeout    = 9 * time.Second
	// callTimeout is for one statement: more than Cassandra gives itself.
	callTimeout = 6 * time.Second
	// schemaTimeout is for one that changes the schema.
	schemaTimeout = 30 * time.Second
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

// settings are what a URL says.
type settings struct {
	hosts    []string
	port     int
	keyspace string
	user     string
	password string
	// datacenter is where this process is; "" for wherever the first host is. With
	// LOCAL_QUORUM no node elsewhere is asked.
	datacenter string
	// consistency is LOCAL_QUORUM or QUORUM, serial what goes with it.
	consistency gocql.Consistency
	serial      gocql.SerialConsistency
	// copies is the factor of a keyspace that Migrate makes; 0 for 3, or the number of
	// nodes if there are fewer.
	copies int
}

const urlForm = "cassandra://user:password@host1,host2:9042/keyspace?consistency=local_quorum|quorum&datacenter=name&replication=3"

var (
	errURL       = errors.New("the URL of Cassandra is malformed: it has the form " + urlForm + ", of which user and options may be left out, with what is special in a password percent-encoded")
	keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
)

// parse reads a URL. Its errors do not hold it: it may have a password.
func parse(text string) (settings, error) {
	s := settings{port: 9042, consistency: gocql.LocalQuorum, serial: gocql.LocalSerial}
	// Hosts are separated by commas, and only the last may have a port for the
	// parser: 127.0.0.1:1,127.0.0.2:1 is ours alone.
	head, rest, ok := strings.Cut(text, "://")
	if !ok || head != "cassandra" {
		return s, errURL
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return s, errURL
	}
	hosts := rest[:end]
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		hosts = hosts[at+1:]
		rest = rest[:at+1] + "host" + rest[end:]
	} else {
		rest = "host" + rest[end:]
	}
	u, err := url.Parse("cassandra://" + rest)
	if err != nil || s.setHosts(hosts) != nil {
		return s, errURL
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
	}
	if s.keyspace = strings.TrimPrefix(u.Path, "/"); !keyspaceName.MatchString(s.keyspace) {
		return s, fmt.Errorf("the URL of Cassandra must name a keyspace, of small letters, digits and _: %s", urlForm)
	}
	return s, s.setOptions(u.Query())
}

func (s *settings) setHosts(list string) error {
	for _, host := range strings.Split(list, ",") {
		if name, port, err := net.SplitHostPort(host); err == nil {
			if s.port, err = strconv.Atoi(port); err != nil || s.port < 1 || s.port > 65535 {
				return errURL
			}
			host = name
		}
		if host == "" || strings.ContainsAny(host, ":[]% ") && net.ParseIP(host) == nil {
			return errURL
		}
		s.hosts = append(s.hosts, host)
	}
	return nil
}

func (s *settings) setOptions(options url.Values) error {
	for name, values := range options {
		value := values[len(values)-1]
		switch name {
		case "consistency":
			switch value {
			case "local_quorum":
			case "quorum":
				s.consistency, s.serial = gocql.Quorum, gocql.Serial
			default:
				return fmt.Errorf("the URL of Cassandra: consistency is local_quorum or quorum; with less, reads would miss writes")
			}
		case "datacenter":
			s.datacenter = value
		case "replication":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 9 {
				return fmt.Errorf("the URL of Cassandra: replication is a number from 1 to 9")
			}
			s.copies = n
		default:
			known := []string{"consistency", "datacenter", "replication"}
			slices.Sort(known)
			return fmt.Errorf("the URL of Cassandra has an unknown option; there are %s", strings.Join(known, ", "))
		}
	}
	return nil
}

// engine is how errors call it.
const engine = "Cassandra"

// where names the cluster, for errors.
func (s settings) where() string {
	return engine + " at " + net.JoinHostPort(strings.Join(s.hosts, ","), strconv.Itoa(s.port))
}

// cluster is what the driver needs. keyspace is "" for a session without one.
func (s settings) cluster(keyspace string, logger *slog.Logger) *gocql.ClusterConfig {
	c := gocql.NewCluster(s.hosts...)
	c.Port = s.port
	c.Keyspace = keyspace
	c.ProtoVersion = 4
	c.ConnectTimeout = connectTimeout
	c.Timeout = callTimeout
	c.Consistency = s.consistency
	c.SerialConsistency = s.serial
	// Stamps that matter are given with the statement; others are the server's.
	c.DefaultTimestamp = false
	c.PageSize = 0 // each statement bounds what it reads, and is one snapshot
	c.RetryPolicy = repeatable{}
	c.ReconnectInterval = 2 * time.Second
	// Its goroutines outlive the session by the interval; as a rule of the driver by
	// seconds.
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 2, Interval: 100 * time.Millisecond}
	c.Logger = driverLog{logger}
	local := gocql.RoundRobinHostPolicy()
	if s.datacenter != "" {
		local = gocql.DCAwareRoundRobinPolicy(s.datacenter)
		if s.consistency == gocql.LocalQuorum {
			// A node elsewhere, which that policy falls back to, would ask for a
			// quorum of its own data centre, and agree with nobody in ours.
			c.HostFilter = gocql.DataCentreHostFilter(s.datacenter)
		}
	}
	c.PoolConfig.HostSelectionPolicy = newSecond(gocql.TokenAwareHostPolicy(local, gocql.ShuffleReplicas()))
	if s.user != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: s.user, Password: s.password}
	}
	return c
}

// repeatable tries a statement that may be repeated once more, on another node. The
// driver's own policies repeat any statement.
type repeatable struct{}

// Attempt implements gocql.RetryPolicy.
func (repeatable) Attempt(q gocql.RetryableQuery) bool {
	marked, ok := q.(interface{ IsIdempotent() bool })
	return ok && marked.IsIdempotent() && q.Attempts() <= 1 && q.Context().Err() == nil
}

// GetRetryType implements gocql.RetryPolicy.
func (repeatable) GetRetryType(error) gocql.RetryType { return gocql.RetryNextHost }

// driverLog turns the driver's lines into ours, at a level that is seldom shown.
type driverLog struct{ *slog.Logger }

func (l driverLog) Print(v ...any)            { l.Debug("gocql: " + strings.TrimSpace(fmt.Sprint(v...))) }
func (l driverLog) Printf(f string, v ...any) { l.Print(fmt.Sprintf(f, v...)) }
func (l driverLog) Println(v ...any)          { l.Print(fmt.Sprintln(v...)) }
