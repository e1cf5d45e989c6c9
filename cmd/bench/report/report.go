// Package report is what the benchmark hands out: each figure beside its ceiling
// and its target, as JSON for programs and as a table for people. It measures
// nothing.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Schema names the form of the JSON file. Whoever changes the form changes it.
const Schema = "skein.bench/v1"

// Which way a figure should go.
const (
	Higher = "higher"
	Lower  = "lower"
)

// Report is one run of the benchmark.
type Report struct {
	Schema  string  `json:"schema"`
	Machine Machine `json:"machine"`
	Rows    []Row   `json:"rows"`
}

// Row is one figure. A nil pointer stands for null: there is none.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Unit of Value and Ceiling; "x" for a proportion.
	Unit   string `json:"unit"`
	Better string `json:"better"`
	// Ceiling was measured in the same run, alternating with Value.
	Ceiling     *float64 `json:"ceiling"`
	CeilingName *string  `json:"ceiling_name"`
	// Ratio is Value by Ceiling.
	Ratio *float64 `json:"ratio"`
	// Target is for Ratio where there is a ceiling, else for Value.
	Target  *float64 `json:"target"`
	Reached *bool    `json:"reached"`
	// Setup says under which circumstances, and what is left out.
	Setup string `json:"setup"`
}

// New makes a report of rows. Ratio and Reached are computed here, whatever the
// rows say.
func New(machine Machine, rows []Row) Report {
	r := Report{Schema: Schema, Machine: machine, Rows: make([]Row, len(rows))}
	for i, row := range rows {
		row.Ratio, row.Reached = nil, nil
		if row.Ceiling != nil {
			row.Ratio = new(row.Value / *row.Ceiling)
		}
		if row.Target != nil {
			far := row.judged() - *row.Target
			row.Reached = new(far >= 0 && row.Better == Higher || far <= 0 && row.Better == Lower)
		}
		r.Rows[i] = row
	}
	return r
}

// judged is what the target is for.
func (r Row) judged() float64 {
	if r.Ratio != nil {
		return *r.Ratio
	}
	return r.Value
}

// Write writes the report to a file, whole or not at all, and makes its folder.
func (r Report) Write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
