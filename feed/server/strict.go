package server

import (
	"context"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"skein/feed"
)

// A request that cannot be decoded gRPC answers with Internal, and sends that
// before any code of ours runs. So the codec here lets such a request pass as an
// empty message that bears a mark, and what runs first of ours, the registrar and
// the stream, answers INVALID_ARGUMENT with the field.

// Codec returns the codec for a gRPC server on which Register is called.
func Codec() encoding.CodecV2 { return strictCodec{encoding.GetCodecV2(grpcproto.Name)} }

type strictCodec struct{ encoding.CodecV2 }

// markField is the number of the unknown field that marks a message which could
// not be decoded: the highest that there is. It holds the name of the field at
// fault, if that is known.
const markField = protowire.MaxValidNumber

func (c strictCodec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.CodecV2.Unmarshal(data, v)
	m, ok := v.(proto.Message)
	if !ok {
		return err
	}
	if err == nil {
		// Fields that we do not know go, so that no client sets the mark.
		m.ProtoReflect().SetUnknown(nil)
		return nil
	}
	proto.Reset(m)
	field := invalidText(data.Materialize(), m.ProtoReflect().Descriptor().Fields())
	mark := protowire.AppendTag(nil, markField, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendString(mark, field))
	return nil
}

// invalidText returns the name of the first string field that is not UTF-8.
func invalidText(data []byte, fields protoreflect.FieldDescriptors) string {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return ""
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return ""
		}
		field := fields.ByNumber(number)
		if field != nil && field.Kind() == protoreflect.StringKind && kind == protowire.BytesType {
			if text, _ := protowire.ConsumeBytes(data); !utf8.Valid(text) {
				return string(field.Name())
			}
		}
		data = data[size:]
	}
	return ""
}

// decoded returns the error of a message that bears the mark.
func decoded(v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return nil
	}
	unknown := m.ProtoReflect().GetUnknown()
	number, _, n := protowire.ConsumeTag(unknown)
	if n < 0 || number != markField {
		return nil
	}
	if field, _ := protowire.ConsumeBytes(unknown[n:]); len(field) > 0 {
		return Status(feed.Invalid(feed.Violation{Field: string(field), Description: "is not valid UTF-8"}))
	}
	return Status(&feed.Error{Code: feed.CodeInvalid, Message: "the request is not a message of this method"})
}

// strictRegistrar answers marked requests of unary methods.
type strictRegistrar struct{ grpc.ServiceRegistrar }

func (r strictRegistrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	strict := *desc
	strict.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		handler := method.Handler
		method.Handler = func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			return handler(srv, ctx, func(m any) error {
				if err := decode(m); err != nil {
					return err
				}
				return decoded(m)
			}, interceptor)
		}
		strict.Methods[i] = method
	}
	r.ServiceRegistrar.RegisterService(&strict, impl)
}

// strictStream answers marked messages of streams.
type strictStream struct{ grpc.ServerStream }

func (s strictStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return decoded(m)
}
