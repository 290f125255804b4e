#!/usr/bin/env python3
"""Raw requests of share groups (KIP-932): what is answered to the letter, of sessions, acknowledgements and modes of acquiring. Runs the
same against Apache Kafka, which is where the expected values were seen: KAFKA_PORT=9092 test/peer/test_share_protocol.py
"""
import base64
import os
import struct
import sys
import threading
import time
import uuid
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection, crc32c, varint  # noqa: E402

RUN = uuid.uuid4().hex[:8]  # names of this run: a Kafka may be used more than once
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
INVALID_CONFIG, INVALID_REQUEST, NOT_FOUND, INVALID_STATE, NO_SESSION, BAD_EPOCH = 40, 42, 69, 121, 122, 123


def batch_of(count):
    """A batch of so many records."""
    body = b""
    for delta in range(count):
        record = b"\0\0" + varint(delta) + b"\1" + varint(1) + b"v" + b"\0"
        body += varint(len(record)) + record
    stamp = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0, count - 1, stamp, stamp, -1, -1, -1, count) + body
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def member_id():
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")


class World:
    """A topic of one partition and a group of its name, which reads it from the start."""

    def __init__(self, port, name, batches=(5,)):
        self.port, self.connection, self.name = port, Connection(port), f"{name}-{RUN}"
        made = self.call("CreateTopics", 7, Topics=[{"Name": self.name, "NumPartitions": 1, "ReplicationFactor": 1}], timeoutMs=10000)["Topics"][0]
        assert made["ErrorCode"] == 0, made
        self.topic = made["TopicId"]
        self.wait("Metadata", 12, lambda res: res["Topics"][0]["ErrorCode"] == 0, Topics=[{"TopicId": bytes(16), "Name": self.name}])
        self.configure("share.auto.offset.reset", "earliest")
        for count in batches:
            self.produce(count)
        self.member = member_id()
        self.join(self.member)

    def call(self, name, version, **values):
        return call(self.connection, name, version, **values)

    def wait(self, name, version, good, **values):
        end = time.monotonic() + 30
        while not good(answer := self.call(name, version, **values)):
            assert time.monotonic() < end, (name, answer)
            time.sleep(0.1)

    def configure(self, name, value):
        answer = self.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": 32, "ResourceName": self.name, "Configs": [
            {"Name": name, "ConfigOperation": 0, "Value": value}]}], ValidateOnly=False)["Responses"][0]
        return answer["ErrorCode"]

    def produce(self, count):
        answer = self.call("Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[{"Name": self.name, "PartitionData": [
            {"Index": 0, "Records": batch_of(count)}]}])
        assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0, answer

    def join(self, member):
        """Apache Kafka assigns when it has prepared the partition, a little later."""
        self.wait("FindCoordinator", 4, lambda res: res["Coordinators"][0]["ErrorCode"] == 0, CoordinatorKeys=[self.name])
        values = {"GroupId": self.name, "MemberId": member, "MemberEpoch": 0, "SubscribedTopicNames": [self.name]}
        self.wait("ShareGroupHeartbeat", 1, lambda res: res["ErrorCode"] == 0 and res["Assignment"] and res["Assignment"]["TopicPartitions"], **values)

    def fetch(self, epoch, member=None, version=2, records=500, acks=(), wait=500, **more):
        partition = {"PartitionIndex": 0, "AcknowledgementBatches": acks_of(acks)}
        topics = [{"TopicId": self.topic, "Partitions": [partition]}] if epoch == 0 or acks else []
        return self.call("ShareFetch", version, GroupId=self.name, MemberId=member or self.member, ShareSessionEpoch=epoch, MaxWaitMs=wait,
                         MinBytes=1, MaxBytes=1 << 20, MaxRecords=records, BatchSize=records, Topics=topics, **more)

    def got(self, epoch, **more):
        """Ranges of a fetch: [(first, last, count)]; errors as (error, acknowledge error)."""
        answer = self.fetch(epoch, **more)
        if answer["ErrorCode"] != 0:
            return answer["ErrorCode"]
        rows = [part for topic in answer["Responses"] for part in topic["Partitions"]]
        bad = [(row["ErrorCode"], row["AcknowledgeErrorCode"]) for row in rows if row["ErrorCode"] or row["AcknowledgeErrorCode"]]
        return bad or merged([(r["FirstOffset"], r["LastOffset"], r["DeliveryCount"]) for row in rows for r in row["AcquiredRecords"]])

    def acknowledge(self, epoch, *acks, member=None, version=2, **more):
        answer = self.call("ShareAcknowledge", version, GroupId=self.name, MemberId=member or self.member, ShareSessionEpoch=epoch,
                           Topics=[{"TopicId": self.topic, "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": acks_of(acks)}]}], **more)
        return answer["ErrorCode"] or [part["ErrorCode"] for topic in answer["Responses"] for part in topic["Partitions"]]

    def close(self):
        self.connection.socket.close()


def acks_of(acks):
    return [{"FirstOffset": first, "LastOffset": last, "AcknowledgeTypes": list(types)} for first, last, *types in acks]


def merged(ranges):
    """Neighbours of one count are one range: where they are cut is the broker's."""
    out = []
    for first, last, count in ranges:
        if out and out[-1][1] + 1 == first and out[-1][2] == count:
            out[-1] = (out[-1][0], last, count)
        else:
            out.append((first, last, count))
    return out


def check_sessions(port):
    world = World(port, "sessions")
    assert world.got(1) == NO_SESSION
    assert world.acknowledge(1, (0, 0, ACCEPT)) == NO_SESSION
    assert world.acknowledge(0, (0, 0, ACCEPT)) == BAD_EPOCH
    assert world.got(0, acks=[(0, 0, ACCEPT)]) == INVALID_REQUEST
    assert world.got(0) == [(0, 4, 1)]
    assert world.got(7) == BAD_EPOCH
    assert world.acknowledge(7, (0, 0, ACCEPT)) == BAD_EPOCH
    assert world.acknowledge(1, (0, 0, ACCEPT)) == [0]
    assert world.got(2, wait=100) == []
    assert world.got(3, acks=[(1, 1, RELEASE)]) == [(1, 1, 2)]  # what is given back comes with the same answer
    assert world.acknowledge(-1, (1, 1, ACCEPT)) == [0]
    assert world.acknowledge(4, (2, 2, ACCEPT)) == NO_SESSION
    assert world.got(0) == [(2, 4, 2)]  # the end of the session gave them back
    assert world.got(-1, acks=[(2, 4, ACCEPT)]) == []
    assert world.got(0, wait=100) == []
    world.close()


def check_acknowledgements(port):
    world = World(port, "acks", batches=(3, 3, 3))
    other = member_id()
    world.join(other)
    assert world.got(0) == [(0, 8, 1)]
    assert world.got(0, member=other, wait=100) == []
    assert world.acknowledge(1, (0, 0, ACCEPT), member=other) == [INVALID_STATE]
    assert world.acknowledge(1, (4, 3, ACCEPT)) == [INVALID_REQUEST]
    assert world.acknowledge(2, (0, 2, ACCEPT, ACCEPT)) == [INVALID_REQUEST]
    assert world.acknowledge(3, (0, 2)) == [INVALID_REQUEST]
    assert world.acknowledge(4, (0, 0, 9)) == [INVALID_REQUEST]
    assert world.acknowledge(5, (2, 4, ACCEPT), (3, 5, ACCEPT)) == [INVALID_REQUEST]
    assert world.acknowledge(6, (0, 0, RENEW)) == [INVALID_REQUEST]
    assert world.acknowledge(7, (5, 12, ACCEPT)) == [INVALID_REQUEST]
    assert world.acknowledge(8, (0, 3, ACCEPT, REJECT, RELEASE, GAP)) == [0]
    assert world.acknowledge(9, (2, 2, ACCEPT)) == [INVALID_STATE]
    assert world.got(2, member=other) == [(2, 2, 2)]
    assert world.acknowledge(10, (4, 4, RENEW), IsRenewAck=True) == [0]
    assert world.acknowledge(11, (4, 8, ACCEPT)) == [0]
    assert world.acknowledge(3, (2, 2, ACCEPT), member=other) == [0]
    assert world.configure("share.renew.acknowledge.enable", "false") == 0
    world.close()


def check_modes(port):
    world = World(port, "modes", batches=(4, 4, 4))
    assert world.got(0, records=2) == [(0, 3, 1)]  # a batch as a whole
    assert world.got(1, records=2, ShareAcquireMode=1) == [(4, 5, 1)]
    assert world.got(2, records=5, ShareAcquireMode=1) == [(6, 10, 1)]
    assert world.got(3, version=1) == [(11, 11, 1)]
    world.close()


def check_connection_ends(port):
    world = World(port, "gone")
    assert world.got(0) == [(0, 4, 1)]
    world.close()
    world.connection = Connection(port)
    world.member = member_id()
    world.join(world.member)
    found, epoch, end = world.got(0, wait=1000), 1, time.monotonic() + 10
    while found == [] and time.monotonic() < end:
        found, epoch = world.got(epoch, wait=1000), epoch + 1
    assert found == [(0, 4, 2)], found
    world.close()


def check_waiting(port):
    """A fetch waits for records, and for those that another member gives back."""
    world = World(port, "waiting")
    other = World.__new__(World)
    other.__dict__.update(world.__dict__)
    other.connection, other.member = Connection(port), member_id()
    other.join(other.member)
    assert world.got(0) == [(0, 4, 1)]
    start = time.monotonic()
    assert other.got(0, wait=300) == []
    assert time.monotonic() - start >= 0.3
    import threading
    found = []
    thread = threading.Thread(target=lambda: found.append(other.got(1, wait=20000)))
    thread.start()
    time.sleep(0.3)
    assert world.acknowledge(1, (0, 4, ACCEPT, ACCEPT, RELEASE, RELEASE, ACCEPT)) == [0]
    thread.join(10)
    assert found == [[(2, 3, 2)]], found
    world.close()
    other.close()


def check_offsets(port):
    world = World(port, "offsets")
    assert world.got(0) == [(0, 4, 1)]
    assert world.acknowledge(1, (0, 1, ACCEPT)) == [0]

    def told():
        group = world.call("DescribeShareGroupOffsets", 1, Groups=[{"GroupId": world.name, "Topics": None}])["Groups"][0]
        return group["ErrorCode"] or [(topic["TopicName"] == world.name, part["Lag"]) for topic in group["Topics"] for part in topic["Partitions"]]
    assert told() == [(True, 3)], told()
    none = "none-" + RUN
    unknown = world.call("DescribeShareGroupOffsets", 1, Groups=[{"GroupId": none, "Topics": None}])["Groups"][0]
    assert unknown["ErrorCode"] == 0 and unknown["Topics"] == [], unknown
    assert world.call("DeleteShareGroupOffsets", 0, GroupId=none, Topics=[{"TopicName": world.name}])["ErrorCode"] == NOT_FOUND
    altered = world.call("AlterShareGroupOffsets", 0, GroupId=none, Topics=[{"TopicName": world.name, "Partitions": [
        {"PartitionIndex": 0, "StartOffset": 1}, {"PartitionIndex": 5, "StartOffset": 1}]}])
    assert altered["ErrorCode"] == 0 and [part["ErrorCode"] for part in altered["Responses"][0]["Partitions"]] == [0, 3], altered
    made = world.call("ShareGroupDescribe", 1, GroupIds=[none])["Groups"][0]
    assert (made["ErrorCode"], made["GroupState"]) == (0, "Empty"), made
    fetched = world.call("OffsetFetch", 9, Groups=[{"GroupId": world.name, "Topics": None}])["Groups"][0]
    assert (fetched["ErrorCode"], fetched["Topics"]) == (0, []), fetched
    assert world.fetch(2, acks=[(2, 2, RENEW)], IsRenewAck=True)["ErrorCode"] == INVALID_REQUEST  # it would fetch, too
    assert world.call("FindCoordinator", 6, KeyType=2, CoordinatorKeys=[f"{world.name}:{base64.urlsafe_b64encode(world.topic).decode().rstrip('=')}:0"]
                      )["Coordinators"][0]["ErrorCode"] == 0
    world.close()


def check_interval(port):
    """The next assignment waits for the group's interval to pass, which may change meanwhile."""
    world = World(port, "interval")
    assert world.configure("share.assignment.interval.ms", "15001") == INVALID_CONFIG
    assert world.configure("share.assignment.interval.ms", "15000") == 0
    second, topics = member_id(), {"SubscribedTopicNames": [world.name]}

    def beat(epoch, **more):
        answer = world.call("ShareGroupHeartbeat", 1, GroupId=world.name, MemberId=second, MemberEpoch=epoch, **more)
        assert answer["ErrorCode"] == 0, answer
        return answer["MemberEpoch"], answer["Assignment"] and [row["Partitions"] for row in answer["Assignment"]["TopicPartitions"]]

    def state():
        told = world.call("ShareGroupDescribe", 1, GroupIds=[world.name])["Groups"][0]
        return told["GroupState"], told["GroupEpoch"], told["AssignmentEpoch"]
    old = state()[1]
    assert beat(0, **topics) == (old, [])
    assert state() == ("Stable", old + 1, old), state()
    assert beat(old) == (old, None)
    assert world.configure("share.assignment.interval.ms", "0") == 0
    end = time.monotonic() + 30
    while (found := beat(old)) == (old, None):
        assert time.monotonic() < end, "no assignment"
    assert found == (old + 1, [[0]]), found
    world.close()


def main():
    checks = [check_sessions, check_acknowledgements, check_modes, check_connection_ends, check_waiting, check_offsets, check_interval]
    if "KAFKA_PORT" in os.environ:
        for check in checks:
            check(int(os.environ["KAFKA_PORT"]))
    else:
        with Broker() as broker:
            for check in checks:
                check(broker.port)
    passed("share protocol", f"{len(checks)} checks")


main()
