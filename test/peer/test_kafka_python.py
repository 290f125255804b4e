#!/usr/bin/env python3
"""kafka-python: its own protocol code, producer and group over kills."""
import logging
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.structs import OffsetAndMetadata

from harness import COUNT, COUNT_TXN, PARTITIONS, Broker, check_once_in_order, passed, patient, record, served

TOPIC, GROUP = "plain", "kafka-python-group"

# A poll whose time is over just when SyncGroup is answered leaves kafka-python 3.0.12 a member that neither fetches nor sends heartbeats,
# for ever: polls are longer than a join takes. They end early when there are records.
POLL_MS = 3000


def produce(broker):
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=True, linger_ms=2,
                             compression_type="gzip", retries=1000, delivery_timeout_ms=60000, reconnect_backoff_max_ms=300,
                             request_timeout_ms=5000)
    futures = []
    for number in range(COUNT):
        key, value = record(number)
        futures.append(producer.send(TOPIC, key=key.encode(), value=value.encode(), headers=[("n", b"x")]))
        if number == COUNT // 2:
            broker.restart()
    producer.flush(60)
    for future in futures:
        future.get(timeout=patient(60))
    producer.close()


def make_consumer(broker):
    return KafkaConsumer(TOPIC, bootstrap_servers=broker.address, group_id=GROUP, auto_offset_reset="earliest",
                         enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500,
                         reconnect_backoff_max_ms=300, request_timeout_ms=10000, max_poll_records=200)


def take(consumer, seen, count, seconds=60):
    end = time.monotonic() + patient(seconds)
    while len(seen) < count and time.monotonic() < end:
        for records in consumer.poll(timeout_ms=POLL_MS).values():
            seen += [(r.partition, r.offset, r.key.decode(), r.value.decode()) for r in records]


def commit(consumer):
    """A commit right after a kill may meet the old connection: clients repeat it."""
    for attempt in range(20):
        try:
            consumer.commit()
            return
        except Exception:  # pylint: disable=broad-except
            if attempt == 19:
                raise
            time.sleep(0.3)


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
    take(consumer, extra, 1, seconds=4)
    places = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    committed = [consumer.committed(place) for place in places]
    ends = list(consumer.end_offsets(places).values())
    consumer.close()
    if extra or committed != ends or sum(ends) != COUNT:
        broker.fail(f"extra {extra}, committed {committed}, ends {ends}")


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
        produce(broker)
        consume(broker)
        check_resume(broker)
        assert TOPIC in admin.list_topics()
        admin.close()
        for feature in served(broker, CHECKS):
            CHECKS[feature](broker)
    passed("kafka-python", f"{COUNT} records, three kills")


main()
