#!/usr/bin/env python3
"""aiokafka: idempotent producer, group and admin over kills, in one asyncio loop."""
import asyncio
import logging
import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from harness import COUNT, COUNT_TXN, PARTITIONS, Broker, check_once_in_order, passed, record, served

TOPIC, GROUP = "plain", "aiokafka-group"


def connection(broker):
    """Where to connect and how (harness.py, PEER_MECHANISM)."""
    where, mechanism = {"bootstrap_servers": broker.address}, os.environ.get("PEER_MECHANISM")
    if not mechanism:
        return where
    return {**where, "security_protocol": "SASL_SSL", "sasl_mechanism": mechanism, "sasl_plain_username": os.environ["PEER_USER"],
            "sasl_plain_password": os.environ["PEER_PASSWORD"], "ssl_context": create_ssl_context(cafile=os.environ["PEER_CA"])}


async def restart(broker):
    await asyncio.to_thread(broker.restart)


async def repeat(call, *arguments):
    """Calls that the client does not repeat itself when the connection is lost."""
    for attempt in range(60):
        try:
            return await call(*arguments)
        except KafkaError:
            if attempt == 59:
                raise
            await asyncio.sleep(0.1)
    return None


async def produce(broker):
    producer = AIOKafkaProducer(**connection(broker), acks="all", enable_idempotence=True, linger_ms=2,
                                compression_type="gzip", request_timeout_ms=5000, retry_backoff_ms=100)
    await producer.start()
    sent = []
    for number in range(COUNT):
        key, value = record(number)
        sent.append(await producer.send(TOPIC, key=key.encode(), value=value.encode(), headers=[("n", b"x")]))
        if number in (COUNT // 3, COUNT // 2):
            await restart(broker)
    await asyncio.wait_for(asyncio.gather(*sent), 60)
    await producer.stop()


def make_consumer(broker):
    return AIOKafkaConsumer(TOPIC, **connection(broker), group_id=GROUP, auto_offset_reset="earliest",
                            enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500, retry_backoff_ms=100,
                            request_timeout_ms=5000, max_poll_records=200, max_partition_fetch_bytes=1024,
                            isolation_level="read_committed")


async def take(consumer, seen, count, seconds=60):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while len(seen) < count and loop.time() < end:
        for records in (await consumer.getmany(timeout_ms=300)).values():
            seen += [(r.partition, r.offset, (r.key or b"").decode(), r.value.decode()) for r in records]


async def consume(broker):
    seen = []
    consumer = make_consumer(broker)
    await consumer.start()
    await take(consumer, seen, COUNT // 2)
    await repeat(consumer.commit)
    await restart(broker)
    await take(consumer, seen, COUNT)
    await repeat(consumer.commit)
    await consumer.stop()
    check_once_in_order(seen)


async def check_resume(broker):
    await restart(broker)
    consumer = make_consumer(broker)
    await consumer.start()
    extra, places = [], [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    await take(consumer, extra, 1, seconds=3)
    committed = sum([await consumer.committed(place) for place in places])
    ends = await consumer.end_offsets(places)
    by_time = await consumer.offsets_for_times({places[0]: 0})
    await consumer.stop()
    if extra or committed != COUNT or sum(ends.values()) != COUNT or by_time[places[0]].offset != 0:
        broker.fail(f"extra {extra}, committed {committed}, ends {ends}, by time {by_time}")


async def check_transactions(broker):
    """As harness.py describes them."""
    producer = AIOKafkaProducer(**connection(broker), transactional_id="aiokafka-txn", request_timeout_ms=5000,
                                retry_backoff_ms=100)

    async def send(prefix):
        for number in range(COUNT_TXN):
            await producer.send_and_wait("txn", f"{prefix}-{number}".encode())

    await producer.start()
    await producer.begin_transaction()
    await send("committed")
    await restart(broker)
    await producer.commit_transaction()
    await producer.begin_transaction()
    await send("aborted")
    await producer.abort_transaction()
    await producer.begin_transaction()
    await send("offsets")
    place = TopicPartition(TOPIC, 0)
    await producer.send_offsets_to_transaction({place: 7}, "txn-group")
    await producer.commit_transaction()
    await producer.stop()
    reader = AIOKafkaConsumer("txn", **connection(broker), group_id="txn-group", auto_offset_reset="earliest",
                              enable_auto_commit=False, isolation_level="read_committed")
    await reader.start()
    seen = []
    await take(reader, seen, 2 * COUNT_TXN, seconds=30)
    offset = await reader.committed(place)
    await reader.stop()
    found = {row[3] for row in seen}
    wanted = {f"{prefix}-{number}" for prefix in ("committed", "offsets") for number in range(COUNT_TXN)}
    if found != wanted or len(seen) != len(wanted) or offset != 7:
        broker.fail(f"{len(seen)} records are committed, {len(found - wanted)} of them should not; offset {offset}")


async def check_configs(broker):
    admin = AIOKafkaAdminClient(**connection(broker))
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "123456"})])
    configs = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
    assert {entry[0]: entry[1] for entry in configs[0].resources[0][4]}["retention.ms"] == "123456", configs
    await admin.close()


async def check_records(broker):
    admin, place = AIOKafkaAdminClient(**connection(broker)), TopicPartition(TOPIC, 0)
    await admin.start()
    assert await admin.delete_records({place: RecordsToDelete(before_offset=5)}) == {place: 5}
    await admin.close()


CHECKS = {"transactions": check_transactions, "configs": check_configs, "records": check_records}


async def check_admin(broker):
    admin = AIOKafkaAdminClient(**connection(broker))
    await admin.start()
    await admin.create_topics([NewTopic("made", 2, 1, topic_configs={"cleanup.policy": "compact"})])
    await admin.create_partitions({"made": NewPartitions(total_count=4)})
    described = await admin.describe_topics(["made"])
    assert len(described[0]["partitions"]) == 4, described
    configs = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "made")])
    values = {entry[0]: entry[1] for entry in configs[0].resources[0][4]}
    assert values["cleanup.policy"] == "compact", values
    assert GROUP in [group[0] for group in await admin.list_consumer_groups()]
    offsets = await admin.list_consumer_group_offsets(GROUP)
    assert sum(place.offset for place in offsets.values()) == COUNT, offsets
    await admin.delete_topics(["made"])
    assert "made" not in await admin.list_topics()
    await admin.close()


async def talk(broker):
    admin = AIOKafkaAdminClient(**connection(broker))
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    await admin.close()
    await produce(broker)
    await consume(broker)
    await check_resume(broker)
    await check_admin(broker)
    for feature in served(broker, CHECKS):
        await CHECKS[feature](broker)


def check(name, make_broker=Broker):
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with make_broker() as broker:
        asyncio.run(talk(broker))
    passed(name, f"{COUNT} records, four kills, admin calls")


def main():
    check("aiokafka")


if __name__ == "__main__":
    main()
