"""What the tests of kafka-python's versions share: a group that reads through a kill, and what it finds after another one."""
import time
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from harness import COUNT, PARTITIONS, check_once_in_order, patient, record


@dataclass
class Reader:
    """A group on a topic. `poll_ms` is how long one poll waits, `options` are further options of a consumer."""
    broker: object
    topic: str
    group: str
    poll_ms: int
    options: dict = field(default_factory=dict)

    def consumer(self):
        return KafkaConsumer(self.topic, bootstrap_servers=self.broker.address, group_id=self.group, auto_offset_reset="earliest",
                             enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500,
                             reconnect_backoff_max_ms=300, request_timeout_ms=10000, max_poll_records=200, **self.options)

    def take(self, consumer, seen, count, seconds=60):
        end = time.monotonic() + patient(seconds)
        while len(seen) < count and time.monotonic() < end:
            for records in consumer.poll(timeout_ms=self.poll_ms).values():
                seen += [(r.partition, r.offset, r.key.decode(), r.value.decode()) for r in records]

    def consume(self):
        seen = []
        consumer = self.consumer()
        self.take(consumer, seen, COUNT // 2)
        commit(consumer)
        self.broker.restart()
        self.take(consumer, seen, COUNT)
        commit(consumer)
        consumer.close()
        check_once_in_order(seen)

    def check_resume(self):
        """After a kill the group is at the ends, and the start is found by time."""
        self.broker.restart()
        consumer = self.consumer()
        extra = []
        self.take(consumer, extra, 1, seconds=4)
        places = [TopicPartition(self.topic, p) for p in range(PARTITIONS)]
        committed = [consumer.committed(place) for place in places]
        ends = [consumer.end_offsets([place])[place] for place in places]
        by_time = consumer.offsets_for_times({places[0]: 0})[places[0]].offset
        consumer.close()
        if extra or committed != ends or sum(ends) != COUNT or by_time != 0:
            self.broker.fail(f"extra {extra}, committed {committed}, ends {ends}, by time {by_time}")


def commit(consumer):
    """The client does not repeat a commit whose connection is lost, as it is right after a kill."""
    end = time.monotonic() + patient(10)
    while True:
        try:
            return consumer.commit()
        except KafkaError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def produce(producer, topic, sent):
    """All records; `sent(number)` is called after each."""
    futures = []
    for number in range(COUNT):
        key, value = record(number)
        futures.append(producer.send(topic, key=key.encode(), value=value.encode(), headers=[("n", b"x")]))
        sent(number)
    producer.flush(60)
    for future in futures:
        future.get(timeout=patient(60))
    producer.close()
