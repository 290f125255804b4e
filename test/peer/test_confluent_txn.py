#!/usr/bin/env python3
"""confluent-kafka (a current librdkafka, transactions as before KIP-890): read, process, write in transactions over kills and aborts.

Records of one topic are copied to another in transactions that also commit the input's offsets. Some transactions are aborted, the
server is killed (SIGKILL) inside some, and in a second copy at random moments. Who reads committed records must see each once, each
partition in order. Then a second producer of the same transactional id makes a zombie of the first.
"""
import random
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import COUNT, PARTITIONS, Broker, check_committed, passed, record

SOURCE, TARGET, SECOND = "source", "target", "second"


def options(broker, **more):
    """Without bootstrapping anew: librdkafka 2.16 then drops the only broker while its cache of coordinators still names it, and
    a transaction that goes on waits for that broker for ever."""
    return {"bootstrap.servers": broker.address, "reconnect.backoff.max.ms": 300, "log_level": 0,
            "metadata.recovery.strategy": "none",
            **{name.replace("_", "."): value for name, value in more.items()}}


def fill_source(broker):
    producer = Producer(options(broker, enable_idempotence=True))
    for number in range(COUNT):
        key, value = record(number)
        producer.produce(SOURCE, key=key, value=value, partition=number % PARTITIONS)
        producer.poll(0)
    assert producer.flush(30) == 0


def make_producer(broker, name):
    producer = Producer(options(broker, transactional_id=name, transaction_timeout_ms=20000))
    producer.init_transactions(60)
    return producer


def make_consumer(broker, group):
    consumer = Consumer(options(broker, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                isolation_level="read_committed"))
    consumer.subscribe([SOURCE])
    return consumer


def take(consumer, most, seconds):
    messages, end = [], time.monotonic() + seconds
    while len(messages) < most and time.monotonic() < end:
        messages += [message for message in consumer.consume(most - len(messages), 0.2) if not message.error()]
        if messages:
            break
    return messages


def rewind(consumer):
    """Back to what is committed."""
    for place in consumer.committed(consumer.assignment(), timeout=30):
        consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))


def retry(producer, call):
    """A call that may be repeated as long as the error says so; True when it is done, False when the transaction was aborted."""
    while True:
        try:
            call()
            return True
        except KafkaException as failure:
            error = failure.args[0]
            if error.retriable():
                continue
            if not error.txn_requires_abort():
                raise
            retry(producer, lambda: producer.abort_transaction(30))
            return False


def copy_batch(consumer, producer, messages, target, turn, kill):
    """One transaction. False when it was aborted."""
    producer.begin_transaction()
    for message in messages:
        producer.produce(target, key=message.key(), value=message.value(), partition=message.partition())
    places = {}
    for message in messages:
        places[message.partition()] = TopicPartition(SOURCE, message.partition(), message.offset() + 1)
    if turn in (5, 17):
        producer.flush(10)
        kill()
    if not retry(producer, lambda: producer.send_offsets_to_transaction(list(places.values()), consumer.consumer_group_metadata(), 30)):
        return False
    if turn in (9, 23):
        kill()
    if turn % 7 == 3:
        retry(producer, lambda: producer.abort_transaction(30))
        return False
    return retry(producer, lambda: producer.commit_transaction(30))


def copy(broker, target, batch, kill):
    consumer, producer = make_consumer(broker, f"to-{target}"), make_producer(broker, f"to-{target}")
    done, turn, aborts, end = 0, 0, 0, time.monotonic() + 180
    while done < COUNT and time.monotonic() < end:
        messages = take(consumer, batch, 20)
        if not messages:
            continue
        if copy_batch(consumer, producer, messages, target, turn, kill):
            done += len(messages)
        else:
            aborts += 1
            rewind(consumer)
        turn += 1
    consumer.close()
    if done != COUNT or aborts < 3:
        broker.fail(f"{done} of {COUNT} records copied, {aborts} aborts")
    return turn


def copy_under_random_kills(broker):
    """Kills come when they come: one at least, and not so many that a busy machine gets nowhere."""
    over, kills, dice = threading.Event(), [], random.Random(7)

    def killer():
        while len(kills) < 20 and not over.wait(dice.uniform(0.3, 1.5)):
            broker.restart(0.05)
            kills.append(1)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        copy(broker, SECOND, 25, lambda: None)
    finally:
        over.set()
        thread.join()
    if not kills:
        broker.fail("the copy was over before the first kill")
    return len(kills)


def read_target(broker, target, isolation):
    consumer = Consumer(options(broker, group_id=f"read-{isolation}", auto_offset_reset="earliest", isolation_level=isolation))
    consumer.assign([TopicPartition(target, partition, 0) for partition in range(PARTITIONS)])
    seen, quiet = [], time.monotonic()
    while time.monotonic() - quiet < (3 if len(seen) >= COUNT else 20):
        for message in consumer.consume(500, 0.2):
            if not message.error():
                seen.append((message.partition(), message.key().decode(), message.value().decode()))
                quiet = time.monotonic()
    consumer.close()
    return seen


def check_zombie(broker):
    """A second producer aborts what the first has open; the first cannot commit it."""
    first = make_producer(broker, "fenced-id")
    first.begin_transaction()
    first.produce("zombie", value="of the first", partition=0)
    first.flush(10)
    second = make_producer(broker, "fenced-id")
    second.begin_transaction()
    second.produce("zombie", value="of the second", partition=0)
    try:
        first.commit_transaction(30)
        broker.fail("the zombie has committed")
    except KafkaException as failure:
        assert failure.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH), failure
    second.commit_transaction(30)
    consumer = Consumer(options(broker, group_id="zombie", auto_offset_reset="earliest", isolation_level="read_committed"))
    consumer.assign([TopicPartition("zombie", 0, 0)])
    values, end = [], time.monotonic() + 20
    while time.monotonic() < end and b"of the second" not in values:
        values += [message.value() for message in consumer.consume(10, 0.2) if not message.error()]
    consumer.close()
    assert values == [b"of the second"], values


def main():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (SOURCE, TARGET, SECOND, "zombie")]).values():
            future.result(20)
        fill_source(broker)
        turns = copy(broker, TARGET, 100, broker.restart)
        check_committed(read_target(broker, TARGET, "read_committed"))
        everything = read_target(broker, TARGET, "read_uncommitted")
        assert len(everything) > COUNT, "aborted records must be there for who reads everything"
        broker.restart()
        check_committed(read_target(broker, TARGET, "read_committed"))
        kills = copy_under_random_kills(broker)
        check_committed(read_target(broker, SECOND, "read_committed"))
        check_zombie(broker)
    passed("confluent_txn", f"{COUNT} records in {turns} transactions, {5 + kills} kills, a zombie")


main()
