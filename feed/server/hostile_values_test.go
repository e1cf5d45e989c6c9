package server_test

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

// methods are all methods of the API.
func methods() (all []protoreflect.MethodDescriptor) {
	for _, file := range []protoreflect.FileDescriptor{
		feedv1.File_feed_v1_post_proto, feedv1.File_feed_v1_graph_proto, feedv1.File_feed_v1_timeline_proto,
	} {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				all = append(all, file.Services().Get(i).Methods().Get(j))
			}
		}
	}
	return all
}

func all(fields protoreflect.FieldDescriptors) iter.Seq[protoreflect.FieldDescriptor] {
	return func(yield func(protoreflect.FieldDescriptor) bool) {
		for i := range fields.Len() {
			if !yield(fields.Get(i)) {
				return
			}
		}
	}
}

// wireFields is an encoded message by field.
type wireFields map[protowire.Number][]byte

func (f wireFields) wire() []byte {
	var wire []byte
	for _, number := range slices.Sorted(func(yield func(protowire.Number) bool) {
		for n := range f {
			if !yield(n) {
				return
			}
		}
	}) {
		wire = append(wire, f[number]...)
	}
	return wire
}

// with is the message with another field.
func (f wireFields) with(number protowire.Number, field []byte) []byte {
	old := f[number]
	defer func() { f[number] = old }()
	f[number] = field
	return f.wire()
}

func varint(field protoreflect.FieldDescriptor, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field.Number(), protowire.VarintType), v)
}

func blob[T ~string | ~[]byte](field protoreflect.FieldDescriptor, v T) []byte {
	return append(protowire.AppendVarint(protowire.AppendTag(nil, field.Number(), protowire.BytesType), uint64(len(v))), v...)
}

// good is a message that is in order.
func (h *hostile) good(message protoreflect.MessageDescriptor) wireFields {
	fields := wireFields{}
	for field := range all(message.Fields()) {
		fields[field.Number()] = h.goodField(message.Name(), field)
	}
	return fields
}

func (h *hostile) goodField(message protoreflect.Name, field protoreflect.FieldDescriptor) []byte {
	switch name := string(message + "." + field.Name()); name {
	case "CreateUserRequest.id":
		return varint(field, 0)
	case "GetUserRequest.id":
		return varint(field, 1)
	case "DeletePostRequest.id":
		h.posts = append(h.posts, h.post(2)) // a call may delete it
		return varint(field, uint64(h.posts[len(h.posts)-1]))
	}
	switch field.Name() {
	case "viewer_id", "user_id":
		return varint(field, 1)
	case "author_id":
		return varint(field, 2)
	case "ids":
		return varint(field, uint64(h.posts[0]))
	case "page_size":
		return varint(field, 10)
	case "explain":
		return varint(field, 1)
	case "text", "payload":
		return blob(field, "honk")
	case "request_id", "page_token":
		return blob(field, "")
	case "follows":
		return blob(field, h.good(field.Message()).wire())
	}
	h.Fatalf("%s is new here: say what a good value of it is", field.FullName())
	return nil
}

// hostileValue is a field, or a whole message, that should not be sent.
type hostileValue struct {
	name string
	wire []byte
	// field is the field whose violation is due; "" if the value may pass.
	field string
	// wild: it may not even be a message, so that nothing can be named.
	wild bool
	// same: extra, behind a good message, changes nothing.
	same  bool
	extra []byte
}

const megabytes5 = 5 << 20

// values are bad values of a field, and bad ways to write it.
func (h *hostile) values(field protoreflect.FieldDescriptor) []hostileValue {
	if _, ok := h.cache[field.FullName()]; !ok {
		h.cache[field.FullName()] = h.newValues(field)
	}
	return h.cache[field.FullName()]
}

func (h *hostile) newValues(field protoreflect.FieldDescriptor) []hostileValue {
	values := h.wrongTypes(field)
	add := func(name string, wire []byte, bad bool) {
		v := hostileValue{name: fmt.Sprintf("%s %s", field.Name(), name), wire: wire}
		if bad {
			v.field = string(field.Name())
		}
		values = append(values, v)
	}
	if field.Message() != nil {
		values = append(values, h.spoiltMessages(field)...)
	}
	optional := field.Parent().Name() == "CreateUserRequest" || field.Name() == "page_token" ||
		field.Name() == "request_id" || field.Name() == "payload" || field.Name() == "page_size" || field.Name() == "explain"
	add("missing", nil, !optional)
	switch kind := field.Kind(); {
	case field.Message() != nil:
		h.addMessages(field, add)
	case field.IsList():
		h.addLists(field, add)
	case kind == protoreflect.Int64Kind:
		add("0", varint(field, 0), !optional)
		for _, v := range []int64{-1, -1 << 31, math.MinInt64, math.MinInt64 + 1} {
			add(fmt.Sprint(v), varint(field, uint64(v)), true)
		}
		for _, v := range []int64{3, 1 << 31, 1<<31 - 1, 1 << 40, 1 << 62, math.MaxInt64 - 1, math.MaxInt64} {
			add(fmt.Sprint(v), varint(field, uint64(v)), false)
		}
	case kind == protoreflect.Int32Kind:
		for _, v := range []int64{0, 1, 201, math.MaxInt32, 1 << 32, math.MinInt64} { // an int32 is the low half of what was sent
			add(fmt.Sprint(v), varint(field, uint64(v)), false)
		}
		for _, v := range []int64{-1, math.MinInt32, math.MaxUint32, math.MaxInt64} {
			add(fmt.Sprint(v), varint(field, uint64(v)), true)
		}
	case kind == protoreflect.BoolKind:
		add("7", varint(field, 7), false)
		add("the largest number", varint(field, math.MaxUint64), false)
	case kind == protoreflect.StringKind, kind == protoreflect.BytesKind:
		h.addTexts(field, add)
	default:
		h.Fatalf("%s is of a new kind: say what a bad value of it is", field.FullName())
	}
	return values
}

type addValue func(name string, wire []byte, bad bool)

func (h *hostile) addTexts(field protoreflect.FieldDescriptor, add addValue) {
	text, token := field.Kind() == protoreflect.StringKind, field.Name() == "page_token"
	add("empty", blob(field, ""), field.Name() == "text")
	add("of 5 MB", blob(field, bytes.Repeat([]byte("x"), megabytes5)), true)
	add("of 17 KB", blob(field, strings.Repeat("x", 17<<10)), true)
	for _, invalid := range []string{"\xff\xfe", "a\x80", "\xed\xa0\x80", strings.Repeat("\xc0", 4<<10)} {
		add(fmt.Sprintf("%.10q", invalid), blob(field, invalid), text)
	}
	for _, odd := range []string{"\x00", "\u202e\u2066", "%s%n", "a" + strings.Repeat("\u0301", 60), "AQEAAAAAAAAAAQ", strings.Repeat("A", 46)} {
		add(fmt.Sprintf("%.10q", odd), blob(field, odd), token)
	}
	add("of 16 KiB in one character", blob(field, "a"+strings.Repeat("\u0301", 8191)), field.Name() != "text")
}

func (h *hostile) addLists(field protoreflect.FieldDescriptor, add addValue) {
	repeat := func(n int, id int64) []byte { return bytes.Repeat(varint(field, uint64(id)), n) }
	packed := func(n int, id int64) []byte {
		return blob(field, bytes.Repeat(protowire.AppendVarint(nil, uint64(id)), n))
	}
	for _, id := range []int64{h.posts[0], math.MaxInt64, -1, 0, math.MinInt64} {
		bad := id <= 0
		for n, tooMany := range map[int]bool{1: false, 200: false, 201: true, 10_000: true} {
			add(fmt.Sprintf("%d × %d", n, id), repeat(n, id), bad || tooMany)
			add(fmt.Sprintf("%d × %d packed", n, id), packed(n, id), bad || tooMany)
		}
	}
	add("of 5 MB", packed(megabytes5, 1), true)
}

// addMessages adds bad numbers of good messages, and good numbers of bad ones.
func (h *hostile) addMessages(field protoreflect.FieldDescriptor, add addValue) {
	good := h.good(field.Message())
	one := blob(field, good.wire())
	add("10,000 times", bytes.Repeat(one, storage.MaxImport), false)
	add("10,001 times", bytes.Repeat(one, storage.MaxImport+1), true)
	add("of 5 MB", bytes.Repeat(one, megabytes5/len(one)), true)
	add("empty", blob(field, ""), true)
	for inner := range all(field.Message().Fields()) {
		for _, v := range h.values(inner) {
			wire := blob(field, good.with(inner.Number(), v.wire))
			if v.wild {
				continue
			}
			add("with "+v.name, wire, v.field != "")
			if v.field != "" {
				add("10,000 times with "+v.name, bytes.Repeat(wire, storage.MaxImport), true)
			}
		}
	}
}

// spoiltMessages are those that may be none.
func (h *hostile) spoiltMessages(field protoreflect.FieldDescriptor) (values []hostileValue) {
	good := h.good(field.Message())
	for inner := range all(field.Message().Fields()) {
		for _, v := range h.wrongTypes(inner) {
			v.name, v.wire = fmt.Sprintf("%s with %s", field.Name(), v.name), blob(field, good.with(inner.Number(), v.wire))
			values = append(values, v)
		}
	}
	return values
}

// wrongTypes writes a field by each other type of the wire. It then counts as
// unknown, and the field as missing.
func (h *hostile) wrongTypes(field protoreflect.FieldDescriptor) (values []hostileValue) {
	tag := func(t protowire.Type) []byte { return protowire.AppendTag(nil, field.Number(), t) }
	group := append(tag(protowire.StartGroupType), tag(protowire.EndGroupType)...)
	for name, wire := range map[string][]byte{
		"as varint":                 append(tag(protowire.VarintType), 1),
		"as fixed32":                protowire.AppendFixed32(tag(protowire.Fixed32Type), 1),
		"as fixed64":                protowire.AppendFixed64(tag(protowire.Fixed64Type), 1),
		"as bytes":                  blob(field, "\x01\x02"),
		"as group":                  group,
		"with a tag in ten bytes":   append([]byte{byte(field.Number()<<3) | 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, 1),
		"as a group without an end": tag(protowire.StartGroupType),
		"as an end without a group": tag(protowire.EndGroupType),
		"of wire type 7":            {byte(field.Number()<<3) | 7},
	} {
		values = append(values, hostileValue{name: fmt.Sprintf("%s %s", field.Name(), name), wire: wire, wild: true})
	}
	return values
}

// wholes are bad messages, made of a good one.
func (h *hostile) wholes(good []byte) (values []hostileValue) {
	add := func(name string, wire []byte) {
		values = append(values, hostileValue{name: name, wire: wire, wild: true})
	}
	for n := range len(good) {
		add(fmt.Sprintf("the first %d bytes", n), good[:n])
	}
	for n := range 60 {
		noise := make([]byte, n*n/4)
		for i := range noise {
			noise[i] = byte(h.rng.Uint32())
		}
		add(fmt.Sprintf("noise %x", noise), noise)
		add(fmt.Sprintf("%x behind a good message", noise), slices.Concat(good, noise))
	}
	add("5 MB of zeros", make([]byte, megabytes5))
	add("5 MB of ones", bytes.Repeat([]byte{0xff}, megabytes5))
	add("20,000 groups in each other", bytes.Repeat(protowire.AppendTag(nil, 99, protowire.StartGroupType), 20_000))
	unknown := func(number protowire.Number, size int) {
		extra := protowire.AppendTag(nil, number, protowire.BytesType)
		extra = protowire.AppendBytes(extra, bytes.Repeat([]byte{0xff}, size))
		values = append(values, hostileValue{name: fmt.Sprintf("unknown field %d of %d bytes", number, size), same: true, extra: extra})
	}
	for _, number := range []protowire.Number{99, protowire.FirstReservedNumber, protowire.MaxValidNumber} {
		unknown(number, 1)
		unknown(number, megabytes5)
	}
	return values
}
