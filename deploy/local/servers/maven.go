package servers

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ulikunitz/xz"
)

// artifacts are what Maven fetches for one engine, with all that they need.
type artifacts struct {
	// name is the folder in the cache, and in the list of checksums.
	name string
	// coordinates are group:artifact:version.
	coordinates []string
	// unpack, unless nil, makes the folder's content of the jars.
	unpack func(ctx context.Context, folder string) error
}

func kafkaArtifacts() artifacts {
	return artifacts{name: "kafka-" + kafkaVersion, coordinates: []string{
		"org.apache.kafka:kafka_2.13:" + kafkaVersion,
		"org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
	}}
}

func cassandraArtifacts() artifacts {
	return artifacts{name: "cassandra-" + cassandraVersion, coordinates: []string{"org.apache.cassandra:cassandra-all:" + cassandraVersion}}
}

func postgresArtifacts() artifacts {
	return postgresArtifactsFor(runtime.GOOS, runtime.GOARCH)
}

// postgresArtifactsFor returns the programs for a platform; those for which
// there are none have no checksums either.
func postgresArtifactsFor(system, processor string) artifacts {
	if processor == "arm64" {
		processor = "arm64v8"
	}
	platform := system + "-" + processor
	return artifacts{
		name:        "postgres-" + postgresFetched + "-" + platform,
		coordinates: []string{"io.zonky.test.postgres:embedded-postgres-binaries-" + platform + ":" + postgresFetched},
		unpack:      unpackPostgres,
	}
}

// fetchMaven returns the folder of a.
func fetchMaven(ctx context.Context, cache string, a artifacts) (string, error) {
	return fetched(ctx, cache, a.name, func(folder string) error {
		if err := copyDependencies(ctx, folder, a.coordinates); err != nil {
			return err
		}
		if err := verify(folder, a.name); err != nil || a.unpack == nil {
			return err
		}
		return a.unpack(ctx, folder)
	})
}

// copyDependencies has Maven put coordinates, and what they need, into folder.
func copyDependencies(ctx context.Context, folder string, coordinates []string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("there is no mvn on the PATH")
	}
	var pom strings.Builder
	pom.WriteString("<project><modelVersion>4.0.0</modelVersion><groupId>skein</groupId><artifactId>engines</artifactId><version>1</version><dependencies>")
	for _, c := range coordinates {
		part := strings.Split(c, ":")
		fmt.Fprintf(&pom, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>", part[0], part[1], part[2])
	}
	pom.WriteString("</dependencies></project>\n")
	project := filepath.Join(folder, "pom.xml")
	if err := os.WriteFile(project, []byte(pom.String()), 0o644); err != nil {
		return err
	}
	if _, err := run(ctx, folder, "mvn", "-q", "-B", "dependency:copy-dependencies",
		"-DoutputDirectory="+folder, "-DincludeScope=runtime"); err != nil {
		return err
	}
	return os.Remove(project)
}

// unpackPostgres replaces the jar in folder by the programs in it: the jar is a
// zip file of one .txz.
func unpackPostgres(ctx context.Context, folder string) error {
	jars, _ := filepath.Glob(filepath.Join(folder, "*.jar"))
	if len(jars) != 1 {
		return fmt.Errorf("%d jars came, not one", len(jars))
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return err
	}
	defer jar.Close()
	for _, file := range jar.File {
		if !strings.HasSuffix(file.Name, ".txz") {
			continue
		}
		if err := untar(ctx, file, folder); err != nil {
			return err
		}
	}
	return os.Remove(jars[0])
}

func untar(ctx context.Context, file *zip.File, folder string) error {
	packed, err := file.Open()
	if err != nil {
		return err
	}
	defer packed.Close()
	unpacked, err := xz.NewReader(packed)
	if err != nil {
		return err
	}
	tar := exec.CommandContext(ctx, "tar", "-x", "--no-same-owner", "-C", folder)
	tar.Stdin = unpacked
	if out, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	return nil
}
