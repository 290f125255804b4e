// The franz-go part of test_franz.py: idempotent producer, group and admin over kills; it sends the newest versions it shares with
// the broker.
package main

import (
	"context"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"rialto/peer/talk"
)

const group = "franz-group"

func client(options ...kgo.Opt) *kgo.Client {
	common := []kgo.Opt{kgo.SeedBrokers(talk.Address), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond })}
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

func resume(ctx context.Context, admin *kadm.Client) {
	talk.Pause()
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
	resume(ctx, admin)
	administer(ctx, admin)
	admin.Close()
	talk.End()
}
