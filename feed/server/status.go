package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"skein/feed"
)

// grpcCodes is the one table from our codes to gRPC's.
var grpcCodes = map[feed.Code]codes.Code{
	feed.CodeInternal:    codes.Internal,
	feed.CodeInvalid:     codes.InvalidArgument,
	feed.CodeNotFound:    codes.NotFound,
	feed.CodeExists:      codes.AlreadyExists,
	feed.CodeDenied:      codes.PermissionDenied,
	feed.CodeExhausted:   codes.ResourceExhausted,
	feed.CodeUnavailable: codes.Unavailable,
}

// Status turns an error into a gRPC status error with its details: field
// violations, or the delay after which to retry. The text of an internal error,
// and the cause of any other, stay here.
func Status(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	e, ok := errors.AsType[*feed.Error](err)
	if !ok {
		if code := status.FromContextError(err).Code(); code != codes.Unknown {
			return status.Error(code, err.Error())
		}
		return status.Error(codes.Internal, "an error of the service, see its log")
	}
	if e.Code == feed.CodeInternal {
		return status.Error(codes.Internal, "an error of the service, see its log")
	}
	st := status.New(grpcCodes[e.Code], e.Message)
	var detail protoadapt.MessageV1
	switch {
	case len(e.Fields) > 0:
		bad := &errdetails.BadRequest{}
		for _, v := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Description,
			})
		}
		detail = bad
	case e.RetryAfter > 0:
		detail = &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}
	default:
		return st.Err()
	}
	detailed, err := st.WithDetails(detail)
	if err != nil {
		return st.Err()
	}
	return detailed.Err()
}

// UnaryErrors maps errors by Status, logs those that are ours, and turns a panic
// into one.
func UnaryErrors(log *slog.Logger) grpc.UnaryServerInterceptor {
	calls := &callLog{steady{Logger: log}}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
		defer func() { err = calls.settle(ctx, info.FullMethod, recover(), err) }()
		return handler(ctx, req)
	}
}

// StreamErrors does the same for streams.
func StreamErrors(log *slog.Logger) grpc.StreamServerInterceptor {
	calls := &callLog{steady{Logger: log}}
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() { err = calls.settle(stream.Context(), info.FullMethod, recover(), err) }()
		return handler(srv, strictStream{stream})
	}
}

// callLog logs the calls that failed by our fault.
type callLog struct{ steady }

func (log *callLog) settle(ctx context.Context, method string, panicked any, err error) error {
	if panicked != nil {
		log.Error("a call panicked", "method", method, "panic", panicked, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "an error of the service, see its log")
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err() // the client has left; no engine failed
	}
	st := Status(err)
	switch status.Code(st) {
	case codes.Internal, codes.Unknown:
		log.Error("a call failed", "method", method, "err", err)
	case codes.Unavailable:
		log.Warn("calls find an engine unavailable", "method", method, "err", err)
	}
	return st
}
