#!/usr/bin/env python3
"""kafka-python 2.0.2, a client of 2020 that still is in wide use: Produce 7, Fetch 4, groups over kills. No idempotence in it."""
import logging
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError

from harness import COUNT, PARTITIONS, Broker, check_once_in_order, passed, record

TOPIC, GROUP = "plain", "old-group"


def produce(broker):
    """Without idempotence a retry may write twice: the broker is killed when everything sent is acknowledged."""
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=2, compression_type="gzip", retries=100,
                             retry_backoff_ms=100, reconnect_backoff_max_ms=300, request_timeout_ms=5000)
    futures = []
    for number in range(COUNT):
        key, value = record(number)
        futures.append(producer.send(TOPIC, key=key.encode(), value=value.encode(), headers=[("n", b"x")]))
        if number in (COUNT // 3, COUNT // 2):
            producer.flush(60)
            broker.restart()
    producer.flush(60)
    for future in futures:
        future.get(timeout=60)
    producer.close()


def make_consumer(broker):
    return KafkaConsumer(TOPIC, bootstrap_servers=broker.address, group_id=GROUP, auto_offset_reset="earliest",
                         enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500, retry_backoff_ms=100,
                         reconnect_backoff_max_ms=300, request_timeout_ms=10000, max_poll_records=200)


def take(consumer, seen, count, seconds=60):
    end = time.monotonic() + seconds
    while len(seen) < count and time.monotonic() < end:
        for records in consumer.poll(timeout_ms=300).values():
            seen += [(r.partition, r.offset, r.key.decode(), r.value.decode()) for r in records]


def commit(consumer):
    """The client does not repeat a commit whose connection is lost."""
    for attempt in range(60):
        try:
            consumer.commit()
            return
        except KafkaError:
            if attempt == 59:
                raise
            time.sleep(0.1)


def consume(broker):
    seen = []
    consumer = make_consumer(broker)
    take(consumer, seen, COUNT // 2)
    commit(consumer)
    broker.restart()
    take(consumer, seen, COUNT)
    commit(consumer)
    consumer.close()
    check_once_in_order(seen)


def check_resume(broker):
    broker.restart()
    consumer = make_consumer(broker)
    extra = []
    take(consumer, extra, 1, seconds=3)
    places = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    committed = [consumer.committed(place) for place in places]
    ends = [consumer.end_offsets([place])[place] for place in places]
    by_time = consumer.offsets_for_times({places[0]: 0})[places[0]].offset
    consumer.close()
    if extra or committed != ends or sum(ends) != COUNT or by_time != 0:
        broker.fail(f"extra {extra}, committed {committed}, ends {ends}, by time {by_time}")


def check_admin(admin):
    admin.create_topics([NewTopic("made", 2, 1, topic_configs={"cleanup.policy": "compact"})])
    admin.create_partitions({"made": NewPartitions(4)})
    assert len(admin.describe_topics(["made"])[0]["partitions"]) == 4
    configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "made")])
    values = {entry[0]: entry[1] for entry in configs[0].resources[0][4]}
    assert values["cleanup.policy"] == "compact", values
    assert GROUP in [group[0] for group in admin.list_consumer_groups()]
    assert sum(place.offset for place in admin.list_consumer_group_offsets(GROUP).values()) == COUNT
    assert admin.describe_consumer_groups([GROUP])[0].state == "Empty"
    admin.delete_consumer_groups([GROUP])
    admin.delete_topics(["made"])
    assert "made" not in admin.list_topics()


def main():
    logging.basicConfig(level=logging.CRITICAL)
    with Broker() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
        admin.close()
        produce(broker)
        consume(broker)
        check_resume(broker)
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        check_admin(admin)
        admin.close()
    passed("kafka-python 2.0.2", f"{COUNT} records, four kills, admin calls")


main()
