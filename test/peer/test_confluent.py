#!/usr/bin/env python3
"""confluent-kafka (a current librdkafka): idempotent producer and group over kills, admin calls."""
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec

from harness import COUNT, COUNT_TXN, PARTITIONS, Broker, check_once_in_order, passed, patient, record, served

TOPIC, GROUP = "plain", "confluent-group"


def produce(broker):
    failures = []
    producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 2,
                         "compression.type": "lz4", "reconnect.backoff.max.ms": 300, "log_level": 2})
    for number in range(COUNT):
        key, value = record(number)
        producer.produce(TOPIC, key=key, value=value, headers={"n": str(number)},
                         on_delivery=lambda error, _: failures.append(error) if error else None)
        producer.poll(0)
        if number in (COUNT // 3, COUNT // 2):
            broker.restart()
    left = producer.flush(60)
    if left or failures:
        broker.fail(f"{left} records were not acknowledged, failures: {failures[:3]}")


def make_consumer(broker, client_id, group=GROUP, new_protocol=False):
    config = {"bootstrap.servers": broker.address, "group.id": group, "client.id": client_id, "auto.offset.reset": "earliest",
              "enable.auto.commit": False, "check.crcs": True, "reconnect.backoff.max.ms": 300, "log_level": 2}
    times = {"group.protocol": "consumer"} if new_protocol else {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    return Consumer({**config, **times})


def take(consumer, seen, count, seconds=60):
    end = time.monotonic() + patient(seconds)
    while len(seen) < count and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        seen.append((message.partition(), message.offset(), message.key().decode(), message.value().decode()))


def consume(broker):
    seen = []
    consumer = make_consumer(broker, "first")
    consumer.subscribe([TOPIC])
    take(consumer, seen, COUNT // 2)
    consumer.commit(asynchronous=False)
    broker.restart()
    take(consumer, seen, COUNT)
    consumer.commit(asynchronous=False)
    consumer.close()
    check_once_in_order(seen)


def check_resume(broker):
    """After one more kill a new member of the group finds nothing left."""
    broker.restart()
    consumer = make_consumer(broker, "second")
    consumer.subscribe([TOPIC])
    extra = []
    take(consumer, extra, 1, seconds=4)
    committed = consumer.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=patient(10))
    ends = [consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=patient(10))[1] for p in range(PARTITIONS)]
    consumer.close()
    if extra or [place.offset for place in committed] != ends or sum(ends) != COUNT:
        broker.fail(f"extra {extra}, committed {committed}, ends {ends}")


def check_sharing(broker):
    """Two members share the partitions; when one leaves, the other takes all."""
    one, two = make_consumer(broker, "one"), make_consumer(broker, "two")
    for consumer in (one, two):
        consumer.subscribe([TOPIC])
    end = time.monotonic() + patient(30)
    while time.monotonic() < end:
        one.poll(0.1)
        two.poll(0.1)
        if one.assignment() and two.assignment() and len(one.assignment() + two.assignment()) == PARTITIONS:
            break
    else:
        broker.fail(f"two members share {one.assignment()} and {two.assignment()}")
    two.close()
    while time.monotonic() < end and len(one.assignment()) != PARTITIONS:
        one.poll(0.1)
    if len(one.assignment()) != PARTITIONS:
        broker.fail("the member that stayed did not get all partitions")
    one.close()


def check_transactions(broker):
    """As harness.py describes them, the offsets given by a member of the group."""
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "confluent-txn", "reconnect.backoff.max.ms": 300,
                         "log_level": 2})

    def send(prefix):
        for number in range(COUNT_TXN):
            producer.produce("txn", value=f"{prefix}-{number}")
        assert producer.flush(60) == 0

    producer.init_transactions(60)
    producer.begin_transaction()
    send("committed")
    broker.restart()
    producer.commit_transaction(60)
    producer.begin_transaction()
    send("aborted")
    producer.abort_transaction(60)
    producer.begin_transaction()
    send("offsets")
    member = make_consumer(broker, "txn", "txn-group")
    producer.send_offsets_to_transaction([TopicPartition(TOPIC, 0, 7)], member.consumer_group_metadata(), 60)
    producer.commit_transaction(60)
    place = member.committed([TopicPartition(TOPIC, 0)], timeout=20)[0]
    member.close()
    reader, seen = make_consumer(broker, "reader", "txn-readers"), []
    reader.subscribe(["txn"])
    end = time.monotonic() + 30
    while len(seen) < 2 * COUNT_TXN and time.monotonic() < end:
        message = reader.poll(0.2)
        if message is not None and not message.error():
            seen.append(message.value().decode())
    reader.close()
    wanted = {f"{prefix}-{number}" for prefix in ("committed", "offsets") for number in range(COUNT_TXN)}
    if set(seen) != wanted or len(seen) != len(wanted) or place.offset != 7:
        broker.fail(f"{len(seen)} records are committed, {len(set(seen) - wanted)} of them should not; offset {place.offset}")


def check_new_protocol(broker):
    """A group of KIP-848: two members share the partitions, the topic is read whole over a kill."""
    one, two = (make_consumer(broker, name, "new-group", new_protocol=True) for name in ("one", "two"))
    for consumer in (one, two):
        consumer.subscribe([TOPIC])
    seen, end, killed = [], time.monotonic() + 60, False
    while len({row[3] for row in seen}) < COUNT and time.monotonic() < end:
        for consumer in (one, two):
            take(consumer, seen, len(seen) + 500, seconds=0.2)
        if len(seen) > COUNT // 2 and not killed:
            broker.restart()
            killed = True
    shares = (len(one.assignment()), len(two.assignment()))
    one.close()
    two.close()
    if len({row[3] for row in seen}) != COUNT or sum(shares) != PARTITIONS:
        broker.fail(f"the new protocol: {len(seen)} records, partitions shared {shares}")


def check_configs(broker):
    admin = AdminClient({"bootstrap.servers": broker.address})
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", "123456", incremental_operation=AlterConfigOpType.SET)])
    admin.incremental_alter_configs([resource])[resource].result(20)
    asked = ConfigResource(ConfigResource.Type.TOPIC, TOPIC)
    assert admin.describe_configs([asked])[asked].result(20)["retention.ms"].value == "123456"


def check_records(broker):
    admin = AdminClient({"bootstrap.servers": broker.address})
    place = TopicPartition(TOPIC, 0, 5)
    assert admin.delete_records([place])[place].result(20).low_watermark == 5


CHECKS = {"transactions": check_transactions, "consumer": check_new_protocol, "configs": check_configs, "records": check_records}


def check_admin(broker):
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("made", 2, 1, config={"retention.ms": "1000"})])["made"].result(20)
    try:
        admin.create_topics([NewTopic("made", 2, 1)])["made"].result(20)
        broker.fail("a topic was created twice")
    except KafkaException as error:
        assert error.args[0].name() == "TOPIC_ALREADY_EXISTS", error
    try:
        admin.create_topics([NewTopic("three", 1, 3)])["three"].result(20)
        broker.fail("a replication factor of 3 was accepted")
    except KafkaException as error:
        assert error.args[0].name() == "INVALID_REPLICATION_FACTOR", error
    admin.create_partitions([NewPartitions("made", 5)])["made"].result(20)
    assert len(admin.list_topics("made", timeout=patient(20)).topics["made"].partitions) == 5
    resource = ConfigResource(ConfigResource.Type.TOPIC, "made")
    configs = admin.describe_configs([resource])[resource].result(20)
    assert configs["retention.ms"].value == "1000" and configs["cleanup.policy"].value == "delete", configs
    groups = admin.list_consumer_groups().result(20)
    assert GROUP in [group.group_id for group in groups.valid], groups.valid
    described = admin.describe_consumer_groups([GROUP])[GROUP].result(20)
    assert described.state.name == "EMPTY", described.state
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])[GROUP].result(20)
    assert sum(place.offset for place in offsets.topic_partitions) == COUNT
    place = TopicPartition(TOPIC, 0)
    latest = admin.list_offsets({place: OffsetSpec.latest()})[place].result(20)
    assert 0 < latest.offset < COUNT, latest.offset
    admin.delete_consumer_groups([GROUP])[GROUP].result(20)
    admin.delete_topics(["made"])["made"].result(20)
    assert "made" not in admin.list_topics(timeout=patient(20)).topics
    admin.create_topics([NewTopic("made", 1, 1)])["made"].result(20)
    assert len(admin.describe_cluster().result(20).nodes) == 1


def main():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
        produce(broker)
        consume(broker)
        check_resume(broker)
        check_sharing(broker)
        check_admin(broker)
        for feature in served(broker, CHECKS):
            CHECKS[feature](broker)
    passed("confluent-kafka", f"{COUNT} records, four kills, two members, admin calls")


main()
