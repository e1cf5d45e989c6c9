package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Failure is what a person reads when a call did not succeed: what happened,
// and below it, a line each, what is wrong or what to do about it.
type Failure struct {
	What   string
	Advice []string

	// uncertain: the call may have happened all the same.
	uncertain bool
}

// Error returns all lines.
func (f *Failure) Error() string {
	return strings.Join(append([]string{f.What}, f.Advice...), "\n  ")
}

// createUser is what the server says of a user that is not there. A person here has a
// command where it speaks of its calls.
var createUser = regexp.MustCompile(`no user (\d+)(; create it with GraphService\.CreateUser)?$`)

// explain says what a call's error means to the person who made it.
func (o *options) explain(err error) *Failure {
	target, timeout := o.target, o.timeout
	answer := status.Convert(err)
	f := &Failure{What: createUser.ReplaceAllString(answer.Message(), "no user $1; create it with `skein user create $1`")}
	switch answer.Code() {
	case codes.InvalidArgument:
		f.Advice = violations(answer)
	case codes.ResourceExhausted:
		if delay, ok := retryDelay(answer); ok {
			f.Advice = []string{fmt.Sprintf("Try again in %s.", delay)}
		}
	case codes.Unavailable:
		f.uncertain = true
		if o.line.broken.Load() {
			f.What = fmt.Sprintf("the connection to %s broke before the answer came", target)
			f.Advice = []string{"See whether the server still runs."}
			break
		}
		f.What = fmt.Sprintf("the server at %s cannot do it now: %s", target, f.What)
	case codes.DeadlineExceeded:
		f.What = fmt.Sprintf("the server at %s did not answer within %s", target, timeout)
		f.Advice = []string{"See whether it is overloaded, or give it longer with --timeout."}
		f.uncertain = true
	case codes.Unimplemented:
		f.What = fmt.Sprintf("what is at %s does not know this call", target)
		f.Advice = []string{"Is it a skein, and of this version? See `skein version`."}
	case codes.Internal, codes.Unknown:
		f.What = fmt.Sprintf("the server at %s failed: %s", target, f.What)
		f.Advice = []string{"Its log says why."}
		f.uncertain = true
	}
	if len(f.Advice) > 0 && answer.Code() == codes.InvalidArgument {
		f.What = "the server refuses this:"
	}
	return f
}

// violations lists the fields that are wrong, one a line.
func violations(answer *status.Status) (lines []string) {
	for _, detail := range answer.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				lines = append(lines, v.GetField()+" "+v.GetDescription())
			}
		}
	}
	return lines
}

// retryDelay is how long the server asks to wait; false if it does not say.
func retryDelay(answer *status.Status) (time.Duration, bool) {
	for _, detail := range answer.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
