package servers

import (
	"context"
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
	postgresFetched = "17.4.0"
	postgresOldest  = 14
	postgresRemedy  = "install PostgreSQL 14 or newer, or a Java and Maven with a network"
	// postgresName is the name of its user and its database.
	postgresName = "skein"
)

type postgres struct{}

func (postgres) portCount() int { return 1 }

func (postgres) url(address string) string {
	return "postgres://" + postgresName + "@" + address + "/" + postgresName + "?sslmode=disable"
}

// stopSignal: connections are cut off, and all is written to the disk.
func (postgres) stopSignal() syscall.Signal { return syscall.SIGINT }

func (postgres) locate(ctx context.Context, cache string) (installation, error) {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// Its companions lie beside it, not beside a link to it.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, folder := range append(folders, debian...) {
		found, err := installation{bin: folder}.askPostgres(ctx)
		if err == nil && installed() && inReach(folder) {
			return found, nil
		}
	}
	cache, err := cacheInReach(cache)
	if err != nil {
		return installation{}, err
	}
	folder, err := fetchMaven(ctx, cache, postgresArtifacts())
	if err != nil {
		return installation{}, missing(Postgres, err, postgresRemedy)
	}
	found, err := installation{bin: filepath.Join(folder, "bin")}.askPostgres(ctx)
	if err != nil {
		return found, &MissingError{Engine: Postgres, Why: err.Error(), Remedy: postgresRemedy}
	}
	return found, nil
}

// askPostgres adds the version. It is an error if that is too old, or if a
// program is not there or does not run.
func (i installation) askPostgres(ctx context.Context) (installation, error) {
	var major int
	i.version, major = versionOf(i.tool("postgres").Command(ctx, "--version"), "(PostgreSQL) ")
	if major < postgresOldest {
		return i, fmt.Errorf("%s is version %q", filepath.Join(i.bin, "postgres"), i.version)
	}
	_, err := os.Stat(filepath.Join(i.bin, "initdb"))
	return i, err
}

func (postgres) prepare(ctx context.Context, spec Spec, found installation, ports []int, log *os.File) (*exec.Cmd, error) {
	data := filepath.Join(spec.Dir, "data")
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		if err := initPostgres(ctx, data, found, log); err != nil {
			return nil, err
		}
	}
	args := []string{"-D", data}
	for _, setting := range postgresSettings(ports[0], spec.NoSync) {
		args = append(args, "-c", setting)
	}
	command := found.command("postgres", args...)
	return command, asOther(command, data)
}

func postgresSettings(port int, noSync bool) []string {
	settings := []string{
		fmt.Sprintf("port=%d", port),
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=", // none: their paths may have 100 bytes at most
		"max_connections=200",
		"wal_level=replica",
		"logging_collector=off",
		"dynamic_shared_memory_type=mmap", // in its folder: SIGKILL leaves nothing elsewhere
	}
	if noSync {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	return settings
}

// initPostgres makes data, with the database, or nothing.
func initPostgres(ctx context.Context, data string, found installation, log *os.File) error {
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := giveAway(unfinished); err != nil {
		return err
	}
	// The second makes the database in a server of its own, without a port.
	initdb := found.command("initdb", "-D", unfinished, "--username="+postgresName,
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	single := found.command("postgres", "--single", "-D", unfinished, "postgres")
	single.Stdin = strings.NewReader("CREATE DATABASE " + postgresName + "\n")
	for _, command := range []*exec.Cmd{initdb, single} {
		command.Stdout, command.Stderr = log, log
		attach(command, false)
		if err := asOther(command, unfinished); err != nil {
			return err
		}
		if err := runProcess(ctx, command); err != nil {
			return fmt.Errorf("initdb: %w", err)
		}
	}
	return os.Rename(unfinished, data)
}

// answers begins a session, and ends it at once.
func (postgres) answers(connection net.Conn) error {
	const protocol = 3 << 16
	body := "user\x00" + postgresName + "\x00database\x00" + postgresName + "\x00\x00"
	hello := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	hello = binary.BigEndian.AppendUint32(hello, protocol)
	if _, err := connection.Write(append(hello, body...)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(connection, answer[:]); err != nil {
		return err
	}
	if answer[0] != 'R' {
		return errors.New("it is starting up")
	}
	_, err := connection.Write([]byte{'X', 0, 0, 0, 4})
	return err
}
