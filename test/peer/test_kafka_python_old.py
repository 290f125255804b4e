#!/usr/bin/env python3
"""kafka-python 2.0.2, a client of 2020 that still is in wide use: Produce 7, Fetch 4, groups over kills. No idempotence in it."""
import logging

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

from harness import COUNT, PARTITIONS, Broker, passed
from python_client import Reader, produce

TOPIC, GROUP = "plain", "old-group"


def produce_over_kills(broker):
    """Without idempotence a retry may write twice: the broker is killed when everything sent is acknowledged."""
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=2, compression_type="gzip", retries=100,
                             retry_backoff_ms=100, reconnect_backoff_max_ms=300, request_timeout_ms=5000)

    def sent(number):
        if number in (COUNT // 3, COUNT // 2):
            producer.flush(60)
            broker.restart()
    produce(producer, TOPIC, sent)


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
        produce_over_kills(broker)
        reader = Reader(broker, TOPIC, GROUP, poll_ms=300, options={"retry_backoff_ms": 100})
        reader.consume()
        reader.check_resume()
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        check_admin(admin)
        admin.close()
    passed("kafka-python 2.0.2", f"{COUNT} records, four kills, admin calls")


main()
