package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// oldestJava is the oldest that Kafka and Cassandra run on.
const oldestJava = 17

// findJava returns the Java of JAVA_HOME, or of the PATH.
func findJava(ctx context.Context) (string, error) {
	path := filepath.Join(os.Getenv("JAVA_HOME"), "bin", "java")
	if os.Getenv("JAVA_HOME") == "" {
		var err error
		if path, err = exec.LookPath("java"); err != nil {
			return "", errors.New("there is no java on the PATH")
		}
	}
	version, major := versionOf(exec.CommandContext(ctx, path, "-version"), "version ")
	if major < oldestJava {
		return "", fmt.Errorf("%s is version %q", path, version)
	}
	return path, nil
}

// javaOptions are those of every server in Java. A brief one compiles quickly rather
// than well.
func javaOptions(brief bool, temporary string) []string {
	options := []string{"-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.io.tmpdir=" + temporary}
	if brief {
		options = append(options, "-XX:TieredStopAtLevel=1")
	}
	return options
}
