package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const unknown = "unknown"

func known(s *string) string {
	if s == nil {
		return unknown
	}
	return *s
}

// plain makes a name of the file one for people.
func plain(name string) string { return strings.ReplaceAll(name, "_", " ") }

// integer groups digits by three.
func integer(n int64) string {
	return message.NewPrinter(language.English).Sprintf("%d", n)
}

// Integer groups digits by three, for tables beside those of a report.
func Integer(n int64) string { return integer(n) }

// quantity shows a number with its unit: to the digit from 100 on, since more
// would only be noise, with up to two decimals below.
func quantity(value *float64, unit string) string {
	switch {
	case value == nil:
		return unknown
	case unit == "s":
		return duration(value)
	}
	number := strconv.FormatFloat(math.Round(*value*100)/100, 'f', -1, 64)
	if size := math.Abs(*value); size >= 100 && size < math.MaxInt64 {
		number = integer(int64(math.Round(*value)))
	}
	return strings.TrimSpace(number + " " + strings.TrimPrefix(unit, "1")) // 7 /s, not 7 1/s
}

// duration shows seconds in the unit that suits them, to three digits.
func duration(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	// The unit is that of the rounded number: 999.9996 ms is 1 s.
	s, _ := strconv.ParseFloat(strconv.FormatFloat(*seconds, 'g', 3, 64), 64)
	switch {
	case s < 0.001:
		return fmt.Sprintf("%.3g µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.3g ms", s*1e3)
	case s < 60:
		return fmt.Sprintf("%.3g s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// milliseconds is the label of a duration on an axis in them.
func milliseconds(seconds float64) string { return thousands(seconds * 1e3) }

// thousands is the label of a number on an axis.
func thousands(v float64) string {
	if math.Abs(v) >= 1000 && math.Abs(v) < 1e15 {
		return integer(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
