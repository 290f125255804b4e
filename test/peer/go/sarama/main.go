// The sarama part of test_sarama.py: idempotent producer, group and admin over kills. Its first argument is the protocol version that it
// is configured for, which decides the version of every request: an old one makes it an old client.
package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"rialto/peer/talk"
)

const group = "sarama-group"

func config(version sarama.KafkaVersion) *sarama.Config {
	made := sarama.NewConfig()
	made.Version = version
	if talk.Mechanism != "" {
		made.Net.SASL.Enable, made.Net.SASL.Mechanism = true, sarama.SASLMechanism(talk.Mechanism)
		made.Net.SASL.User, made.Net.SASL.Password = talk.User, talk.Password
		made.Net.TLS.Enable, made.Net.TLS.Config = true, talk.TLS()
	}
	made.Metadata.Retry.Max, made.Metadata.Retry.Backoff = 60, 100*time.Millisecond
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Producer.Idempotent, made.Net.MaxOpenRequests = true, 1
	made.Producer.Compression = sarama.CompressionLZ4
	if version.IsAtLeast(sarama.V2_1_0_0) {
		made.Producer.Compression = sarama.CompressionZSTD
	}
	made.Producer.Retry.Max, made.Producer.Retry.Backoff = 60, 100*time.Millisecond
	made.Producer.Return.Successes = true
	made.Producer.Partitioner = sarama.NewHashPartitioner
	made.Producer.Flush.Frequency = 2 * time.Millisecond
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.Retry.Max = 60
	made.Consumer.Retry.Backoff = 100 * time.Millisecond
	made.Consumer.Group.Session.Timeout = 6 * time.Second
	made.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	made.Consumer.Group.Rebalance.Retry.Max = 60
	made.Consumer.Group.Rebalance.Retry.Backoff = 100 * time.Millisecond
	made.Consumer.Return.Errors = false
	return made
}

func produce(version sarama.KafkaVersion) {
	producer, err := sarama.NewAsyncProducer([]string{talk.Address}, config(version))
	talk.Must(err)
	done := make(chan error)
	go func() {
		for n := 0; n < talk.Count; n++ {
			select {
			case <-producer.Successes():
			case failed := <-producer.Errors():
				done <- failed
				return
			}
		}
		done <- nil
	}()
	for n := 0; n < talk.Count; n++ {
		producer.Input() <- &sarama.ProducerMessage{Topic: talk.Topic, Key: sarama.StringEncoder(talk.Key(n)),
			Value: sarama.StringEncoder(talk.Value(n)), Headers: []sarama.RecordHeader{{Key: []byte("n")}}}
		if talk.Kills(n) {
			talk.Pause()
		}
	}
	talk.Must(<-done)
	talk.Must(producer.Close())
}

type taken struct {
	session sarama.ConsumerGroupSession
	message *sarama.ConsumerMessage
}

// handler hands each message over one by one; `take` marks what it got. What is marked is committed
// when the session ends at the latest; only that commit is repeated by sarama when its connection is lost.
type handler struct{ out chan taken }

func (h handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		select {
		case h.out <- taken{session, message}:
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

type member struct {
	group  sarama.ConsumerGroup
	out    chan taken
	cancel context.CancelFunc
	last   sarama.ConsumerGroupSession
}

func join(version sarama.KafkaVersion) *member {
	joined, err := sarama.NewConsumerGroup([]string{talk.Address}, group, config(version))
	talk.Must(err)
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{joined, make(chan taken), cancel, nil}
	go func() {
		for ctx.Err() == nil {
			_ = m.group.Consume(ctx, []string{talk.Topic}, handler{m.out})
		}
	}()
	return m
}

func (m *member) leave() {
	m.cancel()
	talk.Must(m.group.Close())
}

// take reads until `wanted` records were seen in all or the time is over.
func (m *member) take(seen, wanted int, limit time.Duration) int {
	over := time.After(limit)
	for seen < wanted {
		select {
		case got := <-m.out:
			m.last = got.session
			m.last.MarkMessage(got.message, "")
			talk.Record(got.message.Partition, got.message.Offset, got.message.Key, got.message.Value)
			seen++
		case <-over:
			return seen
		}
	}
	return seen
}

func consume(version sarama.KafkaVersion) {
	m := join(version)
	seen := m.take(0, talk.Count/2, time.Minute)
	m.last.Commit()
	talk.Pause()
	m.take(seen, talk.Count, time.Minute)
	m.leave()
}

func resume(version sarama.KafkaVersion, admin sarama.ClusterAdmin, client sarama.Client) {
	talk.Pause()
	m := join(version)
	talk.Fact("extra", m.take(0, 1, 3*time.Second))
	described, err := admin.DescribeConsumerGroups([]string{group})
	talk.Must(err)
	talk.Fact("state", described[0].State)
	m.leave()
	places := map[string][]int32{talk.Topic: {}}
	var end, done int64
	for p := int32(0); p < int32(talk.Partitions); p++ {
		places[talk.Topic] = append(places[talk.Topic], p)
		offset, err := client.GetOffset(talk.Topic, p, sarama.OffsetNewest)
		talk.Must(err)
		end += offset
	}
	offsets, err := admin.ListConsumerGroupOffsets(group, places)
	talk.Must(err)
	for _, block := range offsets.Blocks[talk.Topic] {
		done += block.Offset
	}
	talk.Fact("committed", done)
	talk.Fact("end", end)
}

// send writes the records of one transaction and waits for them.
func send(producer sarama.SyncProducer, prefix string) {
	for n := 0; n < talk.TxnCount; n++ {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: talk.TxnTopic,
			Value: sarama.StringEncoder(fmt.Sprintf("%s-%d", prefix, n))})
		talk.Must(err)
	}
}

func transact(version sarama.KafkaVersion, admin sarama.ClusterAdmin) {
	made := config(version)
	made.Producer.Transaction.ID = "sarama-txn"
	made.Producer.Transaction.Retry.Max, made.Producer.Transaction.Retry.Backoff = 60, 100*time.Millisecond
	made.Producer.Flush.Frequency = 0
	producer, err := sarama.NewSyncProducer([]string{talk.Address}, made)
	talk.Must(err)
	talk.Must(producer.BeginTxn())
	send(producer, "committed")
	talk.Pause()
	talk.Must(producer.CommitTxn())
	talk.Must(producer.BeginTxn())
	send(producer, "aborted")
	talk.Must(producer.AbortTxn())
	talk.Must(producer.BeginTxn())
	send(producer, "offsets")
	talk.Must(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{talk.Topic: {{Partition: 0, Offset: 7}}}, talk.TxnGroup))
	talk.Must(producer.CommitTxn())
	talk.Must(producer.Close())
	offsets, err := admin.ListConsumerGroupOffsets(talk.TxnGroup, map[string][]int32{talk.Topic: {0}})
	talk.Must(err)
	talk.Fact("txnOffset", offsets.GetBlock(talk.Topic, 0).Offset)
	readCommitted(version)
}

// readCommitted counts what a reader of committed records sees in all partitions, until it has all that it should.
func readCommitted(version sarama.KafkaVersion) {
	made := config(version)
	made.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer([]string{talk.Address}, made)
	talk.Must(err)
	all := make(chan *sarama.ConsumerMessage)
	for p := int32(0); p < int32(talk.Partitions); p++ {
		part, err := consumer.ConsumePartition(talk.TxnTopic, p, sarama.OffsetOldest)
		talk.Must(err)
		go func() {
			for message := range part.Messages() {
				all <- message
			}
		}()
	}
	committed, aborted := 0, 0
	for over := time.After(30 * time.Second); committed < 2*talk.TxnCount; {
		select {
		case message := <-all:
			if strings.HasPrefix(string(message.Value), "aborted") {
				aborted++
			} else {
				committed++
			}
		case <-over:
			talk.Must(fmt.Errorf("only %d records are committed", committed))
		}
	}
	talk.Fact("txnCommitted", committed)
	talk.Fact("txnAborted", aborted)
}

func alterConfig(admin sarama.ClusterAdmin) {
	value := "123456"
	entries := map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
	talk.Must(admin.IncrementalAlterConfig(sarama.TopicResource, "made", entries, false))
	described, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "made", ConfigNames: []string{"retention.ms"}})
	talk.Must(err)
	talk.Fact("retention", described[0].Value)
}

// administer leaves out what sarama itself lacks before 2.0: partitions to add, groups to delete, DescribeConfigs in a version of today.
func administer(version sarama.KafkaVersion, admin sarama.ClusterAdmin, client sarama.Client) {
	compact := "compact"
	made := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"cleanup.policy": &compact}}
	talk.Must(admin.CreateTopic("made", made, false))
	groups, err := admin.ListConsumerGroups()
	talk.Must(err)
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	sort.Strings(names)
	talk.Fact("groups", names)
	brokers, _, err := admin.DescribeCluster()
	talk.Must(err)
	talk.Fact("nodes", len(brokers))
	if version.IsAtLeast(sarama.V2_0_0_0) {
		talk.Must(admin.CreatePartitions("made", 4, nil, false))
		topics, err := admin.ListTopics()
		talk.Must(err)
		talk.Fact("partitions", topics["made"].NumPartitions)
		talk.Fact("policy", *topics["made"].ConfigEntries["cleanup.policy"])
		talk.Must(admin.DeleteConsumerGroup(group))
		if talk.Serves("configs") {
			alterConfig(admin)
		}
		if talk.Serves("records") {
			talk.Must(admin.DeleteRecords(talk.Topic, map[int32]int64{0: 5}))
			low, err := client.GetOffset(talk.Topic, 0, sarama.OffsetOldest)
			talk.Must(err)
			talk.Fact("low", low)
		}
	}
	talk.Must(admin.DeleteTopic("made"))
}

func main() {
	version, err := sarama.ParseKafkaVersion(talk.Start()[0])
	talk.Must(err)
	client, err := sarama.NewClient([]string{talk.Address}, config(version))
	talk.Must(err)
	admin, err := sarama.NewClusterAdmin([]string{talk.Address}, config(version))
	talk.Must(err)
	talk.Must(admin.CreateTopic(talk.Topic, &sarama.TopicDetail{NumPartitions: int32(talk.Partitions), ReplicationFactor: 1}, false))
	produce(version)
	consume(version)
	if talk.Serves("transactions") {
		transact(version, admin)
		talk.Must(admin.DeleteConsumerGroup(talk.TxnGroup))
	}
	resume(version, admin, client)
	administer(version, admin, client)
	talk.Must(admin.Close())
	talk.Must(client.Close())
	talk.End()
}
