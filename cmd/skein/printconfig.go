package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
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
// YAML file that --config takes. A setting with a password is a comment there, with
// the password left out.
func printConfig(w io.Writer, settings *pflag.FlagSet) error {
	var b bytes.Buffer // cannot fail; w may
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	settings.VisitAll(func(flag *pflag.Flag) {
		value := redacted(flag.Value.String())
		comment, from := "", sourceOf(flag)
		switch {
		case flag.Name == "config": // a file cannot name another
			comment = "# "
		case value != flag.Value.String():
			comment, from = "# ", from+"; its password is left out"
		}
		if flag.Name == "log-level" {
			value = strings.ToLower(value) // as people write it
		}
		fmt.Fprintf(table, "%s%s: %s\t# %s\n", comment, flag.Name, strconv.Quote(value), from)
	})
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// hidden is what stands for a password.
const hidden = "xxxxx"

// passwords are the parameters of engines' URLs that hold one.
var passwords = regexp.MustCompile(`([?&](?:password|sslpassword)=)[^&]*`)

// redacted is a setting without the passwords of a URL.
func redacted(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return value
	}
	// Several hosts with ports are no URL to the parser of the library.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if user, _, ok := strings.Cut(rest[:at], ":"); ok {
			rest = user + ":" + hidden + rest[at:]
		}
	}
	return scheme + "://" + passwords.ReplaceAllString(rest, "${1}"+hidden)
}
