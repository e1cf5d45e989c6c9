package servers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	kafkaVersion = "4.1.0"
	kafkaRemedy  = "install Java 17 or newer (Debian: openjdk-17-jre-headless) and Maven, and have a network the first time"
)

type kafka struct{}

func (kafka) portCount() int             { return 2 } // clients, controller
func (kafka) url(address string) string  { return "kafka://" + address }
func (kafka) stopSignal() syscall.Signal { return syscall.SIGTERM }

func (kafka) locate(ctx context.Context, cache string) (installation, error) {
	java, err := findJava(ctx)
	if err != nil {
		return installation{}, &MissingError{Engine: Kafka, Why: err.Error(), Remedy: kafkaRemedy}
	}
	jars, err := fetchMaven(ctx, cache, kafkaArtifacts())
	if err != nil {
		return installation{}, missing(Kafka, err, kafkaRemedy)
	}
	return installation{version: kafkaVersion, bin: jars, java: java}, nil
}

func (kafka) prepare(ctx context.Context, spec Spec, found installation, ports []int, log *os.File) (*exec.Cmd, error) {
	data, settings := filepath.Join(spec.Dir, "data"), filepath.Join(spec.Dir, "server.properties")
	logging, temporary := filepath.Join(spec.Dir, "log4j2.properties"), filepath.Join(spec.Dir, "tmp")
	if err := os.RemoveAll(temporary); err != nil { // libraries that a killed one left
		return nil, err
	}
	if err := os.Mkdir(temporary, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(logging, []byte(kafkaLogging), 0o644); err != nil {
		return nil, err
	}
	java := func(brief bool, args ...string) *exec.Cmd {
		options := append(javaOptions(brief, temporary), "-Xmx512m", "-Dlog4j2.configurationFile="+logging, "-cp", filepath.Join(found.bin, "*"))
		return exec.Command(found.java, append(options, args...)...)
	}
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		format := java(true, "kafka.tools.StorageTool", "format", "-t", kafkaClusterID(), "-c", settings)
		format.Stdout, format.Stderr = log, log
		if err := formatKafka(ctx, data, settings, format); err != nil {
			return nil, fmt.Errorf("formatting its data: %w", err)
		}
	}
	if err := os.WriteFile(settings, kafkaSettings(data, ports), 0o644); err != nil {
		return nil, err
	}
	return java(spec.Brief, "kafka.Kafka", settings), nil
}

// formatKafka makes data with the program format, which reads settings, or
// nothing.
func formatKafka(ctx context.Context, data, settings string, format *exec.Cmd) error {
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	anyPorts := []int{1, 2} // the data does not remember them
	if err := os.WriteFile(settings, kafkaSettings(unfinished, anyPorts), 0o644); err != nil {
		return err
	}
	attach(format, false)
	if err := runProcess(ctx, format); err != nil {
		return err
	}
	return os.Rename(unfinished, data)
}

// kafkaClusterID draws an id in Kafka's form, 16 bytes in base64.
func kafkaClusterID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] &= 0x7f           // no leading dash, which would look like a flag
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func kafkaSettings(data string, ports []int) []byte {
	return []byte(strings.NewReplacer(
		"CLIENTS", address(ports[0]), "PEERS", address(ports[1]), "DATA", data,
	).Replace(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@PEERS
listeners=PLAINTEXT://CLIENTS,CONTROLLER://PEERS
advertised.listeners=PLAINTEXT://CLIENTS
controller.listener.names=CONTROLLER
log.dirs=DATA
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
`))
}

const kafkaLogging = `rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c %m%n
`

// answers asks which brokers there are: a broker lists itself only when it
// serves. It is request 3 (metadata) in version 4, for no topic.
func (kafka) answers(connection net.Conn) error {
	request := []byte{0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0}
	if _, err := connection.Write(request); err != nil {
		return err
	}
	var answer struct{ Length, Correlation, Throttle, Brokers int32 }
	if err := binary.Read(connection, binary.BigEndian, &answer); err != nil {
		return err
	}
	if answer.Brokers < 1 {
		return errors.New("no broker is ready")
	}
	// The rest is read so that closing looks like an end, not like a failure.
	_, err := io.CopyN(io.Discard, connection, int64(answer.Length)-12)
	return err
}
