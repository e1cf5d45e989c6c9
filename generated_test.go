package skein_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const baseline = "proto/baseline.binpb"

// buf runs the buf of `make tools`, in the root of the module, and returns what
// it printed.
func buf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	tools, err := filepath.Abs(".tools")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tools, "buf")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI=true, and the tools are not built: run `make tools` first")
		}
		t.Skip("THE API WAS NOT CHECKED: the tools are not built, run `make tools`")
	}
	command := exec.Command(filepath.Join(tools, "buf"), args...)
	command.Env = append(os.Environ(),
		"PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"),
		"BUF_CACHE_DIR="+t.TempDir())
	out, err := command.CombinedOutput()
	return string(out), err
}

// goFiles reads the .go files below dir, by path relative to it.
func goFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return err
		}
		files[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestGeneratedCodeIsFresh(t *testing.T) {
	dir := t.TempDir()
	if out, err := buf(t, "generate", "--output", dir); err != nil {
		t.Fatalf("buf generate: %v\n%s", err, out)
	}
	committed, made := goFiles(t, "proto"), goFiles(t, filepath.Join(dir, "proto"))
	if len(made) == 0 {
		t.Fatal("buf generate made no .go file")
	}
	for name, source := range made {
		if !bytes.Equal(committed[name], source) {
			t.Errorf("proto/%s is stale: run `make generate` and commit it", name)
		}
	}
	for name := range committed {
		if made[name] == nil {
			t.Errorf("proto/%s comes from no .proto file: remove it", name)
		}
	}
}

func TestProtoLint(t *testing.T) {
	if out, err := buf(t, "lint"); err != nil {
		t.Errorf("buf lint: %v\n%s", err, out)
	}
}

func TestAPIKeepsItsPromises(t *testing.T) {
	if out, err := buf(t, "breaking", "--against", baseline); err != nil {
		t.Errorf("the API breaks its clients (see buf.yaml): %v\n%s", err, out)
	}
}

// A check that cannot fail is worth nothing: take a field away, and see.
func TestBreakingIsFound(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "proto"), os.DirFS("proto")); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("buf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "buf.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	event := filepath.Join(dir, "proto/event/v1/event.proto")
	source, err := os.ReadFile(event)
	if err != nil {
		t.Fatal(err)
	}
	const field = "  int64 author_id = 2;\n"
	if err := os.WriteFile(event, bytes.Replace(source, []byte(field), nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := buf(t, "breaking", dir, "--against", baseline)
	if err == nil || !strings.Contains(out, "author_id") {
		t.Errorf("a field was taken away and buf breaking said: %v\n%s", err, out)
	}
}
