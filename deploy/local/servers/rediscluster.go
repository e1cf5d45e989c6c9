package servers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// redisNode is one server of a Redis Cluster. Its second port is for the others.
type redisNode struct{ redis }

func (redisNode) portCount() int { return 2 }

func (n redisNode) prepare(ctx context.Context, spec Spec, found installation, ports []int, log *os.File) (*exec.Cmd, error) {
	args := []string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
		// A master that is away stops its slots, not all.
		"--cluster-require-full-coverage", "no",
		"--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0",
	}
	// Older ones use their first port and 10,000.
	if first, _, _ := strings.Cut(found.version, "."); first != "6" {
		args = append(args, "--cluster-port", strconv.Itoa(ports[1]))
	}
	spec.Args = append(args, spec.Args...)
	return n.redis.prepare(ctx, spec, found, ports, log)
}

// clusterMasters is how many masters a cluster begins with: the least that can
// agree on the failure of one.
const clusterMasters = 3

// ClusterSpec says how to start a Redis Cluster.
type ClusterSpec struct {
	// Cache and Dir are those of a [Spec]; each server has a folder in Dir.
	Cache, Dir string
	// Replicas gives each master a replica, which takes its place when it fails.
	Replicas bool
	// Args are added to the command line of every server.
	Args []string
	// Detached as in [Spec].
	Detached bool
}

// Cluster is a Redis Cluster on this machine: three masters with an equal share of
// the slots, and their replicas if asked for. Which server is a master may change;
// only Redis knows. The rules of [Server] for goroutines hold for it too.
type Cluster struct {
	spec ClusterSpec
	nodes
}

// StartRedisCluster starts what spec says and returns when every slot is served
// and every replica follows. Servers that ran in Dir before go on: those that run
// are left alone. After an error, those that this call started do not run.
func StartRedisCluster(ctx context.Context, spec ClusterSpec) (*Cluster, error) {
	if unwanted() {
		return nil, &MissingError{RedisCluster, noServers + " is none", "unset it, or run make test"}
	}
	count := clusterMasters
	if spec.Replicas {
		count *= 2
	}
	c := &Cluster{spec: spec, nodes: make(nodes, count)}
	started, err := c.startNodes(ctx)
	if err == nil {
		err = c.join(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, started.Kill())
	}
	return c, nil
}

// startNodes starts all servers at once, and returns those that did not run before.
func (c *Cluster) startNodes(ctx context.Context) (started nodes, err error) {
	var all sync.WaitGroup
	errs, ours := make([]error, len(c.nodes)), make([]bool, len(c.nodes))
	for i := range c.nodes {
		all.Go(func() { c.nodes[i], ours[i], errs[i] = c.startNode(ctx, i) })
	}
	all.Wait()
	for i, s := range c.nodes {
		if ours[i] {
			started = append(started, s)
		}
		if errs[i] != nil && err == nil {
			err = errs[i] // one says it all: they are alike
		}
	}
	return started, err
}

func (c *Cluster) startNode(ctx context.Context, i int) (s *Server, ours bool, err error) {
	return startNode(ctx, Spec{Engine: redisNodeName, Cache: c.spec.Cache, Dir: nodeDir(c.spec.Dir, i), Args: c.spec.Args, Detached: c.spec.Detached})
}

// join makes one cluster of the servers, if they are not one yet.
func (c *Cluster) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	info, err := c.nodes[0].redisSays(ctx, "CLUSTER INFO")
	if err != nil {
		return fmt.Errorf("cannot ask %s: %w", c.nodes[0].URL(), err)
	}
	if strings.Contains(info, "cluster_known_nodes:1\r") {
		args := []string{"--cluster", "create"}
		for _, s := range c.nodes {
			args = append(args, s.address())
		}
		if err := c.command(ctx, append(args, "--cluster-replicas", strconv.Itoa(len(c.nodes)/clusterMasters-1), "--cluster-yes")...); err != nil {
			return err
		}
	}
	return c.awaitAll(ctx)
}

// command runs redis-cli.
func (c *Cluster) command(ctx context.Context, args ...string) error {
	tool, err := Tool(ctx, c.spec.Cache, "redis-cli")
	if err != nil {
		return err
	}
	var said bytes.Buffer
	command := tool.Command(ctx, args...)
	command.Stdout, command.Stderr = &said, &said
	attach(command, false)
	if err := runProcess(ctx, command); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("redis-cli %s: %w: %s", strings.Join(args[:2], " "), err, lines[len(lines)-1])
	}
	return nil
}

// awaitAll waits until every server knows all others and serves, and every replica
// follows its master.
func (c *Cluster) awaitAll(ctx context.Context) error {
	known := fmt.Sprintf("cluster_known_nodes:%d\r", len(c.nodes))
	var last string
	err := until(ctx, func() bool {
		for _, s := range c.nodes {
			info, _ := s.redisSays(ctx, "CLUSTER INFO")
			link, _ := s.redisSays(ctx, "INFO replication")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, known) || strings.Contains(link, "master_link_status:down") {
				last = s.address()
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the cluster is not ready at %s: %w", last, err)
	}
	return nil
}

// AddMaster starts one more master, which has no slots yet.
func (c *Cluster) AddMaster(ctx context.Context) (*Server, error) {
	s, _, err := c.startNode(ctx, len(c.nodes))
	if err != nil {
		return nil, err
	}
	seed := c.nodes[0].address()
	c.nodes = append(c.nodes, s)
	if err := c.command(ctx, "--cluster", "add-node", s.address(), seed); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return s, c.awaitAll(ctx)
}

// Move moves that many slots, with the keys in them, from one master to another.
func (c *Cluster) Move(ctx context.Context, slots int, from, to *Server) error {
	args := []string{"--cluster", "reshard", from.address(), "--cluster-yes", "--cluster-slots", strconv.Itoa(slots)}
	for flag, s := range map[string]*Server{"--cluster-from": from, "--cluster-to": to} {
		id, err := s.redisSays(ctx, "CLUSTER MYID")
		if err != nil {
			return fmt.Errorf("cannot ask %s: %w", s.URL(), err)
		}
		args = append(args, flag, id)
	}
	return c.command(ctx, args...)
}

// OpenCluster returns the cluster whose folder is dir, running or not;
// os.ErrNotExist if none ever ran there.
func OpenCluster(dir string) (*Cluster, error) {
	all, err := openNodes(dir)
	if err != nil {
		return nil, err
	}
	first := all[0].spec
	return &Cluster{spec: ClusterSpec{Dir: dir, Cache: first.Cache, Args: first.Args, Detached: first.Detached}, nodes: all}, nil
}

// Name is [RedisCluster].
func (c *Cluster) Name() string { return RedisCluster }

// URL returns the address of the first masters in the form of skein's flags.
func (c *Cluster) URL() string {
	var hosts []string
	for _, s := range c.nodes[:min(clusterMasters, len(c.nodes))] {
		hosts = append(hosts, s.address())
	}
	return RedisCluster + "://" + strings.Join(hosts, ",")
}

// address is host and port for clients.
func (s *Server) address() string { return s.spec.address(s.state.Load().ports[0]) }

// redisSays sends a command to a Redis and returns its answer, a string.
func (s *Server) redisSays(ctx context.Context, command string) (answer string, err error) {
	err = ask(ctx, s.address(), func(connection net.Conn) error {
		if _, err := fmt.Fprintf(connection, "%s\r\n", command); err != nil {
			return err
		}
		reader := bufio.NewReader(connection)
		head, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		length, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(head), "$"))
		if err != nil || length < 0 {
			return errors.New(strings.TrimSpace(head))
		}
		text := make([]byte, length)
		_, err = io.ReadFull(reader, text)
		answer = string(text)
		return err
	})
	return answer, err
}
