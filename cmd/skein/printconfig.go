package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// fromAnnotation is where a flag keeps which source gave it its value; without
// it that was the command line, or nobody.
const fromAnnotation = "skein_from"

// noteSource remembers where a flag has its value from.
func noteSource(flag *pflag.Flag, source string) {
	flag.Annotations = map[string][]string{fromAnnotation: {source}}
}

// sourceOf says where a flag has its value from.
func sourceOf(flag *pflag.Flag) string {
	switch from := flag.Annotations[fromAnnotation]; {
	case len(from) > 0:
		return from[0]
	case flag.Changed:
		return "flag --" + flag.Name
	}
	return "default"
}

// printConfig writes each setting with its value and where that came from, as a
// YAML file that --config takes. Passwords in URLs are left out.
func printConfig(w io.Writer, settings *pflag.FlagSet) error {
	var b bytes.Buffer // cannot fail; w may
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	settings.VisitAll(func(flag *pflag.Flag) {
		// A file cannot name another.
		comment := ""
		if flag.Name == "config" {
			comment = "# "
		}
		value := redacted(flag.Value.String())
		if flag.Name == "log-level" {
			value = strings.ToLower(value) // as people write it
		}
		fmt.Fprintf(table, "%s%s: %s\t# %s\n", comment, flag.Name, strconv.Quote(value), sourceOf(flag))
	})
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// redacted is a setting without the password of a URL.
func redacted(value string) string {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return u.Redacted()
	}
	// Several hosts with ports are no URL to the parser.
	if scheme, rest, ok := strings.Cut(value, "://"); ok {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			user, _, _ := strings.Cut(rest[:at], ":")
			return scheme + "://" + user + ":xxxxx" + rest[at:]
		}
	}
	return value
}
