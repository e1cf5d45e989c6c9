package servers

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	cassandraVersion = "5.0.4"
	cassandraRemedy  = "install Java 17 (Debian: openjdk-17-jre-headless) and Maven, and have a network the first time"
	// cassandraName is the name of the cluster, and of the keyspace that the URL
	// names; skein migrate makes that.
	cassandraName = "skein"
)

type cassandra struct{}

func (cassandra) portCount() int             { return 2 } // clients, peers
func (cassandra) stopSignal() syscall.Signal { return syscall.SIGTERM }

func (cassandra) url(address string) string {
	return "cassandra://" + address + "/" + cassandraName
}

func (cassandra) locate(ctx context.Context, cache string) (installation, error) {
	java, err := findJava(ctx)
	if err != nil {
		return installation{}, &MissingError{Engine: Cassandra, Why: err.Error(), Remedy: cassandraRemedy}
	}
	jars, err := fetchMaven(ctx, cache, cassandraArtifacts())
	if err != nil {
		return installation{}, missing(Cassandra, err, cassandraRemedy)
	}
	return installation{version: cassandraVersion, bin: jars, java: java}, nil
}

func (cassandra) prepare(_ context.Context, spec Spec, found installation, ports []int, _ *os.File) (*exec.Cmd, error) {
	data, temporary := filepath.Join(spec.Dir, "data"), filepath.Join(spec.Dir, "tmp")
	settings, logging := filepath.Join(spec.Dir, "cassandra.yaml"), filepath.Join(spec.Dir, "logback.xml")
	if err := os.RemoveAll(temporary); err != nil { // libraries that a killed one left
		return nil, err
	}
	for _, folder := range []string{data, temporary} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(settings, cassandraSettings(spec, data, ports), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(logging, []byte(cassandraLogging), 0o644); err != nil {
		return nil, err
	}
	args := slices.Concat(javaOptions(spec.Brief, temporary), []string{
		"-Xmx1g", "-Djna.tmpdir=" + temporary,
		"-Dcassandra.config=file://" + settings, "-Dcassandra.storagedir=" + data, "-Dlogback.configurationFile=" + logging,
		"-Dcassandra.consistent.rangemovement=false", "-Djdk.attach.allowAttachSelf=true",
	}, cassandraModules())
	if spec.Node == 0 { // alone it waits for nobody
		args = append(args, "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=100")
	} else { // it serves when it knows who else is up
		args = append(args, "-Dcassandra.ring_delay_ms=3000")
	}
	if spec.NoSync { // nor are its tables of tables written at each change of a schema
		args = append(args, "-Dcassandra.unsafesystem=true", "-Dcassandra.test.flush_local_schema_changes=false")
	}
	return exec.Command(found.java, append(args, "-cp", filepath.Join(found.bin, "*"), "org.apache.cassandra.service.CassandraDaemon")...), nil
}

// cassandraModules opens what Cassandra 5 uses of Java 17's insides.
func cassandraModules() (args []string) {
	for _, of := range strings.Fields(`java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.base/java.lang.ref
		java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
		java.rmi/sun.rmi.transport.tcp java.sql/java.sql jdk.unsupported/sun.misc`) {
		args = append(args, "--add-exports", of+"=ALL-UNNAMED")
	}
	for _, of := range strings.Fields(`java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io
		java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic
		java.base/sun.nio.ch java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect
		java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar
		jdk.management/com.sun.management.internal`) {
		args = append(args, "--add-opens", of+"=ALL-UNNAMED")
	}
	return args
}

// cassandraSettings: every write waits until it is on the disk, unless NoSync. Writes
// may take as long as reads: on a busy machine 2 s pass in a pause of the collector.
// Nodes of a cluster need not be given data: all join before there is any.
func cassandraSettings(spec Spec, data string, ports []int) []byte {
	sync := "batch"
	if spec.NoSync {
		sync = "periodic\ncommitlog_sync_period: 1000ms"
	}
	return []byte(strings.NewReplacer(
		"NAME", cassandraName, "SYNC", sync, "HOST", spec.host(), "CLIENTS", strconv.Itoa(ports[0]), "PEERS", strconv.Itoa(ports[1]), "DATA", data,
		"SEED", net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1])),
	).Replace(`cluster_name: NAME
num_tokens: 8
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
listen_address: HOST
rpc_address: HOST
native_transport_port: CLIENTS
storage_port: PEERS
commitlog_sync: SYNC
commitlog_directory: DATA/commitlog
data_file_directories: [DATA/data]
saved_caches_directory: DATA/saved_caches
hints_directory: DATA/hints
cdc_raw_directory: DATA/cdc_raw
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "SEED"
paxos_variant: v2
auto_snapshot: false
auto_bootstrap: false
write_request_timeout: 5000ms
cas_contention_timeout: 5000ms
`))
}

const cassandraLogging = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
`

// answers asks which options there are: the port opens when the node serves. It is
// opcode 5 (OPTIONS) of protocol 4, without a body.
func (cassandra) answers(connection net.Conn) error {
	if _, err := connection.Write([]byte{4, 0, 0, 0, 5, 0, 0, 0, 0}); err != nil {
		return err
	}
	var head [9]byte
	if _, err := io.ReadFull(connection, head[:]); err != nil {
		return err
	}
	if head[4] != 6 { // SUPPORTED
		return fmt.Errorf("it answers with opcode %d", head[4])
	}
	return nil
}

// StartCassandra starts one Cassandra node, as durable as in production but for
// being alone: each write is on the disk before it is acknowledged, unless [NoSync] is
// given. It takes 9 s and 0.9 GB.
func StartCassandra(ctx context.Context, cache, dir string, options ...Option) (*Server, error) {
	return startWith(ctx, Spec{Engine: Cassandra, Cache: cache, Dir: dir}, options)
}
