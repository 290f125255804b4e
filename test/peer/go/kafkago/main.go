// The kafka-go part of test_kafkago.py: producer, group and admin over kills. kafka-go has no idempotence, so the broker is killed when
// what was sent is acknowledged.
package main

import (
	"context"
	"errors"
	"io"
	"sort"
	"time"

	"github.com/segmentio/kafka-go"

	"rialto/peer/talk"
)

const group = "kafkago-group"

func produce(ctx context.Context) {
	writer := &kafka.Writer{Addr: kafka.TCP(talk.Address), Topic: talk.Topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Snappy, BatchTimeout: 2 * time.Millisecond, MaxAttempts: 60, WriteBackoffMin: 100 * time.Millisecond,
		WriteBackoffMax: 300 * time.Millisecond}
	var batch []kafka.Message
	for n := 0; n < talk.Count; n++ {
		batch = append(batch, kafka.Message{Key: []byte(talk.Key(n)), Value: []byte(talk.Value(n)), Headers: []kafka.Header{{Key: "n"}}})
		if len(batch) == 100 || n == talk.Count-1 || talk.Kills(n) {
			talk.Must(writer.WriteMessages(ctx, batch...))
			batch = nil
		}
		if talk.Kills(n) {
			talk.Pause()
		}
	}
	talk.Must(writer.Close())
}

func member() *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{Brokers: []string{talk.Address}, GroupID: group, Topic: talk.Topic, MinBytes: 1,
		MaxBytes: 1 << 20, MaxWait: 200 * time.Millisecond, StartOffset: kafka.FirstOffset, SessionTimeout: 6 * time.Second,
		HeartbeatInterval: 500 * time.Millisecond, ReadBackoffMax: 300 * time.Millisecond, JoinGroupBackoff: 200 * time.Millisecond})
}

// take reads until `wanted` records were seen in all or the time is over; each is committed before the next. A commit that fails because
// the broker was killed is repeated, but the reader may have begun anew before it: then the record comes again, and is not told again.
func take(ctx context.Context, reader *kafka.Reader, seen, wanted int, limit time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	next := map[int]int64{}
	for seen < wanted {
		message, err := reader.FetchMessage(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
			return seen
		}
		talk.Must(err)
		if message.Offset >= next[message.Partition] {
			talk.Record(int32(message.Partition), message.Offset, message.Key, message.Value)
			next[message.Partition] = message.Offset + 1
			seen++
		}
		for tries := 0; ; tries++ {
			err := reader.CommitMessages(ctx, message)
			if err == nil {
				break
			}
			if tries == 60 {
				talk.Must(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return seen
}

func consume(ctx context.Context) {
	reader := member()
	seen := take(ctx, reader, 0, talk.Count/2, time.Minute)
	talk.Pause()
	take(ctx, reader, seen, talk.Count, time.Minute)
	talk.Must(reader.Close())
}

// fresh is a client without connections to a broker that was killed, which kafka-go tells of by an error, and without cached metadata.
func fresh() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(talk.Address), Timeout: 20 * time.Second, Transport: &kafka.Transport{}}
}

func resume(ctx context.Context) {
	talk.Pause()
	client := fresh()
	reader := member()
	talk.Fact("extra", take(ctx, reader, 0, 1, 3*time.Second))
	talk.Must(reader.Close())
	var places []int
	var ends []kafka.OffsetRequest
	for p := 0; p < talk.Partitions; p++ {
		places, ends = append(places, p), append(ends, kafka.LastOffsetOf(p))
	}
	offsets, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{talk.Topic: places}})
	talk.Must(err)
	var committed, end int64
	for _, place := range offsets.Topics[talk.Topic] {
		committed += place.CommittedOffset
	}
	listed, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{talk.Topic: ends}})
	talk.Must(err)
	for _, place := range listed.Topics[talk.Topic] {
		end += place.LastOffset
	}
	talk.Fact("committed", committed)
	talk.Fact("end", end)
}

func create(ctx context.Context, client *kafka.Client, topic string, partitions int) {
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions,
		ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "delete"}}}}})
	talk.Must(err)
	talk.Must(created.Errors[topic])
}

// retention is a topic's retention.ms.
func retention(ctx context.Context, client *kafka.Client, topic string) string {
	described, err := client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
	talk.Must(err)
	return described.Resources[0].ConfigEntries[0].ConfigValue
}

func administer(ctx context.Context, client *kafka.Client) {
	create(ctx, client, "made", 2)
	grown, err := client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: "made", Count: 4}}})
	talk.Must(err)
	talk.Must(grown.Errors["made"])
	metadata, err := fresh().Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"made"}})
	talk.Must(err)
	talk.Fact("partitions", len(metadata.Topics[0].Partitions))
	talk.Fact("nodes", len(metadata.Brokers))
	talk.Fact("policy", retention(ctx, client, "made"))
	if talk.Serves("configs") {
		_, err := client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{
			{ResourceType: kafka.ResourceTypeTopic, ResourceName: "made", Configs: []kafka.IncrementalAlterConfigsRequestConfig{
				{Name: "retention.ms", Value: "123456", ConfigOperation: kafka.ConfigOperationSet}}}}})
		talk.Must(err)
		talk.Fact("retention", retention(ctx, client, "made"))
	}
	listed, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	talk.Must(err)
	var names []string
	for _, found := range listed.Groups {
		names = append(names, found.GroupID)
	}
	sort.Strings(names)
	talk.Fact("groups", names)
	described, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	talk.Must(err)
	talk.Fact("state", described.Groups[0].GroupState)
	deleted, err := client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	talk.Must(err)
	talk.Must(deleted.Errors[group])
	gone, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{"made"}})
	talk.Must(err)
	talk.Must(gone.Errors["made"])
}

func main() {
	talk.Start()
	ctx := context.Background()
	create(ctx, fresh(), talk.Topic, talk.Partitions)
	produce(ctx)
	consume(ctx)
	resume(ctx)
	administer(ctx, fresh())
	talk.End()
}
