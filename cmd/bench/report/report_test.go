package report

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rows of every kind: with and without a ceiling, to be high and to be low,
// reached and missed; they claim the opposite of what is true.
var rows = []Row{
	{Name: "a", Value: 60, Unit: "reads/s", Better: Higher, Ceiling: new(100.0), CeilingName: new("a constant"), Ratio: new(7.0), Target: new(0.6), Setup: "2 users"},
	{Name: "b", Value: 59, Unit: "reads/s", Better: Higher, Ceiling: new(100.0), CeilingName: new("a constant"), Target: new(0.6), Reached: new(true)},
	{Name: "c", Value: 3_000_000, Unit: "entries/s", Better: Higher, Target: new(3_000_000.0)},
	{Name: "d", Value: 1_500_000, Unit: "entries/s", Better: Higher, Target: new(3_000_000.0), Reached: new(true)},
	{Name: "e", Value: 0.9, Unit: "s", Better: Lower, Target: new(1.0)},
	{Name: "f", Value: 1.25, Unit: "s", Better: Lower, Target: new(1.0), Reached: new(true)},
	{Name: "g", Value: 3, Unit: "s", Better: Lower, Reached: new(true)},
}

var reached = []any{true, false, true, false, true, false, nil}

func TestReachedIsComputed(t *testing.T) {
	r := New(Machine{}, rows)
	for i, row := range r.Rows {
		if got := row.Reached; (got == nil) != (reached[i] == nil) || got != nil && *got != reached[i] {
			t.Errorf("row %s: reached is not %v", row.Name, reached[i])
		}
		if (row.Ratio == nil) != (row.Ceiling == nil) || row.Ratio != nil && *row.Ratio != row.Value/100 {
			t.Errorf("row %s: ratio %v", row.Name, row.Ratio)
		}
	}
}

// The file has exactly the members of the schema, and null where there is none.
func TestSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out", "bench.json")
	if err := New(Machine{Cores: 2, Memory: 8 << 30}, rows).Write(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Schema  string                     `json:"schema"`
		Machine map[string]json.RawMessage `json:"machine"`
		Rows    []map[string]any           `json:"rows"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if file.Schema != "skein.bench/v1" || string(file.Machine["cores"]) != "2" || string(file.Machine["memory"]) != "8589934592" {
		t.Errorf("schema %q on machine %s", file.Schema, file.Machine)
	}
	want := []string{"better", "ceiling", "ceiling_name", "name", "ratio", "reached", "setup", "target", "unit", "value"}
	for i, row := range file.Rows {
		if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, want) {
			t.Errorf("row %d has %v, want %v", i, got, want)
		}
	}
	if first := file.Rows[0]; first["ratio"] != 0.6 || first["ceiling_name"] != "a constant" || first["reached"] != true {
		t.Errorf("row a is %v", first)
	}
	for _, member := range []string{"ceiling", "ceiling_name", "ratio"} {
		if got := file.Rows[2][member]; got != nil {
			t.Errorf("row c has the %s %v, want null", member, got)
		}
	}
	for _, member := range []string{"target", "reached"} {
		if got := file.Rows[6][member]; got != nil {
			t.Errorf("row g has the %s %v, want null", member, got)
		}
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTable(t *testing.T) {
	var s strings.Builder
	if err := New(Machine{Cores: 2, Memory: 3 << 29}, rows).Table(&s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 cores, 1.5 GiB", "60 reads/s", "at least 0.6 of it", "3,000,000 entries/s", "missed by 50 %",
		"at most 1 s", "missed by 25 %", "a: 2 users. Ceiling: a constant.",
	} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, s.String())
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 0.1234: "0.123", 9.999: "10", 12.34: "12.3", 123.4: "123", 999.6: "1,000", 1000: "1,000", 12345.6: "12,346", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := number(n); got != want {
			t.Errorf("number(%v) = %s, want %s", n, got, want)
		}
	}
}

func TestMemoryOf(t *testing.T) {
	if got := memoryOf("MemTotal:       16384 kB\nMemFree:  1 kB\n"); got != 16<<20 {
		t.Errorf("%d bytes, want 16 MiB", got)
	}
	if got := memoryOf(""); got != 0 {
		t.Errorf("%d bytes of an unknown machine", got)
	}
	if m := ThisMachine(); m.Cores < 1 {
		t.Errorf("%d cores", m.Cores)
	}
}
