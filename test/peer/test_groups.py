#!/usr/bin/env python3
"""Consumer groups of the new protocol (KIP-848), by confluent-kafka (librdkafka): sharing, the server killed in the middle of a
rebalance, and a group that is moved from the classic protocol to the new one and back, member by member, while it works.

Every record is committed before the next one is asked for, so without a kill each comes exactly once; with one, what was on its
way may come twice.
"""
import json
import subprocess
import threading
import time

from confluent_kafka import (Consumer, ConsumerGroupState, ConsumerGroupType, KafkaError, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Broker, passed

TOPIC, PARTITIONS = "work", 6


class Flow(threading.Thread):
    """Produces numbered records all the time until it is stopped."""

    def __init__(self, broker, topic):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 5,
                                  "reconnect.backoff.max.ms": 300, "log_level": 0})
        self.topic, self.count, self.stopping = topic, 0, False

    def run(self):
        while not self.stopping:
            self.producer.produce(self.topic, value=str(self.count), partition=self.count % PARTITIONS)
            self.count += 1
            self.producer.poll(0)
            time.sleep(0.005)
        assert self.producer.flush(60) == 0


class Member:
    """A consumer that commits what it has read before it reads on; `seen` is shared by all members of a test."""

    def __init__(self, broker, group, topic, seen, protocol, **extra):
        config = {"bootstrap.servers": broker.address, "group.id": group, "auto.offset.reset": "earliest",
                  "enable.auto.commit": False, "group.protocol": protocol, "reconnect.backoff.max.ms": 300, "log_level": 0}
        self.classic = protocol == "classic"
        if self.classic:
            config.update({"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 30000,
                           "heartbeat.interval.ms": 500})
        self.consumer = Consumer({**config, **extra})
        self.seen, self.uncommitted = seen, {}
        self.consumer.subscribe([topic], on_revoke=self.on_revoke)

    def commit(self):
        """A classic member's commit is refused while its group waits for the leader's assignment, and when it was sent behind the
        member's own JoinGroup, which has raised the generation: then the next step tries again."""
        if not self.uncommitted:
            return
        try:
            self.consumer.commit(offsets=list(self.uncommitted.values()), asynchronous=False)
            self.uncommitted.clear()
        except KafkaException as failure:
            joining = (KafkaError.REBALANCE_IN_PROGRESS, *((KafkaError.ILLEGAL_GENERATION,) if self.classic else ()))
            if failure.args[0].code() not in joining and self.strict:
                raise

    def on_revoke(self, _, parts):
        self.commit()
        for part in parts:
            self.uncommitted.pop(part.partition, None)

    def step(self, strict=True):
        self.strict = strict
        message = self.consumer.poll(0.02)
        if message is not None and not message.error():
            self.seen.append(int(message.value()))
            self.uncommitted[message.partition()] = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
        self.commit()

    def assigned(self):
        return [part.partition for part in self.consumer.assignment()]

    def close(self):
        self.consumer.close()


def until(what, members, condition, seconds=60, strict=True):
    """Lets the members work until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"FAILED: {what}: {[member.assigned() for member in members]}")
        for member in members:
            member.step(strict)


def shared(members):
    """Every partition has one member, every member its even share, and what was read is committed."""
    def condition():
        parts = [member.assigned() for member in members]
        even = all(PARTITIONS // len(members) <= len(part) <= -(-PARTITIONS // len(members)) for part in parts)
        return even and not any(member.uncommitted for member in members) and sorted(sum(parts, [])) == list(range(PARTITIONS))
    return condition


def work_on(members, seconds, strict=True):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for member in members:
            member.step(strict)


def drain(flow, members, seen, strict=True):
    """Stops the flow and reads the rest."""
    flow.stopping = True
    flow.join()
    until("the rest", members, lambda: len(set(seen)) == flow.count, strict=strict)


def describe(admin, group):
    return admin.describe_consumer_groups([group])[group].result(timeout=10)


def check_once(seen, count):
    twice = len(seen) - len(set(seen))
    assert sorted(set(seen)) == list(range(count)), f"{count - len(set(seen))} of {count} records are missing"
    assert twice == 0, f"{twice} of {count} records came twice"


def check_sharing(broker, admin):
    seen, flow = [], Flow(broker, TOPIC)
    flow.start()
    members = [Member(broker, "sharing", TOPIC, seen, "consumer")]
    until("one member", members, shared(members))
    members.append(Member(broker, "sharing", TOPIC, seen, "consumer"))
    until("two members", members, shared(members))
    assert sorted(len(member.assigned()) for member in members) == [3, 3]
    members.append(Member(broker, "sharing", TOPIC, seen, "consumer", **{"group.remote.assignor": "range"}))
    until("three members", members, shared(members))
    group = describe(admin, "sharing")
    assert group.type == ConsumerGroupType.CONSUMER and len(group.members) == 3, group
    until("stable", members, lambda: describe(admin, "sharing").state == ConsumerGroupState.STABLE)
    listed = admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(timeout=10).valid
    assert [group.group_id for group in listed] == ["sharing"], listed
    told = json.loads(subprocess.run([broker.program, "group", "describe", "sharing", "--brokers", broker.address, "--json"],
                                     stdout=subprocess.PIPE, check=True).stdout)
    assert told["state"] == "Stable" and len(told["members"]) == 3, told
    members.pop(0).close()
    until("two are left", members, shared(members))
    drain(flow, members, seen)
    for member in members:
        member.close()
    check_once(seen, flow.count)
    return flow.count


def check_kill(broker):
    """The server dies while partitions change hands, three times; nothing is lost, and the group comes together."""
    seen, flow = [], Flow(broker, "killed")
    flow.start()
    members = [Member(broker, "killed", "killed", seen, "consumer")]
    until("one member", members, shared(members))
    for wait in (0, 0.3, 0.7):
        members.append(Member(broker, "killed", "killed", seen, "consumer"))
        work_on(members, wait, strict=False)
        broker.restart()
        until(f"{len(members)} members after a kill", members, shared(members), strict=False)
    drain(flow, members, seen, strict=False)
    for member in members:
        member.close()
    twice = len(seen) - len(set(seen))
    assert twice <= 3 * PARTITIONS, f"{twice} records came twice"


def check_move(broker, admin):
    """Classic members are replaced by new ones, then the other way round."""
    seen, flow = [], Flow(broker, "moved")
    flow.start()
    members = [Member(broker, "moved", "moved", seen, "classic") for _ in range(2)]
    until("classic", members, shared(members))
    assert describe(admin, "moved").type == ConsumerGroupType.CLASSIC
    for protocol, kind in (("consumer", ConsumerGroupType.CONSUMER), ("classic", ConsumerGroupType.CLASSIC)):
        for step in range(2):
            members.append(Member(broker, "moved", "moved", seen, protocol))
            until(f"{protocol}, {step} old ones left and a third member", members, shared(members))
            members.pop(0).close()
            until(f"{protocol}, without one", members, shared(members))
        until(f"kind {kind}", members, lambda: describe(admin, "moved").type == kind)
    drain(flow, members, seen)
    for member in members:
        member.close()
    check_once(seen, flow.count)


def check_regex(broker, admin):
    seen = []
    member = Member(broker, "pattern", "^pattern-.*", seen, "consumer")
    made = ["pattern-a", "pattern-b"]
    for future in admin.create_topics([NewTopic(name, 1, 1) for name in made + ["other"]]).values():
        future.result(timeout=10)
    until("topics of the pattern", [member],
          lambda: sorted(part.topic for part in member.consumer.assignment()) == made)
    member.close()


def main():
    options = ("group.consumer.min.heartbeat.interval.ms=300", "group.consumer.heartbeat.interval.ms=300",
               "group.consumer.min.session.timeout.ms=30000", "group.consumer.session.timeout.ms=30000")
    with Broker(*options) as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        topics = [NewTopic(name, PARTITIONS, 1) for name in (TOPIC, "killed", "moved")]
        for future in admin.create_topics(topics).values():
            future.result(timeout=10)
        count = check_sharing(broker, admin)
        check_regex(broker, admin)
        check_move(broker, admin)
        check_kill(broker)
    passed("groups", f"{count} records shared, a pattern, three kills while rebalancing, a group moved there and back")


main()
