package kafka

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
)

// defaultPrefix begins the names of topics and groups when the URL names none.
const defaultPrefix = "skein"

const defaultPort = "9092"

// address is where a log lives.
type address struct {
	brokers []string // host:port, at least one
	prefix  string
}

// prefixes leaves room for the topic in the 249 characters of a name of Kafka's.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// parseURL takes kafka://h1:p1,h2:p2[/prefix] apart. net/url does not take
// several hosts.
func parseURL(url string) (address, error) {
	rest, ok := strings.CutPrefix(url, "kafka://")
	if !ok {
		return address{}, fmt.Errorf("the event log's URL must look like kafka://host:9092,host:9092[/prefix]")
	}
	hosts, prefix, named := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") { // not said again: it may be a password
		return address{}, errors.New("the event log's URL names a user, and Skein has no SASL: give brokers alone, kafka://host:9092,host:9092[/prefix]")
	}
	a := address{prefix: defaultPrefix}
	if named && prefix != "" {
		a.prefix = prefix
	}
	if !prefixes.MatchString(a.prefix) {
		return address{}, fmt.Errorf("the prefix %q in the event log's URL must be letters, digits, dots, hyphens and underscores, 100 at most", prefix)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
		}
		if name, port, _ := net.SplitHostPort(host); name == "" || port == "" || strings.ContainsAny(name, "@?# ") {
			return address{}, fmt.Errorf("the event log's URL has %q where a broker's host:port must be", host)
		}
		a.brokers = append(a.brokers, host)
	}
	return a, nil
}

func (a address) String() string { return "kafka at " + strings.Join(a.brokers, ",") }

// topic is the name of a topic in Kafka.
func (a address) topic(name string) string { return a.prefix + "." + name }

// group is the name of a group in Kafka. Each topic has a group of its own, so
// that joining one lane does not stop the others.
func (a address) group(group, topic string) string { return a.prefix + "." + group + "." + topic }
