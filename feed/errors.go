package feed

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error for those who must react to it. There are few, and
// one table in feed/server maps them to gRPC's.
type Code int

const (
	// CodeInternal is a fault of ours; its detail is logged, not sent.
	CodeInternal Code = iota
	// CodeInvalid: the request is malformed; Fields says where.
	CodeInvalid
	// CodeNotFound: what the request names does not exist.
	CodeNotFound
	// CodeExists: it exists already, or differs from what exists.
	CodeExists
	// CodeDenied: it belongs to somebody else.
	CodeDenied
	// CodeExhausted: too much at once; RetryAfter says when to come back.
	CodeExhausted
	// CodeUnavailable: an engine could not be asked. The call may or may not
	// have happened; repeating it is safe.
	CodeUnavailable
)

// ErrLate is returned by a store for an id older than MaxIDAge: the caller takes
// another id and tries again (W4). It never reaches a client.
var ErrLate = errors.New("post id is too old to commit")

// Violation names a field of a request and what is wrong with it.
type Violation struct {
	Field, Description string
}

// Error is an error with a code. Message is for the user: what happened, to
// what, and what to do. Err, if any, is the cause, for the operator.
type Error struct {
	Code       Code
	Message    string
	Fields     []Violation
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, else CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Invalid reports malformed fields.
func Invalid(fields ...Violation) error {
	msg := "the request is malformed"
	if len(fields) > 0 {
		msg = fields[0].Field + " " + fields[0].Description
	}
	return &Error{Code: CodeInvalid, Message: msg, Fields: fields}
}

// NotFound reports that something does not exist.
func NotFound(format string, args ...any) error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

// Exists reports that something exists already, or differs from what exists.
func Exists(format string, args ...any) error {
	return &Error{Code: CodeExists, Message: fmt.Sprintf(format, args...)}
}

// Denied reports that something belongs to somebody else.
func Denied(format string, args ...any) error {
	return &Error{Code: CodeDenied, Message: fmt.Sprintf(format, args...)}
}

// Exhausted reports too much at once.
func Exhausted(retryAfter time.Duration, format string, args ...any) error {
	return &Error{Code: CodeExhausted, Message: fmt.Sprintf(format, args...), RetryAfter: retryAfter}
}

// Unavailable reports that doing could not be carried out because of cause.
func Unavailable(doing string, cause error) error {
	return &Error{Code: CodeUnavailable, Message: "cannot " + doing + " now; try again", Err: cause}
}
