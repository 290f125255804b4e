#!/usr/bin/env python3
"""kafka-python: its own protocol code, producer and group over kills."""
import logging
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.structs import OffsetAndMetadata

from harness import COUNT, COUNT_TXN, PARTITIONS, Broker, passed, patient, served
from python_client import Reader, produce

TOPIC, GROUP = "plain", "kafka-python-group"

# A poll whose time is over just when SyncGroup is answered leaves kafka-python 3.0.12 a member that neither fetches nor sends heartbeats,
# for ever: polls are longer than a join takes. They end early when there are records.
POLL_MS = 3000


def produce_over_a_kill(broker):
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=True, linger_ms=2,
                             compression_type="gzip", retries=1000, delivery_timeout_ms=60000, reconnect_backoff_max_ms=300,
                             request_timeout_ms=5000)
    produce(producer, TOPIC, lambda number: number == COUNT // 2 and broker.restart())


def check_transactions(broker):
    """As harness.py describes them."""
    producer = KafkaProducer(bootstrap_servers=broker.address, transactional_id="kafka-python-txn", reconnect_backoff_max_ms=300,
                             request_timeout_ms=5000, retry_backoff_ms=100)

    def send(prefix):
        sent = [producer.send("txn", f"{prefix}-{number}".encode()) for number in range(COUNT_TXN)]
        for future in sent:
            future.get(timeout=patient(60))

    place = TopicPartition(TOPIC, 0)
    producer.init_transactions()
    producer.begin_transaction()
    send("committed")
    broker.restart()
    producer.commit_transaction()
    producer.begin_transaction()
    send("aborted")
    producer.abort_transaction()
    producer.begin_transaction()
    send("offsets")
    producer.send_offsets_to_transaction({place: OffsetAndMetadata(7, "", -1)}, "txn-group")
    producer.commit_transaction()
    producer.close()
    reader = KafkaConsumer("txn", bootstrap_servers=broker.address, group_id="txn-group", auto_offset_reset="earliest",
                           enable_auto_commit=False, isolation_level="read_committed")
    values, end = [], time.monotonic() + patient(30)
    while len(values) < 2 * COUNT_TXN and time.monotonic() < end:
        for records in reader.poll(timeout_ms=POLL_MS).values():
            values += [r.value.decode() for r in records]
    offset = reader.committed(place)
    reader.close()
    wanted = {f"{prefix}-{number}" for prefix in ("committed", "offsets") for number in range(COUNT_TXN)}
    if set(values) != wanted or len(values) != len(wanted) or offset != 7:
        broker.fail(f"{len(values)} records are committed, {len(set(values) - wanted)} of them should not; offset {offset}")


def check_configs(broker):
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "123456"})])
    described = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)]))
    admin.close()
    if "123456" not in described:
        broker.fail(f"the config that was set is not described: {described}")


def check_records(broker):
    admin, place = KafkaAdminClient(bootstrap_servers=broker.address), TopicPartition(TOPIC, 0)
    deleted = admin.delete_records({place: 5})
    admin.close()
    if deleted[place].get("low_watermark") != 5:
        broker.fail(f"records deleted: {deleted}")


CHECKS = {"transactions": check_transactions, "configs": check_configs, "records": check_records}


def main():
    logging.basicConfig(level=logging.CRITICAL)
    with Broker() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
        produce_over_a_kill(broker)
        reader = Reader(broker, TOPIC, GROUP, POLL_MS)
        reader.consume()
        reader.check_resume()
        assert TOPIC in admin.list_topics()
        admin.close()
        for feature in served(broker, CHECKS):
            CHECKS[feature](broker)
    passed("kafka-python", f"{COUNT} records, three kills")


main()
