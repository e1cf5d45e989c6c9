package servers

import (
	"context"
	"errors"
	"strings"
)

// Ring is a Cassandra cluster on this machine. Its nodes are on 127.0.0.1, 127.0.0.2
// and so on, and share their ports. The rules of [Server] for goroutines hold for it
// too.
type Ring struct{ nodes }

// StartCassandraCluster starts 1 to 3 nodes, one after the other, as spec says, whose
// Dir has a folder for each, and whose Engine, Node and Ports do not count. Each takes
// what [StartCassandra] says, and those of more than one a few seconds to join. Nodes
// that ran in Dir before go on with their data, on their ports: those that run are left
// alone. After an error, those that this call started do not run. More than one node
// needs Linux, where all of 127.0.0.0/8 is this machine.
func StartCassandraCluster(ctx context.Context, spec Spec, count int) (*Ring, error) {
	r := &Ring{}
	var started nodes
	dir := spec.Dir
	spec.Engine, spec.Node, spec.Ports = Cassandra, 0, nil
	if second, err := Open(nodeDir(dir, 1)); err == nil {
		spec.Ports = second.state.Load().ports // it looks for the first there
	}
	for i := range count {
		spec.Dir = nodeDir(dir, i)
		if count > 1 {
			spec.Node = i + 1
		}
		s, ours, err := startNode(ctx, spec)
		if ours {
			started = append(started, s)
		}
		if err != nil {
			return nil, errors.Join(err, started.Kill())
		}
		r.nodes = append(r.nodes, s)
		spec.Ports = s.state.Load().ports
	}
	return r, nil
}

// OpenRing returns the cluster whose folder is dir, running or not; os.ErrNotExist if
// none ever ran there.
func OpenRing(dir string) (*Ring, error) {
	all, err := openNodes(dir)
	if err != nil {
		return nil, err
	}
	return &Ring{all}, nil
}

// Name is [CassandraCluster].
func (r *Ring) Name() string { return CassandraCluster }

// URL returns the addresses of all nodes in the form of skein's flags.
func (r *Ring) URL() string {
	var hosts []string
	for _, s := range r.nodes {
		hosts = append(hosts, s.address())
	}
	return cassandra{}.url(strings.Join(hosts, ","))
}
