#!/usr/bin/env python3
"""Raw group requests: what a coordinator answers to the letter. Runs the same against Apache Kafka, which is where the expected
values were seen: KAFKA_PORT=9092 test/peer/test_group_protocol.py
"""
import os
import sys
import time
import uuid
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call, receive, send  # noqa: E402
from rawkafka import Connection  # noqa: E402

PROTOCOLS = "group.coordinator.rebalance.protocols"
RUN = uuid.uuid4().hex[:8]  # names of this run: a Kafka may be used more than once


class World:
    """A port, one connection and names that are this check's own."""

    def __init__(self, port, name):
        self.connection, self.group, self.topic = Connection(port), f"{name}-{RUN}", f"t-{name}-{RUN}"
        self.port = port
        self.make_topic(2)
        self.wait("FindCoordinator", 4, lambda res: res["Coordinators"][0]["ErrorCode"] == 0, CoordinatorKeys=[self.group])
        self.wait("OffsetFetch", 9, lambda res: res["Groups"][0]["ErrorCode"] == 0, Groups=[{"GroupId": self.group}])

    def call(self, name, version, **values):
        return call(self.connection, name, version, **values)

    def make_topic(self, partitions):
        made = self.call("CreateTopics", 7, Topics=[{"Name": self.topic, "NumPartitions": partitions,
                                                     "ReplicationFactor": 1}], timeoutMs=10000)["Topics"][0]
        assert made["ErrorCode"] == 0, made
        self.topic_id = made["TopicId"]
        self.wait("Metadata", 12, lambda res: res["Topics"][0]["ErrorCode"] == 0,
                  Topics=[{"TopicId": bytes(16), "Name": self.topic}])

    def settle(self):
        """Apache Kafka may put an assignment off by a second."""
        time.sleep(1.2 if "KAFKA_PORT" in os.environ else 0)

    def configure(self, interval):
        """The time between assignments of this group."""
        row = {"Name": "consumer.assignment.interval.ms", "ConfigOperation": 0, "Value": interval}
        answer = self.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": 32, "ResourceName": self.group, "Configs": [row]}], ValidateOnly=False)
        assert answer["Responses"][0]["ErrorCode"] == 0, answer
        self.wait("DescribeConfigs", 4, lambda res: res["Results"][0]["Configs"][0]["Value"] == interval,
                  Resources=[{"ResourceType": 32, "ResourceName": self.group, "ConfigurationKeys": [row["Name"]]}])

    def wait(self, name, version, good, **values):
        """Apache Kafka does some things a little later than it says."""
        end = time.monotonic() + 30
        while not good(self.call(name, version, **values)):
            assert time.monotonic() < end, name
            time.sleep(0.1)

    # --- the new protocol ---

    def first(self, member, **values):
        """The epoch with which the first member gets both partitions, for which Apache Kafka may take its time."""
        found = self.beat(member, 0, **values)
        while found[1] != [0, 1]:
            time.sleep(0.2)
            again = self.beat(member, found[0])
            found = again if again[1] is not None else (again[0], found[1])
        return found[0]

    def beat(self, member, epoch, version=1, full=None, **values):
        """Error, or epoch and partitions of the topic (None: no assignment in the answer)."""
        if epoch == 0 and full is None:
            values = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [self.topic], "TopicPartitions": [], **values}
        if isinstance(values.get("TopicPartitions"), tuple):
            parts = list(values["TopicPartitions"])
            values["TopicPartitions"] = [{"TopicId": self.topic_id, "Partitions": parts}] if parts else []
        res = self.call("ConsumerGroupHeartbeat", version, GroupId=values.pop("GroupId", self.group), MemberId=member,
                        MemberEpoch=epoch, **values)
        if res["ErrorCode"]:
            return res["ErrorCode"]
        assigned = res["Assignment"]
        if assigned is None:
            return res["MemberEpoch"], None
        return res["MemberEpoch"], sorted(sum((row["Partitions"] for row in assigned["TopicPartitions"]), []))

    # --- the classic one ---

    def join(self, version=5, member="", instance=None, group=None, kind="consumer", protocols=("range",), session=10000,
             client=None):
        values = {"GroupId": self.group if group is None else group, "SessionTimeoutMs": session, "RebalanceTimeoutMs": 10000,
                  "MemberId": member, "GroupInstanceId": instance, "ProtocolType": kind,
                  "Protocols": [{"Name": name, "Metadata": self.subscription()} for name in protocols]}
        return values if client == "values" else call(client or self.connection, "JoinGroup", version, **values)

    def subscription(self):
        name = self.topic.encode()
        return b"\0\0" + b"\0\0\0\1" + len(name).to_bytes(2, "big") + name + b"\xff\xff\xff\xff"

    def join_twice(self, **values):
        first = self.join(**values)
        assert first["ErrorCode"] == 79, first
        return self.join(member=first["MemberId"], **values)

    def sync(self, member, generation, version=3, assignments=(), **values):
        return self.call("SyncGroup", version, GroupId=self.group, MemberId=member, GenerationId=generation,
                         Assignments=[{"MemberId": name, "Assignment": data} for name, data in assignments], **values)

    def stable(self, assignment=b"x"):
        """A group of one member in generation 1."""
        member = self.join_twice()["MemberId"]
        assert self.sync(member, 1, assignments=[(member, assignment)])["ErrorCode"] == 0
        return member

    def rebalances(self, member, epoch):
        """Waits for a heartbeat that is told to join again: a group that has just moved begins that by its clock, a moment later."""
        end = time.monotonic() + 30
        while (error := self.heartbeat(member, epoch)) == 0:
            assert time.monotonic() < end, "no rebalance"
        return error == 27

    def heartbeat(self, member, generation, instance=None):
        return self.call("Heartbeat", 3, GroupId=self.group, MemberId=member, GenerationId=generation,
                         GroupInstanceId=instance)["ErrorCode"]

    def commit(self, member="", generation=-1, version=8, instance=None, partition=0, offset=5, metadata="", topic=None):
        part = {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}
        row = {"TopicId": self.topic_id if topic is None else topic} if version >= 10 else {"Name": topic or self.topic}
        return self.call("OffsetCommit", version, GroupId=self.group, MemberId=member, GenerationIdOrMemberEpoch=generation,
                         GroupInstanceId=instance, Topics=[{**row, "Partitions": [part]}])["Topics"][0]["Partitions"][0]["ErrorCode"]

    def fetch(self, member=None, epoch=-1, version=9, group=None):
        """Group error, or the offset of partition 0."""
        row = {"TopicId": self.topic_id} if version >= 10 else {"Name": self.topic}
        asked = {"GroupId": group or self.group, "MemberId": member, "MemberEpoch": epoch,
                 "Topics": [{**row, "PartitionIndexes": [0]}]}
        if version < 9:
            del asked["MemberId"], asked["MemberEpoch"]
        res = self.call("OffsetFetch", version, Groups=[asked])["Groups"][0]
        return ("error", res["ErrorCode"]) if res["ErrorCode"] else res["Topics"][0]["Partitions"][0]["CommittedOffset"]

    def describe(self, version=6):
        res = self.call("DescribeGroups", version, Groups=[self.group])["Groups"][0]
        return res["ErrorCode"], res["GroupState"]

    def delete_offset(self, topic=None, partition=0):
        """Top error, or that of the partition."""
        res = self.call("OffsetDelete", 0, GroupId=self.group, Topics=[{"Name": topic or self.topic,
                                                                       "Partitions": [{"PartitionIndex": partition}]}])
        return ("top", res["ErrorCode"]) if res["ErrorCode"] else res["Topics"][0]["Partitions"][0]["ErrorCode"]

    def delete_group(self):
        return self.call("DeleteGroups", 2, GroupsNames=[self.group])["Results"][0]["ErrorCode"]


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found}, wanted {wanted}")


def check_features(world):
    res = world.call("ApiVersions", 4, ClientSoftwareName="a", ClientSoftwareVersion="1")
    level = {row["Name"]: row["MaxVersionLevel"] for row in res["FinalizedFeatures"]}
    expect(level.get("group.version"), 1)
    ranges = {row["ApiKey"]: (row["MinVersion"], row["MaxVersion"]) for row in res["ApiKeys"]}
    expect([ranges[key] for key in (47, 68, 69)], [(0, 0), (0, 1), (0, 1)])


def check_empty_id(world):
    """The empty group id: offsets may be kept under it, nobody may be a member of it."""
    expect(world.join(group="")["ErrorCode"], 24)
    expect(world.call("SyncGroup", 3, GroupId="", MemberId="a", GenerationId=1)["ErrorCode"], 24)
    expect(world.call("Heartbeat", 3, GroupId="", MemberId="a", GenerationId=1)["ErrorCode"], 24)
    expect(world.call("LeaveGroup", 3, GroupId="", Members=[{"MemberId": "a"}])["ErrorCode"], 24)
    expect(world.call("ConsumerGroupDescribe", 1, GroupIds=[""])["Groups"][0]["ErrorCode"], 24)
    expect(world.call("OffsetDelete", 0, GroupId="")["ErrorCode"], 24)
    world.group = ""
    expect(world.commit(), 0)
    expect(world.fetch(version=8), 5)
    expect(world.describe(), (0, "Empty"))
    expect(world.delete_group(), 0)


def check_new_requests(world):
    topics = {"SubscribedTopicNames": [world.topic], "TopicPartitions": [], "RebalanceTimeoutMs": 1000, "full": False}
    expect(world.beat("m", 0, GroupId=""), 42)
    expect(world.beat("", 0), 42)
    expect(world.beat("m", 0, InstanceId=""), 42)
    expect(world.beat("m", 0, RackId=""), 42)
    expect(world.beat("m", 0, **{**topics, "RebalanceTimeoutMs": -1}), 42)
    expect(world.beat("m", 0, **{**topics, "SubscribedTopicNames": None}), 42)
    expect(world.beat("m", 0, **{**topics, "TopicPartitions": (0,)}), 42)
    expect(world.beat("m", -3), 42)
    expect(world.beat("m", -2), 42)
    expect(world.beat("", -1), 42)
    expect(world.beat("m", 0, ServerAssignor="round"), 112)
    expect(world.beat("m", 0, SubscribedTopicRegex="a("), 128)
    expect(world.beat("m", 0, SubscribedTopicRegex="(?=a)"), 128)
    expect(world.beat("m", 5), 69)
    expect(world.beat("m", -1), 69)


def check_new_epochs(world):
    epoch = world.first("m1")
    expect(world.beat("m1", epoch), (epoch, None))
    expect(world.beat("m1", epoch + 1), 110)
    expect(world.beat("m9", epoch), 25)
    expect(world.beat("m9", -1), 25)
    full = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [world.topic], "TopicPartitions": (0, 1)}
    expect(world.beat("m1", epoch, **full), (epoch, [0, 1]))
    expect(world.describe(), (69, "Dead"))
    expect(world.describe(version=5), (0, "Dead"))
    listed = world.call("ListGroups", 5, TypesFilter=["Consumer"])["Groups"]
    mine = [row for row in listed if row["GroupId"] == world.group]
    expect([(row["ProtocolType"], row["GroupState"], row["GroupType"]) for row in mine], [("consumer", "Stable", "consumer")])
    expect([row for row in world.call("ListGroups", 5, TypesFilter=["classic"])["Groups"] if row["GroupId"] == world.group], [])
    told = world.call("ConsumerGroupDescribe", 1, GroupIds=[world.group])["Groups"][0]
    expect((told["ErrorCode"], told["GroupState"], told["GroupEpoch"], told["AssignmentEpoch"], told["AssignorName"]),
           (0, "Stable", epoch, epoch, "uniform"))
    row = told["Members"][0]
    expect((row["MemberId"], row["MemberEpoch"], row["SubscribedTopicNames"], row["ClientId"], row["ClientHost"], row["MemberType"]),
           ("m1", epoch, [world.topic], "c", "/127.0.0.1", 1))
    expect(row["SubscribedTopicRegex"] or None, None)
    expect(row["Assignment"]["TopicPartitions"],
           [{"TopicId": world.topic_id, "TopicName": world.topic, "Partitions": [0, 1]}])
    expect(world.call("ConsumerGroupDescribe", 1, GroupIds=["no-such"])["Groups"][0]["ErrorCode"], 69)
    expect(world.heartbeat("m1", epoch), 25)  # the classic call of a member of the new protocol
    expect(world.join(member="m1")["ErrorCode"], 0)


def check_new_reconciliation(world):
    old = world.first("m1")
    world.settle()
    expect(world.beat("m2", 0), (old + 1, []))
    epoch, kept = world.beat("m1", old)
    expect((epoch, len(kept)), (old, 1))
    kept, new = kept[0], old + 1
    expect(world.beat("m2", new), (new, None))
    expect(world.beat("m1", old, TopicPartitions=(0, 1)), (old, None))
    expect(world.beat("m1", old, TopicPartitions=(kept,)), (new, None))
    expect(world.beat("m1", old, TopicPartitions=(kept,)), (new, None))  # the answer was lost
    expect(world.beat("m1", old, TopicPartitions=(0, 1)), 110)
    expect(world.beat("m2", new), (new, [1 - kept]))
    expect(world.commit("m1", new, version=9, partition=kept), 0)
    expect(world.commit("m1", new, version=8, partition=kept), 35)
    expect(world.commit("m1", new + 1, version=9, partition=kept), 113)
    expect(world.commit("m1", old, version=9, partition=kept), 0)  # it had the partition at that epoch
    expect(world.commit("m1", old, version=9, partition=1 - kept), 113)
    expect(world.commit("m9", new, version=9), 25)
    expect(world.commit(version=9), 25)
    expect(world.fetch("m1", old), ("error", 113))
    expect(world.fetch("m9", new), ("error", 25))
    expect(world.delete_group(), 68)
    expect(world.delete_offset(), 86)
    expect(world.beat("m1", -1), (-1, None))
    expect(world.beat("m2", -1), (-1, None))
    expect(world.commit(version=9, offset=7), 0)
    expect(world.fetch(version=10), 7)
    expect(world.delete_offset(), 0)
    expect(world.fetch(), -1)
    expect(world.delete_group(), 0)
    expect(world.delete_group(), 69)


def check_new_interval(world):
    """The next assignment waits for the group's interval to pass, which may change meanwhile."""
    world.configure("15000")  # first: what comes of a change is not seen by a client
    old = world.first("m1")
    full = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [world.topic], "TopicPartitions": ()}
    expect(world.beat("m2", 0), (old, []))

    def state():
        told = world.call("ConsumerGroupDescribe", 1, GroupIds=[world.group])["Groups"][0]
        return told["GroupState"], told["GroupEpoch"], told["AssignmentEpoch"]
    expect(state(), ("Assigning", old + 1, old))
    expect(world.beat("m1", old, TopicPartitions=(0, 1)), (old, None))
    expect(world.beat("m2", old, **full), (old, []))
    expect(world.beat("m2", -1), (-1, None))
    expect(world.beat("m2", 0), (old, []))
    expect(state(), ("Assigning", old + 3, old))
    world.configure("0")
    end = time.monotonic() + 30
    while (found := world.beat("m2", old)) == (old, None):
        assert time.monotonic() < end, "no assignment"
    expect(found, (old + 3, None))
    expect(state(), ("Reconciling", old + 3, old + 3))


def check_new_static(world):
    epoch = world.first("m1", InstanceId="i")
    expect(world.beat("m2", 0, InstanceId="i"), 111)
    expect(world.beat("m2", epoch, InstanceId="i"), 82)
    expect(world.beat("m1", epoch, InstanceId="j"), 25)
    expect(world.beat("m1", -2, InstanceId="i"), (-2, None))
    expect(world.beat("m2", 0, InstanceId="i"), (epoch, [0, 1]))
    expect(world.beat("m1", epoch, InstanceId="i"), 82)
    res = world.call("LeaveGroup", 5, GroupId=world.group, Members=[{"MemberId": "", "GroupInstanceId": "i"}])
    expect((res["ErrorCode"], res["Members"][0]["ErrorCode"]), (0, 0))  # an administrator's call
    expect(world.beat("m2", epoch, InstanceId="i"), 25)


def check_classic_checks(world):
    expect(world.join(group="")["ErrorCode"], 24)
    expect(world.join(session=1)["ErrorCode"], 26)
    expect(world.join(member="m")["ErrorCode"], 25)
    expect(world.join(kind="")["ErrorCode"], 23)
    expect(world.join(protocols=())["ErrorCode"], 23)
    member = world.stable()
    expect(world.join(kind="connect")["ErrorCode"], 23)
    expect(world.join(protocols=("other",))["ErrorCode"], 23)
    expect(world.heartbeat("other", 9), 25)
    expect(world.heartbeat(member, 9), 22)
    expect(world.heartbeat(member, 1), 0)
    expect(world.heartbeat(member, 1, instance="i"), 25)
    res = world.sync(member, 1)
    expect((res["ErrorCode"], res["Assignment"]), (0, b"x"))
    expect(world.sync(member, 1, version=5, ProtocolType="consumer", ProtocolName="other")["ErrorCode"], 23)
    expect(world.commit(member, 1), 0)
    expect(world.commit(member, 0), 22)
    expect(world.commit("other", 1), 25)
    expect(world.commit(member, 1, instance="i"), 25)
    expect(world.commit(), 25)
    expect(world.commit(member, 1, metadata="x" * 4097), 12)
    expect(world.commit(member, 1, partition=9), 3)
    expect(world.commit(member, 1, version=10, topic=b"\1" * 16), 100)
    expect(world.describe(), (0, "Stable"))
    expect(world.delete_group(), 68)
    expect(world.delete_offset(), 86)
    expect(world.fetch(), 5)
    expect(world.fetch(version=10), 5)
    expect(world.fetch(version=8), 5)
    rejoined = world.join(member=member)  # the leader: a new generation
    expect((rejoined["ErrorCode"], rejoined["GenerationId"]), (0, 2))
    expect(world.commit(member, 2), 27)
    expect(world.describe(), (0, "CompletingRebalance"))
    res = world.call("LeaveGroup", 4, GroupId=world.group, Members=[{"MemberId": "other"}, {"MemberId": member}])
    expect((res["ErrorCode"], [row["ErrorCode"] for row in res["Members"]]), (0, [25, 0]))
    expect(world.describe(), (0, "Empty"))
    expect(world.delete_offset(topic="no-such"), 3)
    expect(world.delete_offset(), 0)
    expect(world.delete_offset(), 0)  # there is none any more
    expect(world.fetch(), -1)
    expect(world.commit(), 0)
    expect(world.delete_group(), 0)
    expect(world.describe(), (69, "Dead"))
    expect(world.describe(version=5), (0, "Dead"))
    res = world.call("LeaveGroup", 4, GroupId=world.group, Members=[{"MemberId": "other"}])
    expect((res["ErrorCode"], [row["ErrorCode"] for row in res["Members"]]), (0, [25]))
    expect(world.call("LeaveGroup", 2, GroupId=world.group, MemberId="other")["ErrorCode"], 25)
    expect(world.delete_offset(), ("top", 69))


def check_simple_group(world):
    expect(world.fetch(), -1)
    expect(world.fetch("m", 1), -1)  # a group that is not there has no members to compare with
    expect(world.commit(generation=3), 22)
    expect(world.commit(generation=3, version=9), 69)
    expect(world.commit("m"), 0)
    expect(world.describe(), (0, "Empty"))
    listed = [row for row in world.call("ListGroups", 5, StatesFilter=["empty"])["Groups"] if row["GroupId"] == world.group]
    expect([(row["ProtocolType"], row["GroupState"], row["GroupType"]) for row in listed], [("", "Empty", "classic")])
    expect([row for row in world.call("ListGroups", 4, StatesFilter=["Stable"])["Groups"] if row["GroupId"] == world.group], [])
    expect(world.fetch("m", 1), 5)  # no members to compare with
    expect(world.delete_offset(), 0)


def check_classic_static(world):
    first = world.join(instance="i")
    member = first["MemberId"]
    expect((first["ErrorCode"], first["GenerationId"], member.startswith("i-")), (0, 1, True))
    expect(world.sync(member, 1, assignments=[(member, b"x")], GroupInstanceId="i")["ErrorCode"], 0)
    again = world.join(instance="i")
    expect((again["ErrorCode"], again["GenerationId"], again["Leader"] == member), (0, 1, True))
    expect(world.heartbeat(member, 1, instance="i"), 82)
    expect(world.heartbeat(again["MemberId"], 1, instance="i"), 0)
    expect(world.commit(member, 1, instance="i"), 82)
    expect(world.join(member=member, instance="i")["ErrorCode"], 82)
    last = world.join(version=9, instance="i")
    expect((last["SkipAssignment"], last["Leader"] == last["MemberId"], len(last["Members"])), (True, True, 1))
    res = world.call("LeaveGroup", 5, GroupId=world.group, Members=[{"MemberId": "", "GroupInstanceId": "j"},
                                                                    {"MemberId": member, "GroupInstanceId": "i"},
                                                                    {"MemberId": "", "GroupInstanceId": "i"}])
    expect([row["ErrorCode"] for row in res["Members"]], [25, 82, 0])
    expect(world.describe(), (0, "Empty"))


def check_other_protocol(world):
    """A group that is no consumers' group: offsets are not deleted under its members."""
    member = world.join_twice(kind="connect", protocols=("default",))["MemberId"]
    expect(world.sync(member, 1, assignments=[(member, b"x")])["ErrorCode"], 0)
    expect(world.commit(member, 1), 0)
    expect(world.delete_offset(), ("top", 68))
    expect(world.beat("m", 0), 69)  # and it is not taken over
    world.call("LeaveGroup", 4, GroupId=world.group, Members=[{"MemberId": member}])
    expect(world.delete_offset(), 0)


def check_upgrade(world):
    """A new member joins classic consumers: one group of both; when it leaves, it is a classic one again."""
    member = world.stable(world.subscription()[:-4] + b"\0\0\0\1\0\0\0\0\xff\xff\xff\xff")  # partition 0
    expect(world.commit(member, 1), 0)
    epoch, _ = world.beat("new", 0)
    expect(epoch, 2)
    expect(world.describe(), (69, "Dead"))
    told = world.call("ConsumerGroupDescribe", 1, GroupIds=[world.group])["Groups"][0]
    expect(sorted(row["MemberType"] for row in told["Members"]), [0, 1])
    expect(world.heartbeat(member, 1), 27)
    expect(world.commit(member, 1), 0)  # its generation is its epoch until it joins anew
    world.settle()
    joined = world.join(member=member)
    epoch = joined["GenerationId"]
    expect((joined["ErrorCode"], epoch >= 2, joined["ProtocolName"], joined["Leader"], joined["Members"]),
           (0, True, "range", "", []))
    expect(world.sync(member, epoch - 1)["ErrorCode"], 22)
    res = world.sync(member, epoch)
    expect(res["ErrorCode"], 0)
    name = world.topic.encode()
    expect(res["Assignment"][:8 + len(name)], b"\0\0" + b"\0\0\0\1" + len(name).to_bytes(2, "big") + name)
    expect(world.heartbeat(member, epoch), 0)
    expect(world.beat("new", -1), (-1, None))
    expect(world.rebalances(member, epoch), True)
    expect(world.describe()[0], 0)
    joined = world.join(member=member)
    expect((joined["ErrorCode"], joined["GenerationId"]), (0, epoch + 1))
    expect(world.sync(member, epoch + 1, assignments=[(member, b"y")])["Assignment"], b"y")
    expect(world.describe(), (0, "Stable"))


def check_parked(world):
    """Two members: the first has to come back before the second is answered."""
    member = world.stable()
    with Connection(world.port) as other:
        first = call(other, "JoinGroup", 5, **world.join(client="values"))
        send(other, "JoinGroup", 5, **{**world.join(client="values"), "MemberId": first["MemberId"]})
        end = time.monotonic() + 10
        while world.describe()[1] != "PreparingRebalance" and time.monotonic() < end:
            time.sleep(0.02)
        expect(world.heartbeat(member, 1), 27)
        expect(world.sync(member, 1)["ErrorCode"], 27)
        expect(world.commit(member, 1), 0)
        leader = world.join(member=member)
        follower = receive(other, "JoinGroup", 5)
        expect((leader["GenerationId"], follower["GenerationId"]), (2, 2))
        expect((len(leader["Members"]), len(follower["Members"])), (2, 0))
        send(other, "SyncGroup", 3, GroupId=world.group, MemberId=follower["MemberId"], GenerationId=2)
        world.sync(member, 2, assignments=[(member, b"l"), (follower["MemberId"], b"f")])
        expect(receive(other, "SyncGroup", 3)["Assignment"], b"f")


CHECKS = (check_features, check_empty_id, check_new_requests, check_new_epochs, check_new_reconciliation, check_new_interval, check_new_static, check_classic_checks,
          check_simple_group, check_classic_static, check_other_protocol, check_upgrade, check_parked)


def run(port):
    failed = 0
    for check in CHECKS:
        try:
            check(World(port, check.__name__.replace("check_", "")))
        except AssertionError as failure:
            line = failure.__traceback__.tb_next.tb_lineno if failure.__traceback__.tb_next else 0
            print(f"FAILED: {check.__name__}, line {line}: {failure}")
            failed += 1
    return failed


def check_silent_member(broker):
    """A member that is not heard any more is out after its session, also when the server was started anew in between."""
    world = World(broker.port, "silent")
    epoch = world.first("m1")
    world.beat("m2", 0)
    broker.restart()
    world.connection = Connection(broker.port)
    epoch, parts = epoch + 1, []
    end = time.monotonic() + 20
    while parts != [0, 1]:
        assert time.monotonic() < end, (epoch, parts)
        epoch, told = world.beat("m2", epoch)
        parts = parts if told is None else told
        time.sleep(0.1)
    expect(world.beat("m1", 1), 25)


def check_unfinished_rebalance(broker):
    """Killed when one member has been told to give a partition up and has not: it still has to, and then the other gets it."""
    world = World(broker.port, "unfinished")
    old = world.first("m1")
    expect(world.beat("m2", 0), (old + 1, []))
    kept = world.beat("m1", old)[1]
    broker.restart()
    world.connection = Connection(broker.port)
    expect(world.beat("m2", old + 1), (old + 1, None))
    expect(world.beat("m1", old, TopicPartitions=(0, 1)), (old, None))
    expect(world.beat("m1", old, TopicPartitions=tuple(kept)), (old + 1, None))
    broker.restart()
    world.connection = Connection(broker.port)
    expect(world.beat("m2", old + 1), (old + 1, [1 - kept[0]]))


UNSUPPORTED_VERSION, NOBODY = 35, {"MemberEpoch": 0, "HeartbeatIntervalMs": 0}


def check_protocols_off(port):
    """A server for classic groups only: members of the other kinds are refused, whoever they are, but for share groups."""
    world = World(port, "off")
    beat = dict(GroupId=world.group, MemberId="m", MemberEpoch=0, RebalanceTimeoutMs=1000)
    refused = [world.call("ConsumerGroupHeartbeat", version, SubscribedTopicNames=[world.topic], TopicPartitions=[], **{**beat, **more})
               for version in (0, 1) for more in ({}, {"GroupId": ""}, {"MemberEpoch": 7})]
    refused.append(world.call("StreamsGroupHeartbeat", 0, ProcessId="p", ClientTags=[], ActiveTasks=[], StandbyTasks=[], WarmupTasks=[],
                              Topology={"Epoch": 0, "Subtopologies": []}, **beat))
    for answer in refused:
        assert answer["ErrorCode"] == UNSUPPORTED_VERSION and answer["ErrorMessage"] is None and NOBODY.items() <= answer.items(), answer
    for name in ("ConsumerGroupDescribe", "StreamsGroupDescribe"):
        groups = world.call(name, 0, GroupIds=[world.group, ""])["Groups"]
        expect([(row["GroupId"], row["ErrorCode"], row["ErrorMessage"]) for row in groups],
               [(world.group, UNSUPPORTED_VERSION, None), ("", UNSUPPORTED_VERSION, None)])
    told = world.call("ApiVersions", 4, ClientSoftwareName="a", ClientSoftwareVersion="b")
    assert {68, 69, 76, 77, 88, 89} <= {row["ApiKey"] for row in told["ApiKeys"]}
    assert {"group.version", "streams.version"} <= {row["Name"] for row in told["FinalizedFeatures"]}
    row = world.call("DescribeConfigs", 4, Resources=[{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": [PROTOCOLS]}],
                     IncludeSynonyms=True)["Results"][0]["Configs"][0]
    expect((row["Value"], row["ConfigType"], [chain["Value"] for chain in row["Synonyms"]]), ("classic", 7, ["classic", "classic,consumer,streams"]))
    world.wait("ShareGroupHeartbeat", 1, lambda res: res["ErrorCode"] == 0, GroupId=f"share-{RUN}", MemberId="AAAAAAAAQACAAAAAAAAAAQ",
               MemberEpoch=0, SubscribedTopicNames=[world.topic])
    joined = world.call("JoinGroup", 9, GroupId=world.group, SessionTimeoutMs=10000, RebalanceTimeoutMs=10000, MemberId="",
                        ProtocolType="consumer", Protocols=[{"Name": "range", "Metadata": b""}])
    expect(joined["ErrorCode"], 79)  # the member has an id now, and may come


def main():
    if "KAFKA_PORT" in os.environ:
        sys.exit(run(int(os.environ["KAFKA_PORT"])))
    with Broker("group.consumer.min.heartbeat.interval.ms=1000", "group.consumer.heartbeat.interval.ms=1000",
                "group.consumer.min.session.timeout.ms=2000", "group.consumer.session.timeout.ms=2000") as broker:
        check_silent_member(broker)
    with Broker(f"{PROTOCOLS}=classic") as broker:
        check_protocols_off(broker.port)
    with Broker() as broker:
        check_unfinished_rebalance(broker)
        if run(broker.port):
            broker.fail("answers differ")
    passed("group protocol", f"{len(CHECKS)} conversations, a silent member, a rebalance over kills, protocols that are off")


main()
