package report

import (
	"fmt"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"skein/cmd/internal/threads"
)

// Setup is what every row says of the circumstances under which it was measured.
type Setup struct {
	Users, LiveTimelines int
	// PostBytes is how long the text of a post is.
	PostBytes int
	// How it was done, and what would be there in real life and was LeftOut.
	How, LeftOut string
}

// String is the setup as a row tells it, with the processors of this process.
func (s Setup) String() string {
	return fmt.Sprintf("%s users, %s live timelines, %s bytes a post, %d threads; %s; left out: %s",
		Count(s.Users), Count(s.LiveTimelines), Count(s.PostBytes), threads.Processors, s.How, s.LeftOut)
}

// Count writes n in groups of three digits.
func Count(n int) string {
	return message.NewPrinter(language.English).Sprintf("%d", n)
}
