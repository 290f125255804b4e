// The franz-go part of test_franz.py: idempotent producer, group and admin over kills; it sends the newest versions it shares with
// the broker.
package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"rialto/peer/talk"
)

const group = "franz-group"

func client(options ...kgo.Opt) *kgo.Client {
	common := []kgo.Opt{kgo.SeedBrokers(talk.Address), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond })}
	if talk.Mechanism != "" {
		user := scram.Auth{User: talk.User, Pass: talk.Password}
		mechanism := map[string]sasl.Mechanism{"PLAIN": plain.Auth{User: talk.User, Pass: talk.Password}.AsMechanism(),
			"SCRAM-SHA-256": user.AsSha256Mechanism(), "SCRAM-SHA-512": user.AsSha512Mechanism()}[talk.Mechanism]
		common = append(common, kgo.SASL(mechanism), kgo.DialTLSConfig(talk.TLS()))
	}
	made, err := kgo.NewClient(append(common, options...)...)
	talk.Must(err)
	return made
}

func produce(ctx context.Context) {
	producer := client(kgo.DefaultProduceTopic(talk.Topic), kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	defer producer.Close()
	var failed error
	var lock sync.Mutex
	for n := 0; n < talk.Count; n++ {
		record := &kgo.Record{Key: []byte(talk.Key(n)), Value: []byte(talk.Value(n)), Headers: []kgo.RecordHeader{{Key: "n"}}}
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failed = err
			}
		})
		if talk.Kills(n) {
			talk.Pause()
		}
	}
	talk.Must(producer.Flush(ctx))
	talk.Must(failed)
}

func member() *kgo.Client {
	return client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(talk.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.FetchMaxWait(300*time.Millisecond))
}

// take reads until `wanted` records were seen in all or the time is over.
func take(ctx context.Context, consumer *kgo.Client, seen, wanted int, limit time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for seen < wanted && ctx.Err() == nil {
		fetches := consumer.PollRecords(ctx, wanted-seen)
		fetches.EachRecord(func(record *kgo.Record) {
			talk.Record(record.Partition, record.Offset, record.Key, record.Value)
			seen++
		})
	}
	return seen
}

func consume(ctx context.Context) {
	consumer := member()
	defer consumer.Close()
	seen := take(ctx, consumer, 0, talk.Count/2, time.Minute)
	talk.Must(consumer.CommitUncommittedOffsets(ctx))
	talk.Pause()
	take(ctx, consumer, seen, talk.Count, time.Minute)
	talk.Must(consumer.CommitUncommittedOffsets(ctx))
}

// resume asks by a client of its own, which knows nothing of the broker that was killed.
func resume(ctx context.Context) {
	talk.Pause()
	admin := kadm.NewClient(client())
	defer admin.Close()
	consumer := member()
	talk.Fact("extra", take(ctx, consumer, 0, 1, 3*time.Second))
	described, err := admin.DescribeGroups(ctx, group)
	talk.Must(err)
	talk.Fact("state", described[group].State)
	consumer.Close()
	committed, err := admin.FetchOffsets(ctx, group)
	talk.Must(err)
	ends, err := admin.ListEndOffsets(ctx, talk.Topic)
	talk.Must(err)
	var done, end int64
	committed.Each(func(offset kadm.OffsetResponse) { done += offset.At })
	ends.Each(func(offset kadm.ListedOffset) { end += offset.Offset })
	talk.Fact("committed", done)
	talk.Fact("end", end)
	lag, err := admin.Lag(ctx, group)
	talk.Must(err)
	talk.Fact("lag", lag[group].Lag.Total())
}

// send writes the records of one transaction.
func send(ctx context.Context, producer *kgo.Client, prefix string) {
	for n := 0; n < talk.TxnCount; n++ {
		talk.Must(producer.ProduceSync(ctx, kgo.StringRecord(fmt.Sprintf("%s-%d", prefix, n))).FirstErr())
	}
}

// offsetInTransaction has the offset 7 of partition 0 committed with the transaction.
func offsetInTransaction(ctx context.Context, producer *kgo.Client, id string) {
	pid, epoch, err := producer.ProducerID(ctx)
	talk.Must(err)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, pid, epoch, talk.TxnGroup
	added, err := add.RequestWith(ctx, producer)
	talk.Must(err)
	talk.Must(kerr.ErrorForCode(added.ErrorCode))
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = id, pid, epoch, talk.TxnGroup
	commit.Generation = -1
	place := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	place.Offset = 7
	commit.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: talk.Topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{place}}}
	committed, err := commit.RequestWith(ctx, producer)
	talk.Must(err)
	talk.Must(kerr.ErrorForCode(committed.Topics[0].Partitions[0].ErrorCode))
}

func transact(ctx context.Context, admin *kadm.Client) {
	const id = "franz-txn"
	producer := client(kgo.TransactionalID(id), kgo.DefaultProduceTopic(talk.TxnTopic), kgo.AllowAutoTopicCreation())
	talk.Must(producer.BeginTransaction())
	send(ctx, producer, "committed")
	talk.Pause()
	talk.Must(producer.EndTransaction(ctx, kgo.TryCommit))
	talk.Must(producer.BeginTransaction())
	send(ctx, producer, "aborted")
	talk.Must(producer.EndTransaction(ctx, kgo.TryAbort))
	talk.Must(producer.BeginTransaction())
	send(ctx, producer, "offsets")
	offsetInTransaction(ctx, producer, id)
	talk.Must(producer.EndTransaction(ctx, kgo.TryCommit))
	producer.Close()
	offsets, err := admin.FetchOffsets(ctx, talk.TxnGroup)
	talk.Must(err)
	offset, _ := offsets.Lookup(talk.Topic, 0)
	talk.Fact("txnOffset", offset.At)
	reader := client(kgo.ConsumeTopics(talk.TxnTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	committed, aborted := 0, 0
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for committed < 2*talk.TxnCount && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			if strings.HasPrefix(string(record.Value), "aborted") {
				aborted++
			} else {
				committed++
			}
		})
	}
	talk.Fact("txnCommitted", committed)
	talk.Fact("txnAborted", aborted)
}

func readWithNewProtocol(ctx context.Context, admin *kadm.Client) {
	consumer := client(kgo.ConsumerGroup("new-group"), kgo.ConsumeTopics(talk.Topic), kgo.DisableAutoCommit(), kgo.ServerSideBalancer(),
		kgo.Balancers(kgo.StickyBalancer()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seen := 0
	for seen < talk.Count && limited.Err() == nil {
		seen += consumer.PollFetches(limited).NumRecords()
	}
	talk.Must(consumer.CommitUncommittedOffsets(ctx))
	groups, err := admin.ListGroups(ctx)
	talk.Must(err)
	if kind := groups["new-group"].GroupType; kind != "consumer" {
		talk.Must(fmt.Errorf("the group is of type %s", kind))
	}
	consumer.Close()
	talk.Fact("newGroup", seen)
	_, err = admin.DeleteGroup(ctx, "new-group")
	talk.Must(err)
}

func alterConfig(ctx context.Context, admin *kadm.Client) {
	value := "123456"
	_, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, "made")
	talk.Must(err)
	configs, err := admin.DescribeTopicConfigs(ctx, "made")
	talk.Must(err)
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			talk.Fact("retention", config.MaybeValue())
		}
	}
}

func deleteRecords(ctx context.Context, admin *kadm.Client) {
	var before kadm.Offsets
	before.AddOffset(talk.Topic, 0, 5, -1)
	deleted, err := admin.DeleteRecords(ctx, before)
	talk.Must(err)
	place, _ := deleted.Lookup(talk.Topic, 0)
	talk.Fact("low", place.LowWatermark)
}

func administer(ctx context.Context, admin *kadm.Client) {
	compact := "compact"
	_, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"cleanup.policy": &compact}, "made")
	talk.Must(err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, "made")
	talk.Fact("twice", strings.SplitN(err.Error(), ":", 2)[0])
	_, err = admin.UpdatePartitions(ctx, 4, "made")
	talk.Must(err)
	configs, err := admin.DescribeTopicConfigs(ctx, "made")
	talk.Must(err)
	for _, config := range configs[0].Configs {
		if config.Key == "cleanup.policy" {
			talk.Fact("policy", config.MaybeValue())
		}
	}
	if talk.Serves("configs") {
		alterConfig(ctx, admin)
	}
	if talk.Serves("records") {
		deleteRecords(ctx, admin)
	}
	topics, err := admin.ListTopics(ctx)
	talk.Must(err)
	talk.Fact("partitions", len(topics["made"].Partitions))
	groups, err := admin.ListGroups(ctx)
	talk.Must(err)
	names := groups.Groups()
	sort.Strings(names)
	talk.Fact("groups", names)
	brokers, err := admin.ListBrokers(ctx)
	talk.Must(err)
	talk.Fact("nodes", len(brokers))
	_, err = admin.DeleteGroup(ctx, group)
	talk.Must(err)
	_, err = admin.DeleteTopic(ctx, "made")
	talk.Must(err)
}

func main() {
	talk.Start()
	ctx := context.Background()
	admin := kadm.NewClient(client())
	_, err := admin.CreateTopic(ctx, int32(talk.Partitions), 1, nil, talk.Topic)
	talk.Must(err)
	produce(ctx)
	consume(ctx)
	if talk.Serves("transactions") {
		transact(ctx, admin)
		_, err = admin.DeleteGroup(ctx, talk.TxnGroup)
		talk.Must(err)
	}
	if talk.Serves("consumer") {
		readWithNewProtocol(ctx, admin)
	}
	resume(ctx)
	administer(ctx, admin)
	admin.Close()
	talk.End()
}
