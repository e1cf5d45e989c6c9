package graph

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"skein/feed"
)

// follows lists a graph's follows as "1>2 1>3 …", by rising ids.
func follows(g *Graph) string {
	var list []string
	for i := range uint32(g.Users()) {
		for _, author := range g.Following(i) {
			list = append(list, fmt.Sprintf("%d>%d", g.ID(i), g.ID(author)))
		}
	}
	return strings.Join(list, " ")
}

func TestReadFormats(t *testing.T) {
	const greatest = "9223372036854775806"
	cases := map[string]struct {
		text    string
		options Options
		want    string
		notes   Notes
	}{
		"snap": {
			text: "# Directed graph\n# FromNodeId\tToNodeId\n1\t2\n3\t1\n",
			want: "1>2 3>1", notes: Notes{Lines: 4},
		},
		"network repository, weights and times": {
			text: "%%MatrixMarket matrix\n  % x\n1 2 0.5 1290000000\n2 1 -1\n",
			want: "1>2 2>1", notes: Notes{Lines: 4},
		},
		"commas":         {text: "1,2\n1, 3\n1 ,4,\n1\t,\t5,9,9\n", want: "1>2 1>3 1>4 1>5", notes: Notes{Lines: 4}},
		"no end of line": {text: "1 2\n2 3", want: "1>2 2>3", notes: Notes{Lines: 2}},
		"from Windows":   {text: "\ufeff1 2\r\n\r\n2 3 \r\n", want: "1>2 2>3", notes: Notes{Lines: 3}},
		"blanks":         {text: "\n \t\n  1  \t 2  \n", want: "1>2", notes: Notes{Lines: 3}},
		"self-follows, duplicates": {
			text: "1 2\n9 9\n1 2\n2 1\n1 2\n",
			want: "1>2 2>1", notes: Notes{Lines: 5, SelfFollows: 1, Duplicates: 2},
		},
		"reversed":   {text: "1 2\n1 3\n", options: Options{Reverse: true}, want: "2>1 3>1", notes: Notes{Lines: 2}},
		"undirected": {text: "1 2\n2 3\n", options: Options{Undirected: true}, want: "1>2 2>1 2>3 3>2", notes: Notes{Lines: 2}},
		"undirected, both directions listed": {
			text: "1 2\n2 1\n", options: Options{Undirected: true, Reverse: true},
			want: "1>2 2>1", notes: Notes{Lines: 2, Duplicates: 2},
		},
		"node 0":               {text: "1 2\n2 0\n", want: "2>3 3>1", notes: Notes{Lines: 2, Shifted: true}},
		"node 0 alone":         {text: "0 0\n1 2\n", want: "2>3", notes: Notes{Lines: 2, SelfFollows: 1, Shifted: true}},
		"the greatest node":    {text: greatest + " 1\n", want: greatest + ">1", notes: Notes{Lines: 1}},
		"the greatest, and 0":  {text: greatest + " 0\n", want: "9223372036854775807>1", notes: Notes{Lines: 1, Shifted: true}},
		"leading zeros":        {text: "007 08\n", want: "7>8", notes: Notes{Lines: 1}},
		"far apart":            {text: "67108863 67108864\n67108865 3\n", want: "67108863>67108864 67108865>3", notes: Notes{Lines: 2}},
		"a very long comment":  {text: "#" + strings.Repeat("x", 3*maxLine) + "\n1 2\n", want: "1>2", notes: Notes{Lines: 2}},
		"as long as it may be": {text: "1 2 " + strings.Repeat("x", maxLine-5) + "\n3 4", want: "1>2 3>4", notes: Notes{Lines: 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			// With and without gzip, however the reader cuts it: all the same.
			readers := map[string]io.Reader{
				"plain":       strings.NewReader(c.text),
				"gzip":        bytes.NewReader(zip(t, c.text)),
				"byte-wise":   iotest.OneByteReader(strings.NewReader(c.text)),
				"eof at once": iotest.DataErrReader(strings.NewReader(c.text)),
			}
			for how, r := range readers {
				g, notes, err := Read(r, name, c.options)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				requireSound(t, g)
				if got := follows(g); got != c.want {
					t.Errorf("%s: follows %s, want %s", how, got, c.want)
				}
				if notes != c.notes {
					t.Errorf("%s: notes %+v, want %+v", how, notes, c.notes)
				}
			}
		})
	}
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadBadLines(t *testing.T) {
	const number = " is not a number from 0 to 9223372036854775806"
	cases := map[string]string{ // the third line of a file, and what is said about it
		"7":                      `"7": there is no second column`,
		"7,":                     `"7,": there is no second column`,
		"source,target":          `"source,target": the first column` + number,
		"1 x":                    `"1 x": the second column` + number,
		"1x 2":                   `"1x 2": the first column` + number,
		"1 2x":                   `"1 2x": the second column` + number,
		"1 2#3":                  `"1 2#3": the second column` + number,
		"-1 2":                   `"-1 2": the first column` + number,
		"1 2.0":                  `"1 2.0": the second column` + number,
		"1;2":                    `"1;2": the first column` + number,
		"1,,2":                   `"1,,2": the second column` + number,
		",1,2":                   `",1,2": the first column` + number,
		"1 2\r3 4":               `"1 2\r3 4": the second column` + number,
		"1\u00a02":               `"1\u00a02": the first column` + number,
		"\x00\xff 1":             `"\x00\xff 1": the first column` + number,
		"9223372036854775807 1":  `"9223372036854775807 1": the first column is above 9223372036854775806`,
		"1 99999999999999999999": `"1 99999999999999999999": the second column is above 9223372036854775806`,
		strings.Repeat("y", 81):  `"` + strings.Repeat("y", 80) + `" …: the first column` + number,
		"1 2 " + strings.Repeat("z", maxLine-4): `"1 2 ` + strings.Repeat("z", 76) +
			`" …: it is longer than 65536 bytes`,
		strings.Repeat(" ", maxLine) + "1 2": `"` + strings.Repeat(" ", 80) + `" …: it is longer than 65536 bytes`,
	}
	for line, want := range cases {
		text := "# comment\n1 2\n" + line + "\n3 4\nbad too\n"
		want = "some.edges: line 3: " + want
		_, notes, err := Read(strings.NewReader(text), "some.edges", Options{})
		if feed.CodeOf(err) != feed.CodeInvalid || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if notes.Lines != 3 {
			t.Errorf("%d lines read before the error, want 3", notes.Lines)
		}
		g, notes, err := Read(strings.NewReader(text), "some.edges", Options{SkipBad: true})
		if err != nil {
			t.Errorf("%q is not skipped: %v", line, err)
			continue
		}
		if got := follows(g); got != "1>2 3>4" {
			t.Errorf("%q is skipped, but the follows are %s", line, got)
		}
		if notes != (Notes{Lines: 5, Skipped: 2, FirstSkipped: want}) {
			t.Errorf("notes %+v, want 2 of 5 skipped, first %s", notes, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	big := zip(t, strings.Repeat("1 2\n3 4\n", 100_000))
	damaged := slices.Clone(big)
	damaged[len(damaged)-5] ^= 1 // the checksum
	garbled := slices.Clone(big)
	copy(garbled[10:], bytes.Repeat([]byte{0xff}, 20))
	for name, c := range map[string]struct{ data, want string }{
		"empty":              {"", "x: there is no follow in it (lines: 0, bad: 0, self-follows: 0); is it an edge list?"},
		"comments only":      {"# a\n\n% b\n", "x: there is no follow in it (lines: 3"},
		"self-follows only":  {"5 5\n", "x: there is no follow in it (lines: 1, bad: 0, self-follows: 1)"},
		"skipped only":       {"a\nb\n", "x: there is no follow in it (lines: 2, bad: 2"},
		"empty gzip":         {string(zip(t, "")), "x: there is no follow in it (lines: 0"},
		"gzip magic alone":   {"\x1f\x8b", "x: its gzip data ends too early, after line 0; get the file again"},
		"gzip cut in two":    {string(big[:len(big)/2]), "x: its gzip data ends too early, after line "},
		"gzip without end":   {string(big[:len(big)-1]), "x: its gzip data ends too early, after line 200000; get the file again"},
		"gzip, bad checksum": {string(damaged), "x: its gzip data is damaged after line 200000 ("},
		"gzip, garbled":      {string(garbled), "x: its gzip data is damaged after line 0 ("},
		"gzip, then more":    {string(big) + "more", "x: its gzip data"},
	} {
		g, _, err := Read(strings.NewReader(c.data), "x", Options{SkipBad: true})
		if g != nil || feed.CodeOf(err) != feed.CodeInvalid || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s…", name, err, c.want)
		}
	}
}

func TestReadTellsOfAFailingReader(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, text := range []string{"1 2\n3 4\n", "1 2\n3 4\n5", "1 2\n3 4\n" + strings.Repeat("5", maxLine+1)} {
		_, notes, err := Read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), "x", Options{SkipBad: true})
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "x: cannot be read after line 2: ") {
			t.Errorf("error %v, want the reader's, after line 2", err)
		}
		if notes.Lines != 2 {
			t.Errorf("%d lines, want 2", notes.Lines)
		}
	}
	if _, _, err := Open(filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := Open(t.TempDir(), Options{}); err == nil {
		t.Error("a folder was read as a graph")
	}
}

// The stock graph of DeathStarBench, with its published figures.
func TestReed98(t *testing.T) {
	const path = "../../../shared/graphs/socfb-Reed98.edges"
	g, notes, err := Open(path, Options{Undirected: true})
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: %s is missing", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	requireSound(t, g)
	if g.Users() != 962 || g.Follows() != 37_624 || g.MaxFollowers() != 313 {
		t.Errorf("%d users, %d follows, at most %d followers; want 962, 37624, 313", g.Users(), g.Follows(), g.MaxFollowers())
	}
	if want := (Notes{Lines: 18_812, Shifted: true}); notes != want {
		t.Errorf("notes %+v, want %+v", notes, want)
	}
	if g.ID(0) != 1 || g.ID(961) != 962 {
		t.Errorf("ids %d … %d, want 1 … 962", g.ID(0), g.ID(961))
	}
}
