#!/usr/bin/env python3
"""Raw requests of streams groups (KIP-1071): what is answered to the letter, of joining, topologies, internal topics, tasks that move,
standbys, endpoints, statuses, offsets, describing. Runs the same against Apache Kafka, which is where the expected values were seen:
KAFKA_PORT=9092 test/peer/test_streams_protocol.py, with group.streams.min.session.timeout.ms=1000.
"""
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection  # noqa: E402

RUN = uuid.uuid4().hex[:8]  # names of this run: a Kafka may be used more than once
UNKNOWN_MEMBER, INVALID_REQUEST, NOT_EMPTY, NOT_FOUND, SUBSCRIBED, FENCED, STALE, NO_TOPOLOGY = 25, 42, 68, 69, 86, 110, 113, 130
STALE_TOPOLOGY, NO_SOURCES, WRONG_PARTITIONS, NO_INTERNAL, SHUTDOWN, DELAYED = range(6)
AT_ONCE = {"streams.initial.rebalance.delay.ms": "0", "streams.assignment.interval.ms": "0"}


def infos(topics):
    return [{"Name": name, "Partitions": count, "ReplicationFactor": 1, "TopicConfigs": [{"Key": k, "Value": v} for k, v in configs]}
            for name, count, *configs in topics]


def sub(number, sources=(), reps=(), stores=(), sinks=(), copartition=()):
    """A subtopology; reps and stores are (name, partitions, (config, value)...); copartition: (sources, reps) by place."""
    return {"SubtopologyId": str(number), "SourceTopics": list(sources), "SourceTopicRegex": [], "StateChangelogTopics": infos(stores),
            "RepartitionSinkTopics": list(sinks), "RepartitionSourceTopics": infos(reps),
            "CopartitionGroups": [{"SourceTopics": list(s), "SourceTopicRegex": [], "RepartitionSourceTopics": list(r)} for s, r in copartition]}


def tasks(rows):
    """0:[0, 1] as ["0_0", "0_1"]; None stays."""
    return rows and sorted(f"{row['SubtopologyId']}_{p}" for row in rows for p in row["Partitions"]) if rows is not None else None


def ids(names):
    return [{"SubtopologyId": name.split("_")[0], "Partitions": [int(name.split("_")[1])]} for name in names]


class Group:
    """An application of its own name; `configs` are the group's."""

    def __init__(self, port, name, configs=AT_ONCE):
        self.connection, self.name = Connection(port), f"{name}-{RUN}"
        self.wait("FindCoordinator", 4, lambda res: res["Coordinators"][0]["ErrorCode"] == 0, CoordinatorKeys=[self.name])
        for key, value in configs.items():
            assert self.configure(key, value) == 0, (key, value)
        self.wait("DescribeConfigs", 4, lambda res: dict((c["Name"], c["Value"]) for c in res["Results"][0]["Configs"]).items() >= configs.items(),
                  Resources=[{"ResourceType": 32, "ResourceName": self.name, "ConfigurationKeys": None}])

    def call(self, name, version, **values):
        return call(self.connection, name, version, **values)

    def wait(self, name, version, good, **values):
        end = time.monotonic() + 30
        while not good(answer := self.call(name, version, **values)):
            assert time.monotonic() < end, (name, answer)
            time.sleep(0.1)
        return answer

    def configure(self, name, value):
        return self.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": 32, "ResourceName": self.name, "Configs": [
            {"Name": name, "ConfigOperation": 0, "Value": value}]}], ValidateOnly=False)["Responses"][0]["ErrorCode"]

    def topic(self, name, partitions):
        name = f"{name}-{RUN}"
        made = self.call("CreateTopics", 7, Topics=[{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}], timeoutMs=10000)
        assert made["Topics"][0]["ErrorCode"] == 0, made
        self.wait("Metadata", 12, lambda res: res["Topics"][0]["ErrorCode"] == 0, Topics=[{"TopicId": bytes(16), "Name": name}])
        # The coordinator of an Apache Kafka may learn of it later: another group sees it first.
        self.wait("StreamsGroupHeartbeat", 0, lambda res: NO_SOURCES not in [s["StatusCode"] for s in res["Status"]], GroupId=f"see-{name}",
                  MemberId="m", MemberEpoch=0, RebalanceTimeoutMs=5000, ProcessId="p", ClientTags=[], ActiveTasks=[], StandbyTasks=[],
                  WarmupTasks=[], Topology={"Epoch": 0, "Subtopologies": [sub(0, [name])]})
        return name

    def beat(self, member, epoch, *subs, owned=None, topology_epoch=0, **more):
        """A heartbeat; with epoch 0 it joins with the subtopologies. `owned`: (active, standby) tasks."""
        values = {"GroupId": self.name, "MemberId": member, "MemberEpoch": epoch, "EndpointInformationEpoch": -1}
        if epoch == 0:
            values.update(RebalanceTimeoutMs=5000, ProcessId=f"process-{member}", ClientTags=[],
                          Topology={"Epoch": topology_epoch, "Subtopologies": list(subs)})
            owned = ((), ())
        if owned is not None:
            values.update(ActiveTasks=ids(owned[0]), StandbyTasks=ids(owned[1]), WarmupTasks=[])
        return self.call("StreamsGroupHeartbeat", 0, **{**values, **more})

    def told(self, *arguments, **more):
        """(epoch, active, standby, statuses); the error when there is one."""
        res = self.beat(*arguments, **more)
        return res["ErrorCode"] or (res["MemberEpoch"], tasks(res["ActiveTasks"]), tasks(res["StandbyTasks"]),
                                    [status["StatusCode"] for status in res["Status"]])

    def describe(self):
        return self.call("StreamsGroupDescribe", 0, GroupIds=[self.name])["Groups"][0]

    def state(self):
        group = self.describe()
        return group["GroupState"], group["GroupEpoch"], group["AssignmentEpoch"]


def check(got, wanted):
    assert got == wanted, f"wanted {wanted}, got {got}"


def tasks_move(port):
    group = Group(port, "moves")
    topic = group.topic("in", 2)
    app = sub(0, [topic])
    check(group.told("m1", 0, app), (2, ["0_0", "0_1"], [], []))
    check(group.state(), ("Stable", 2, 2))
    check(group.told("m1", 2), (2, None, None, []))
    check(group.told("m2", 0, app), (3, [], [], []))
    check(group.state(), ("Reconciling", 3, 3))
    check(group.told("m1", 2), (2, ["0_0"], [], []))
    check(group.told("m2", 3), (3, None, None, []))
    check(group.told("m1", 2, owned=(["0_0"], [])), (3, None, None, []))
    check(group.told("m2", 3), (3, ["0_1"], [], []))
    check(group.state(), ("Stable", 3, 3))
    check(group.told("m2", -1), (-1, None, None, []))
    check(group.state(), ("Assigning", 4, 3))
    check(group.told("m1", 3), (4, ["0_0", "0_1"], [], []))
    check(group.told("m1", -1), (-1, None, None, []))
    check(group.state(), ("Empty", 5, 4))


def delays(port):
    group = Group(port, "delays", {"streams.initial.rebalance.delay.ms": "1000", "streams.assignment.interval.ms": "1000"})
    app = sub(0, [group.topic("delayed", 2)])
    check(group.told("m1", 0, app), (1, [], [], [DELAYED]))
    check(group.state(), ("Assigning", 2, 1))
    check(group.told("m1", 1), (1, None, None, [DELAYED]))
    end = time.monotonic() + 30
    while (got := group.told("m1", 1))[3] == [DELAYED]:
        assert time.monotonic() < end, got
        time.sleep(0.1)
    check(got, (2, ["0_0", "0_1"], [], []))
    check(group.told("m2", 0, app), (2, [], [], [DELAYED]))


def interval_of_the_server(port):
    """The time between assignments of groups that have none of their own may change while members wait for it."""
    group = Group(port, "live", {"streams.initial.rebalance.delay.ms": "0"})
    app = sub(0, [group.topic("live-in", 2)])

    def change(operation, value=None):
        row = {"Name": "group.streams.assignment.interval.ms", "ConfigOperation": operation, "Value": value}
        return group.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": 4, "ResourceName": "", "Configs": [row]}],
                          ValidateOnly=False)["Responses"][0]["ErrorCode"]

    check([change(0, value) for value in ("-1", "15001", "x", "15000")], [42, 42, 42, 0])
    check(group.told("m1", 0, app), (2, ["0_0", "0_1"], [], []))
    check(group.told("m2", 0, app), (2, [], [], [DELAYED]))
    check(change(0, "0"), 0)
    end = time.monotonic() + 30
    while (got := group.told("m2", 2))[3] == [DELAYED]:
        assert time.monotonic() < end, got
    check(got, (3, None, None, []))
    check(change(1), 0)


def topics(port):
    group = Group(port, "topics")
    app = [sub(0, [f"one-{RUN}", f"two-{RUN}"])]
    res = group.beat("m1", 0, *app)
    check([(s["StatusCode"], s["StatusDetail"]) for s in res["Status"]], [(NO_SOURCES, f"Source topics one-{RUN}, two-{RUN} are missing.")])
    check(group.state()[0], "NotReady")
    group.topic("one", 2)
    group.topic("two", 3)
    end = time.monotonic() + 30
    while (got := group.told("m1", group.describe()["Members"][0]["MemberEpoch"]))[3]:
        assert time.monotonic() < end, got
    check(got[1], ["0_0", "0_1", "0_2"])


def internal_topics(port):
    group = Group(port, "internal")
    topic = group.topic("source", 2)
    rep, fixed, store = (f"{group.name}-{word}" for word in ("rep-repartition", "fixed-repartition", "store-changelog"))
    app = [sub(0, [topic], sinks=[rep, fixed]),
           sub(1, reps=[(rep, 0, ("cleanup.policy", "delete"), ("retention.ms", "-1"))], stores=[(store, 0, ("cleanup.policy", "compact"))]),
           sub(2, reps=[(fixed, 5)])]
    res = group.beat("m1", 0, *app)
    check([s["StatusCode"] for s in res["Status"]], [NO_INTERNAL])
    assert res["Status"][0]["StatusDetail"].startswith("Internal topics are missing: "), res
    end = time.monotonic() + 30
    while (got := group.told("m1", group.describe()["Members"][0]["MemberEpoch"]))[3]:
        assert time.monotonic() < end, got
        time.sleep(0.1)
    check(got[1], ["0_0", "0_1", "1_0", "1_1", "2_0", "2_1", "2_2", "2_3", "2_4"])
    shown = {row["SubtopologyId"]: row for row in group.describe()["Topology"]["Subtopologies"]}
    check([(t["Name"], t["Partitions"], t["ReplicationFactor"]) for t in shown["1"]["RepartitionSourceTopics"]], [(rep, 2, 1)])
    check([(t["Name"], t["Partitions"], t["ReplicationFactor"]) for t in shown["1"]["StateChangelogTopics"]], [(store, 2, 1)])
    check([t["Partitions"] for t in shown["2"]["RepartitionSourceTopics"]], [5])
    check(shown["0"]["RepartitionSinkTopics"], sorted([rep, fixed]))
    configs = group.call("DescribeConfigs", 4, Resources=[{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": [
        "cleanup.policy", "retention.ms"]} for name in (rep, store)])["Results"]
    values = [{c["Name"]: c["Value"] for c in row["Configs"]} for row in configs]
    check((values[0], values[1]["cleanup.policy"]), ({"cleanup.policy": "delete", "retention.ms": "-1"}, "compact"))


def copartitioning(port):
    def refused(name, *subs):
        res = Group(port, name).beat("m1", 0, *subs)
        return res["ErrorCode"] or [(s["StatusCode"], s["StatusDetail"].replace(f"-{RUN}", "")) for s in res["Status"]]

    maker = Group(port, "maker")
    two, three = maker.topic("two-parts", 2), maker.topic("three-parts", 3)
    rep = f"rep-{RUN}"
    check(refused("differ", sub(0, [two, three], copartition=[([0, 1], [])])),
          [(WRONG_PARTITIONS, "Following topics do not have the same number of partitions: [{three-parts=3, two-parts=2}]")])
    check(refused("fixed", sub(0, [three], sinks=[rep]), sub(1, [two], reps=[(rep, 7)], copartition=[([0], [0])])),
          [(WRONG_PARTITIONS, "Number of partitions [7] of repartition topic [rep] doesn't match number of partitions [2] of the source topic.")])
    check(refused("exists", sub(0, [two], stores=[(three, 0)])),
          [(WRONG_PARTITIONS, "Existing topic three-parts has different number of partitions: expected 2, found 3")])
    check(refused("loop", sub(0, reps=[(f"x-{RUN}", 0)], sinks=[f"y-{RUN}"]), sub(1, reps=[(f"y-{RUN}", 0)], sinks=[f"x-{RUN}"])), NO_TOPOLOGY)
    check(refused("nosink", sub(0, [two]), sub(1, reps=[(f"z-{RUN}", 0)])), NO_TOPOLOGY)
    check(refused("noinput", sub(0, stores=[(f"c-{RUN}", 0)])), NO_TOPOLOGY)
    check(refused("store", sub(0, [two], stores=[(f"c-{RUN}", 3)])), NO_TOPOLOGY)
    check(refused("offsets", sub(0, ["__consumer_offsets"])), NO_TOPOLOGY)
    check(refused("name", sub(0, ["no name"])), NO_TOPOLOGY)


def endpoints(res):
    return res["EndpointInformationEpoch"], sorted(
        (row["UserEndpoint"]["Host"], row["UserEndpoint"]["Port"],
         sorted((t["Topic"].split("-")[0], p) for t in row["ActivePartitions"] for p in t["Partitions"]),
         sorted((t["Topic"].split("-")[0], p) for t in row["StandbyPartitions"] for p in t["Partitions"]))
        for row in res["PartitionsByUserEndpoint"] or [])


def standbys_and_endpoints(port):
    group = Group(port, "standby", {**AT_ONCE, "streams.num.standby.replicas": "1"})
    topic, store = group.topic("table", 2), group.topic("store", 2)
    app = sub(0, [topic], stores=[(store, 0)])
    one, two = ({"Host": host, "Port": port} for host, port in (("h1", 8081), ("h2", 8082)))
    res = group.beat("m1", 0, app, UserEndpoint=one)
    check((tasks(res["ActiveTasks"]), tasks(res["StandbyTasks"])), (["0_0", "0_1"], []))
    check(endpoints(res), (0, [("h1", 8081, [("table", 0), ("table", 1)], [])]))
    res = group.beat("m2", 0, app, UserEndpoint=two)
    check((res["MemberEpoch"], tasks(res["ActiveTasks"]), tasks(res["StandbyTasks"])), (3, [], ["0_0"]))
    check(group.told("m1", 2), (2, ["0_0"], [], []))
    group.beat("m1", 2, owned=(["0_0"], []))
    group.beat("m2", 3)
    group.beat("m1", 3)
    members = {m["MemberId"]: m for m in group.describe()["Members"]}
    for which in ("Assignment", "TargetAssignment"):
        check([(tasks(members[m][which]["ActiveTasks"]), tasks(members[m][which]["StandbyTasks"])) for m in ("m1", "m2")],
              [(["0_0"], ["0_1"]), (["0_1"], ["0_0"])])
    check(members["m2"]["UserEndpoint"], two)
    res = group.beat("m1", 3)
    check(endpoints(res)[1], [("h1", 8081, [("table", 0)], [("table", 1)]), ("h2", 8082, [("table", 1)], [("table", 0)])])
    res = group.beat("m1", 3, EndpointInformationEpoch=res["EndpointInformationEpoch"])
    check(res["PartitionsByUserEndpoint"], None)


def refusals(port):
    group = Group(port, "refused")
    topic = group.topic("refused-in", 1)
    app = sub(0, [topic])

    def why(*arguments, **more):
        res = group.beat(*arguments, **more)
        return res["ErrorCode"], res["ErrorMessage"].replace(f"-{RUN}", "")

    check(why("m1", 1), (NOT_FOUND, "Streams group refused not found."))
    check(why("m1", -1), (NOT_FOUND, "Group refused not found."))
    check(group.told("m1", 0, app), (2, ["0_0"], [], []))
    check(why("m2", 0, app, InstanceId="i"), (INVALID_REQUEST, "Static membership is not yet supported."))
    check(why("m2", 0, {**app, "SourceTopicRegex": ["a.*"]}), (INVALID_REQUEST, "Regular expressions for source topics are not supported yet."))
    check(why("m1", 2, TaskOffsets=[]), (INVALID_REQUEST, "TaskOffsets are not supported yet."))
    check(why("m1", 2, ActiveTasks=[]), (INVALID_REQUEST, "If one task-type is non-null, all must be non-null."))
    check(why("", 0, app), (INVALID_REQUEST, "MemberId can't be empty."))
    check(why("m2", 0, app, Topology=None), (INVALID_REQUEST, "Topology must be non-null when (re-)joining."))
    check(why("m2", 0, app, RebalanceTimeoutMs=-1), (INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request."))
    check(why("m1", 2, Topology={"Epoch": 0, "Subtopologies": [app]}), (INVALID_REQUEST, "Topology can only be provided when (re-)joining."))
    check(why("m2", 0, app, sub(1, [topic])), (INVALID_REQUEST, "Topology updates are not supported yet."))
    check(why("m1", 2, owned=(["0_7"], [])), (INVALID_REQUEST, "Task 7 for subtopology 0 is invalid. Number of tasks for this subtopology: 1"))
    check(why("m1", 2, owned=(["9_0"], [])), (INVALID_REQUEST, "Subtopology 9 does not exist in the topology."))
    check(why("mx", 2), (UNKNOWN_MEMBER, "Member mx is not a member of group refused."))
    fenced = ("The streams group member has a {} member epoch ({}) than the one known by the group coordinator (2). The member must abandon "
              "all its partitions and rejoin.")
    check(why("m1", 3), (FENCED, fenced.format("greater", 3)))
    check(why("m1", 1), (FENCED, fenced.format("smaller", 1)))
    check(group.told("m1", 2, ShutdownApplication=True), (2, None, None, [SHUTDOWN]))
    check(group.told("m2", 0, app)[3], [SHUTDOWN])


def old_topology(port):
    group = Group(port, "older")
    app = sub(0, [group.topic("older-in", 1)])
    check(group.told("m1", 0, app, topology_epoch=3)[0], 2)
    check(group.told("m2", 0, app, topology_epoch=2), (3, [], [], [STALE_TOPOLOGY]))


def sessions(port):
    group = Group(port, "sessions", {**AT_ONCE, "streams.heartbeat.interval.ms": "200", "streams.session.timeout.ms": "1000"})
    check(group.beat("m1", 0, sub(0, [group.topic("sessions-in", 1)]))["HeartbeatIntervalMs"], 200)
    group.wait("StreamsGroupDescribe", 0, lambda res: res["Groups"][0]["GroupState"] == "Empty", GroupIds=[group.name])


def commit(group, member, epoch, topic, version=9):
    return group.call("OffsetCommit", version, GroupId=group.name, GenerationIdOrMemberEpoch=epoch, MemberId=member, Topics=[
        {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}]}
    ])["Topics"][0]["Partitions"][0]["ErrorCode"]


def offsets_and_others(port):
    group = Group(port, "offsets")
    topic, other = group.topic("offsets-in", 2), group.topic("other", 1)
    app = sub(0, [topic])
    group.beat("m1", 0, app)
    group.beat("m2", 0, app)
    group.beat("m1", 2)
    group.beat("m1", 2, owned=(["0_0"], []))
    check(group.told("m2", 3), (3, ["0_1"], [], []))
    check([commit(group, "m1", epoch, topic) for epoch in (3, 2, 1, 4)], [0, 0, STALE, STALE])
    check(commit(group, "m1", 2, other), STALE)
    check([commit(group, member, epoch, topic) for member, epoch in (("mx", 3), ("", -1))], [UNKNOWN_MEMBER] * 2)
    check(commit(group, "m1", 3, topic, version=8), 35)
    fetched = [group.call("OffsetFetch", 9, Groups=[{"GroupId": group.name, "MemberId": member, "MemberEpoch": epoch, "Topics": None}],
                          RequireStable=False)["Groups"][0]["ErrorCode"] for member, epoch in (("m1", 3), ("m1", 2), ("mx", 3), (None, -1))]
    check(fetched, [0, STALE, UNKNOWN_MEMBER, 0])
    deleted = group.call("OffsetDelete", 0, GroupId=group.name, Topics=[{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}])
    check(deleted["Topics"][0]["Partitions"][0]["ErrorCode"], SUBSCRIBED)
    joined = group.call("JoinGroup", 5, GroupId=group.name, SessionTimeoutMs=10000, RebalanceTimeoutMs=10000, MemberId="", ProtocolType="consumer",
                        Protocols=[{"Name": "range", "Metadata": b""}])
    check((joined["ErrorCode"], joined["MemberId"]), (23, ""))
    shown = group.call("DescribeGroups", 6, Groups=[group.name])["Groups"][0]
    check((shown["ErrorCode"], shown["GroupState"]), (NOT_FOUND, "Dead"))
    listed = [g for g in group.call("ListGroups", 5, TypesFilter=["streams"])["Groups"] if g["GroupId"] == group.name]
    check([(g["ProtocolType"], g["GroupState"], g["GroupType"]) for g in listed], [("streams", "Stable", "streams")])
    check(group.call("DeleteGroups", 2, GroupsNames=[group.name])["Results"][0]["ErrorCode"], NOT_EMPTY)
    group.beat("m1", -1)
    group.beat("m2", -1)
    check(commit(group, "", -1, topic), 0)
    check(group.call("DeleteGroups", 2, GroupsNames=[group.name])["Results"][0]["ErrorCode"], 0)
    check(group.describe()["ErrorCode"], NOT_FOUND)
    check([group.configure(name, value) for name, value in (("streams.num.standby.replicas", "3"), ("streams.session.timeout.ms", "70000"),
                                                            ("streams.assignment.interval.ms", "15001"), ("streams.assignor.name", "sticky"))], [40] * 4)


def over_kills(broker):
    """Every answer that was given is kept: the next one goes on from there."""
    group = Group(broker.port, "kills", {**AT_ONCE, "streams.num.standby.replicas": "1"})
    app = sub(0, [group.topic("kills-in", 2)], stores=[(group.topic("kills-store", 2), 0)])
    steps = [lambda g: check(g.told("m1", 0, app), (2, ["0_0", "0_1"], [], [])),
             lambda g: check(g.told("m2", 0, app), (3, [], ["0_0"], [])),
             lambda g: check(g.told("m1", 2), (2, ["0_0"], [], [])),
             lambda g: check(g.told("m1", 2, owned=(["0_0"], [])), (3, ["0_0"], ["0_1"], [])),
             lambda g: check(g.told("m2", 3), (3, ["0_1"], ["0_0"], [])),
             lambda g: check(g.state(), ("Stable", 3, 3)),
             lambda g: check(g.told("m1", -1), (-1, None, None, []))]
    for step in steps:
        step(group)
        broker.restart(pause=0)
        group.connection = Connection(broker.port)
    check(group.told("m2", 3), (3, ["0_1"], [], []))  # what changes its role is given up first
    check(group.told("m2", 3, owned=(["0_1"], [])), (4, ["0_0", "0_1"], [], []))


def command_line(broker):
    """`rialto group` shows streams groups, `rialto dump group` their records."""
    program = Path(broker.program).parent / "rialto"

    def say(*words):
        return subprocess.run([str(program), *words], capture_output=True, text=True, check=True).stdout
    group = Group(broker.port, "shown")
    group.beat("m1", 0, sub(0, [group.topic("shown-in", 1)]))
    shown = json.loads(say("group", "describe", group.name, "--brokers", broker.address, "--json"))
    check((shown["state"], [member["member"] for member in shown["members"]]), ("Stable", ["m1"]))
    listed = [row for row in say("group", "list", "--brokers", broker.address).splitlines() if group.name in row]
    check([row.split()[1:4] for row in listed], [["streams", "Stable", "1"]])
    broker.stop()
    kept = say("dump", "group", os.path.join(broker.directory, "data", "log", "__consumer_offsets-0"))
    for name in ("Metadata", "MemberMetadata", "TargetAssignmentMetadata", "TargetAssignmentMember", "CurrentMemberAssignment", "Topology"):
        assert f"StreamsGroup{name}" in kept, f"no StreamsGroup{name} in the dump"


CASES = [tasks_move, delays, interval_of_the_server, topics, internal_topics, copartitioning, standbys_and_endpoints, refusals, old_topology, sessions, offsets_and_others]


def main():
    port = os.environ.get("KAFKA_PORT")
    if port:
        for case in CASES:
            case(int(port))
        passed("streams_protocol", f"{len(CASES)} cases, of a broker that was running")
        return
    with Broker("group.streams.min.session.timeout.ms=1000", "group.streams.min.heartbeat.interval.ms=100") as broker:
        for case in CASES:
            case(broker.port)
        if os.path.basename(broker.program) != "kafka_broker":
            over_kills(broker)
            command_line(broker)
    passed("streams_protocol", f"{len(CASES)} cases")


main()
