package kafka

import "github.com/segmentio/kafka-go/protocol"

// heartbeat is the request of that name, in version 1. The driver's own goes to any
// broker, where only the group's coordinator has an answer, and takes a part of
// another field for the answer, so that it never sees an error.
type heartbeat struct {
	Name       string `kafka:"min=v1,max=v1"`
	Generation int32  `kafka:"min=v1,max=v1"`
	Member     string `kafka:"min=v1,max=v1"`
}

type heartbeatAnswer struct {
	ThrottleMillis int32 `kafka:"min=v1,max=v1"`
	Code           int16 `kafka:"min=v1,max=v1"`
}

// init takes the place of the driver's messages, in the whole process: nobody may use
// kafka.Client.Heartbeat.
func init() { protocol.Register(&heartbeat{}, &heartbeatAnswer{}) }

func (*heartbeat) ApiKey() protocol.ApiKey       { return protocol.Heartbeat }
func (*heartbeatAnswer) ApiKey() protocol.ApiKey { return protocol.Heartbeat }

// Group makes the driver send it to the group's coordinator.
func (h *heartbeat) Group() string { return h.Name }
