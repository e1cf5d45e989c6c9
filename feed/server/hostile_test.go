package server_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxStatus bounds what an error may weigh: clients in other languages take 8 KiB
// of trailers, in which details are encoded by a third larger, and with more.
const maxStatus = 4 << 10

// hostile calls every method of the API with what no client should send.
type hostile struct {
	*rig
	rng   *rand.Rand
	posts []int64
	codes map[codes.Code]int
	cache map[protoreflect.FullName][]hostileValue
	// refused are the calls that were, to be repeated.
	refused []hostileCall
}

type hostileCall struct {
	method protoreflect.MethodDescriptor
	hostileValue
}

func newHostile(t *testing.T) *hostile {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := &hostile{
		// Room for what a server with usual limits would not even read.
		rig: newRig(t, rigOptions{grpc: []grpc.ServerOption{grpc.MaxRecvMsgSize(16 << 20)}}),
		rng: rand.New(rand.NewPCG(seed, 0)), codes: map[codes.Code]int{},
		cache: map[protoreflect.FullName][]hostileValue{},
	}
	h.users(3)
	for range 3 {
		h.posts = append(h.posts, h.post(2))
	}
	return h
}

// call sends a message as it is, also on a stream.
func (h *hostile) call(method protoreflect.MethodDescriptor, message []byte) error {
	name := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	if !method.IsStreamingClient() {
		return h.conn.Invoke(h.Context(), name, message, &struct{}{}, raw{}.codec())
	}
	stream, err := h.conn.NewStream(h.Context(), &grpc.StreamDesc{ClientStreams: true}, name, raw{}.codec())
	must(h, err)
	_ = stream.SendMsg(message) // RecvMsg tells why it failed
	_ = stream.CloseSend()
	return stream.RecvMsg(&struct{}{})
}

// try makes a call and judges the answer.
func (h *hostile) try(method protoreflect.MethodDescriptor, v hostileValue) {
	h.Helper()
	if testing.Short() && len(v.wire) > 1<<20 {
		return // minutes, under the race detector
	}
	err := h.call(method, v.wire)
	h.codes[status.Code(err)]++
	if complaint := v.judge(status.Convert(err)); complaint != "" {
		h.Fatalf("%s with %s: %s: %v", method.FullName(), v.name, complaint, err)
	}
	if status.Code(err) == codes.InvalidArgument { // for ever, whatever else is called
		h.refused = append(h.refused, hostileCall{method, v})
	}
}

// judge says what is wrong with an answer.
func (v hostileValue) judge(st *status.Status) string {
	switch st.Code() {
	case codes.OK, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied:
		if v.field != "" {
			return "want INVALID_ARGUMENT for " + v.field
		}
		if v.same && st.Code() != codes.OK {
			return "want what the message without it gets"
		}
		return ""
	case codes.InvalidArgument:
	default:
		return "not a code that the API names"
	}
	if v.same {
		return "want what the message without it gets"
	}
	if size := proto.Size(st.Proto()); size > maxStatus {
		return fmt.Sprintf("the status has %d bytes", size)
	}
	named := v.wild || v.field == ""
	for _, detail := range st.Details() {
		bad, _ := detail.(*errdetails.BadRequest)
		for _, violation := range bad.GetFieldViolations() {
			if violation.GetField() == "" || violation.GetDescription() == "" || !utf8.ValidString(violation.GetField()) {
				return "a violation says nothing"
			}
			named = named || violation.GetField() == v.field || strings.HasPrefix(violation.GetField(), v.field+"[")
		}
	}
	if !named {
		return "no violation names " + v.field
	}
	if len(st.Details()) == 0 && !v.wild {
		return "there are no field violations"
	}
	return ""
}

// single changes one field at a time, and the message as a whole.
func (h *hostile) single(method protoreflect.MethodDescriptor) {
	good := h.good(method.Input())
	if err := h.call(method, good.wire()); err != nil {
		h.Fatalf("%s with what should be good: %v", method.FullName(), err)
	}
	for field := range all(method.Input().Fields()) {
		good = h.good(method.Input()) // the last call may have used it up
		for _, v := range h.values(field) {
			v.wire = good.with(field.Number(), v.wire)
			h.try(method, v)
		}
	}
	for _, v := range h.wholes(h.good(method.Input()).wire()) {
		if v.same { // ask for what can be had
			v.wire = slices.Concat(h.good(method.Input()).wire(), v.extra)
		}
		h.try(method, v)
	}
}

// combined draws a value for each field, and sometimes spoils the bytes.
func (h *hostile) combined(method protoreflect.MethodDescriptor) {
	good := h.good(method.Input())
	name := ""
	for field := range all(method.Input().Fields()) {
		values := h.values(field)
		if v := values[h.rng.IntN(len(values))]; h.rng.IntN(2) > 0 && len(v.wire) < 1<<20 {
			good[field.Number()] = v.wire
			name += v.name + ", "
		}
	}
	wire := good.wire()
	for range h.rng.IntN(4) {
		wire = h.spoil(wire)
	}
	h.try(method, hostileValue{name: fmt.Sprintf("%swire %.200x", name, wire), wire: wire, wild: true})
}

// heap is what is left after the garbage was collected, in bytes.
func heap() int64 {
	for range 3 { // pools let go at the second
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Every call × every kind of bad value, one at a time and together, generated
// from the API's descriptors: a code that the API names, the field at fault by
// its name, no panic, and no memory left behind by what was refused.
func TestHostileRequests(t *testing.T) {
	h := newHostile(t)
	combinations := 150
	if testing.Short() {
		combinations = 10
	}
	for _, method := range methods() {
		h.single(method)
		for range combinations {
			h.combined(method)
		}
	}
	t.Logf("%d calls were refused; by code: %v", len(h.refused), h.codes)
	for _, code := range []codes.Code{codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied} {
		if h.codes[code] == 0 {
			t.Errorf("no call ended with %v: the values do not reach what they are for", code)
		}
	}
	h.leavesNothing(t)
	for _, method := range methods() {
		if err := h.call(method, h.good(method.Input()).wire()); err != nil {
			t.Errorf("%s after all that: %v", method.FullName(), err)
		}
	}
}

// leavesNothing repeats what was refused, and weighs what stays behind.
func (h *hostile) leavesNothing(t *testing.T) {
	if testing.Short() {
		return // the race detector keeps memory of its own, and takes a minute for it
	}
	again := func() {
		for _, c := range h.refused {
			if err := h.call(c.method, c.wire); err == nil {
				t.Fatalf("%s with %s is not refused any more", c.method.FullName(), c.name)
			}
		}
	}
	again()
	before := heap()
	again()
	again()
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("refused calls left %d bytes behind", grown)
	}
}

// spoil damages an encoded message.
func (h *hostile) spoil(wire []byte) []byte {
	wire = slices.Clone(wire)
	at := h.rng.IntN(len(wire) + 1)
	switch h.rng.IntN(4) {
	case 0:
		return wire[:at]
	case 1:
		return slices.Insert(wire, at, byte(h.rng.IntN(math.MaxUint8+1)))
	case 2:
		return slices.Concat(wire[:at], wire[h.rng.IntN(len(wire)+1):])
	}
	if at < len(wire) {
		wire[at] ^= 1 << h.rng.IntN(8)
	}
	return wire
}
