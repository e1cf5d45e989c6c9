package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// assignor names how a group's leader shares partitions out, kind what its members are.
const assignor, kind = "range", "consumer"

// member is what Kafka knows of a consumer. It belongs to the goroutine of Consume.
//
// It outlives an outage: the group's coordinator reads members and generation from its
// log when it starts again. Who came back under another name would wait until the
// session of the one that he was has timed out.
type member struct {
	id         string // "" until Kafka has given one
	generation int
	partitions []int     // its own in that generation
	present    bool      // as far as is known the generation goes on
	seen       time.Time // when Kafka was asked last what it answered with yes
}

// enter finds out that c is still in its generation, or joins the next, and returns
// what is committed of the partitions that it has there.
func (c *consumer) enter() (committed []position, err error) {
	if c.present {
		err = c.beat(c.ctx)
	} else {
		err = c.join()
	}
	if err != nil {
		return nil, err
	}
	return c.log.committed(c.ctx, c.topic, c.name)
}

// join joins the next generation of the group. Kafka answers when all members have
// joined, or drainTimeout has passed.
func (c *consumer) join() error {
	client := &kafka.Client{Addr: c.log.client.Addr, Transport: c.log.transport, Timeout: drainTimeout + requestTimeout}
	joined, err := client.JoinGroup(c.ctx, &kafka.JoinGroupRequest{
		GroupID: c.group, MemberID: c.id, SessionTimeout: sessionTimeout, RebalanceTimeout: drainTimeout,
		ProtocolType: kind,
		Protocols: []kafka.GroupProtocol{{Name: assignor, Metadata: kafka.GroupProtocolSubscription{
			Topics: []string{c.topic.name},
		}}},
	})
	if err != nil {
		return c.heed(err)
	}
	if errors.Is(joined.Error, kafka.MemberIDRequired) {
		c.id = joined.MemberID
		return c.join()
	}
	if joined.Error != nil {
		return c.heed(joined.Error)
	}
	c.id = joined.MemberID
	request := &kafka.SyncGroupRequest{
		GroupID: c.group, MemberID: c.id, GenerationID: joined.GenerationID,
		ProtocolType: kind, ProtocolName: assignor,
	}
	if joined.LeaderID == c.id {
		request.Assignments = share(c.topic, joined.Members)
	}
	sent := time.Now()
	synced, err := client.SyncGroup(c.ctx, request)
	if err == nil {
		err = synced.Error
	}
	if err != nil {
		return c.heed(err)
	}
	c.generation, c.present, c.seen = joined.GenerationID, true, sent
	c.partitions = synced.Assignment.AssignedPartitions[c.topic.name]
	return nil
}

// share gives each member as many partitions as any other, or one more.
func share(t *topic, members []kafka.JoinGroupResponseMember) []kafka.SyncGroupRequestAssignment {
	slices.SortFunc(members, func(a, b kafka.JoinGroupResponseMember) int { return cmp.Compare(a.ID, b.ID) })
	shares := make([]kafka.SyncGroupRequestAssignment, len(members))
	for i, m := range members {
		var partitions []int
		for p := i * t.Partitions / len(members); p < (i+1)*t.Partitions/len(members); p++ {
			partitions = append(partitions, p)
		}
		shares[i].MemberID = m.ID
		shares[i].Assignment.AssignedPartitions = map[string][]int{t.name: partitions}
	}
	return shares
}

// beat says that the member lives, and asks whether its generation goes on.
func (c *consumer) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatPatience)
	defer cancel()
	sent := time.Now()
	m, err := c.log.transport.RoundTrip(ctx, c.log.client.Addr, &heartbeat{Name: c.group, Generation: int32(c.generation), Member: c.id})
	if err != nil {
		return err
	}
	if code := m.(*heartbeatAnswer).Code; code != 0 {
		return c.heed(kafka.Error(code))
	}
	c.seen = sent
	return nil
}

// heed forgets what Kafka does not know any more, and returns its answer.
func (c *consumer) heed(answer error) error {
	if fenced(answer) {
		c.present = false
	}
	if errors.Is(answer, kafka.UnknownMemberId) {
		c.id = ""
	}
	return answer
}

// leave gives the partitions back, if Kafka answers.
func (c *consumer) leave() {
	if c.id == "" {
		return
	}
	_, err := c.log.client.LeaveGroup(context.Background(), &kafka.LeaveGroupRequest{
		GroupID: c.group, Members: []kafka.LeaveGroupRequestMember{{ID: c.id}},
	})
	if err != nil {
		c.log.logger.Debug("kafka: cannot leave a group", "group", c.group, "err", err)
	}
}
