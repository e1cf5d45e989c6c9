package engines

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/fanout/eventlog"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		text string
		want Bytes
		back string
	}{
		{"0", 0, "0B"},
		{"1", 1, "1B"},
		{"1536", 1536, "1536B"},
		{"2KiB", 2048, "2KiB"},
		{" 512 mib ", 512 << 20, "512MiB"},
		{"1GiB", 1 << 30, "1GiB"},
		{"1025MiB", 1025 << 20, "1025MiB"},
		{"8388607TiB", 8388607 << 40, "8388607TiB"},
	} {
		var got Bytes
		if err := got.UnmarshalText([]byte(c.text)); err != nil || got != c.want || got.String() != c.back {
			t.Errorf("%q is %d, written %q (%v); want %d, %q", c.text, got, got, err, c.want, c.back)
		}
	}
	for _, text := range []string{"", "B", "-1", "1.5GiB", "1GB", "8388608TiB", "99999999999999999999"} {
		got := Bytes(7)
		if err := got.UnmarshalText([]byte(text)); err == nil || got != 7 {
			t.Errorf("%q is %d (%v), want an error and nothing changed", text, got, err)
		}
	}
}

func options() Options {
	return Options{
		Topics: []eventlog.Topic{{Name: "t", Partitions: 1}},
		Clock:  time.Now,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// A set holds its data directory alone, also within one process, and gives it
// back when it closes or fails to open.
func TestDataDirectory(t *testing.T) {
	config := DefaultConfig()
	config.DataDir = filepath.Join(t.TempDir(), "a", "data")
	if _, err := OpenGraph(t.Context(), config, options()); err == nil || !strings.Contains(err.Error(), "no data") {
		t.Errorf("OpenGraph without data: %v", err)
	}
	if _, err := os.Stat(config.DataDir); err == nil {
		t.Error("OpenGraph made a data directory")
	}
	first, err := Open(t.Context(), config, options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config, options()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second Open: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// The number of partitions is fixed, so this fails after storage opened.
	wrong := options()
	wrong.Topics[0].Partitions = 2
	if _, err := Open(t.Context(), config, wrong); err == nil {
		t.Error("Open with other partitions: no error")
	}
	again, err := OpenGraph(t.Context(), config, options())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := again.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// An engine is named by the scheme of its URL; one of another setting is refused, and
// the rest of the URL, which may hold a password, is not told.
func TestTimelineEngines(t *testing.T) {
	for url, known := range map[string]bool{
		"memory": true, "redis://h": true, "redis-cluster://h1:1,h2:2": true,
		"redis-cluster": false, "redis-sentinel://:secret@h": false, "kafka://:secret@h": false,
	} {
		config := DefaultConfig()
		config.Timelines = url
		if err := config.Validate(); (err == nil) != known || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	config := DefaultConfig()
	config.Posts = "redis-cluster://h"
	if config.Validate() == nil {
		t.Error("posts in a Redis Cluster")
	}
}
