#!/usr/bin/env python3
"""Configs and the small admin APIs, request by request: codes and values as Apache Kafka 4.3 answers them, and what a single
node refuses. Everything that is set is in force at once and after a restart."""
import re
import sys
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection, batch, fetch, produce  # noqa: E402

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)


def create(client, name, partitions=1, version=7, validate=False, **more):
    values = dict(Name=name, NumPartitions=partitions, ReplicationFactor=1, **more)
    return call(client, "CreateTopics", version, Topics=[values], validateOnly=validate)["Topics"][0]


def alter(client, kind, name, *operations, version=1, validate=False):
    """The error code of one IncrementalAlterConfigs."""
    configs = [dict(Name=key, ConfigOperation=operation, Value=value) for key, operation, value in operations]
    resources = [dict(ResourceType=kind, ResourceName=name, Configs=configs)]
    answer = call(client, "IncrementalAlterConfigs", version, Resources=resources, ValidateOnly=validate)["Responses"][0]
    assert (answer["ErrorMessage"] is None) == (answer["ErrorCode"] == 0), answer
    assert (answer["ResourceType"], answer["ResourceName"]) == (kind, name)
    return answer["ErrorCode"]


def describe(client, kind, name, keys=None, version=4):
    """(error code, {config: row})"""
    values = {} if version < 3 else {"IncludeDocumentation": True}
    resources = [dict(ResourceType=kind, ResourceName=name, ConfigurationKeys=keys)]
    result = call(client, "DescribeConfigs", version, Resources=resources, IncludeSynonyms=True, **values)["Results"][0]
    rows = {row["Name"]: row for row in result["Configs"]}
    assert len(rows) == len(result["Configs"])
    return result["ErrorCode"], rows


def value(client, kind, name, key):
    return describe(client, kind, name, [key])[1][key]["Value"]


def chain(row):
    return [(synonym["Name"], synonym["Value"], synonym["Source"]) for synonym in row["Synonyms"]]


def check_topic_configs(broker):
    with Connection(broker.port) as client:
        for version in range(2, 8):
            assert create(client, f"v{version}", version=version)["ErrorCode"] == 0
        for version in range(1, 5):
            error, rows = describe(client, TOPIC, "v7", version=version)
            assert error == 0 and len(rows) == 33
        row = rows["retention.ms"]
        assert (row["Value"], row["ConfigSource"], row["ConfigType"], row["ReadOnly"]) == ("604800000", 5, 5, False)
        assert all(row["Documentation"] and not row["IsSensitive"] for row in rows.values())
        assert describe(client, TOPIC, "v7", [])[1].keys() == rows.keys()  # an empty list is all, as old clients send it
        assert list(describe(client, TOPIC, "v7", ["retention.ms", "nothing"])[1]) == ["retention.ms"]
        assert describe(client, TOPIC, "nowhere")[0] == 3 and describe(client, TOPIC, "a b")[0] == 17
        cases = [
            ([("retention.ms", SET, "5000")], 0), ([("nothing", SET, "1")], 40), ([("retention.ms", SET, "x")], 40),
            ([("retention.ms", SET, "-2")], 40), ([("retention.ms", SET, None)], 42), ([("retention.ms", APPEND, "5")], 40),
            ([("retention.ms", SET, "1"), ("retention.ms", SET, "2")], 42), ([("retention.ms", 9, "1")], 42),
            ([("retention.ms", SET, "7"), ("segment.ms", SET, "x")], 40), ([("segment.ms", DELETE, None)], 0),
            ([("unclean.leader.election.enable", SET, "true")], 40), ([("min.insync.replicas", SET, "2")], 40),
            ([("cleanup.policy", SET, "shrink")], 40), ([("min.insync.replicas", SET, "1")], 0),
        ]
        for operations, wanted in cases:
            assert alter(client, TOPIC, "v7", *operations) == wanted, operations
        assert alter(client, TOPIC, "v7", ("retention.ms", SET, "6000"), validate=True) == 0
        assert alter(client, TOPIC, "v7", ("segment.bytes", SET, "5000"), version=0) == 0
        assert value(client, TOPIC, "v7", "retention.ms") == "5000"  # nothing of the refused ones, and not the validated one
        row = describe(client, TOPIC, "v7")[1]["retention.ms"]
        assert chain(row) == [("retention.ms", "5000", 1)], chain(row)  # log.retention.ms has no default
        for operation, words, wanted in ((APPEND, "compact", "delete,compact"), (APPEND, "compact", "delete,compact"),
                                         (SUBTRACT, "delete", "compact")):
            assert alter(client, TOPIC, "v7", ("cleanup.policy", operation, words)) == 0
            assert value(client, TOPIC, "v7", "cleanup.policy") == wanted
        assert alter(client, TOPIC, "nowhere", ("retention.ms", SET, "1")) == 3
        assert alter(client, TOPIC, "", ("retention.ms", SET, "1")) == 42
        assert alter(client, TOPIC, "__consumer_offsets", ("retention.ms", SET, "1")) == 42
        twice = [dict(ResourceType=TOPIC, ResourceName="v7", Configs=[dict(Name="retention.ms", Value="1")])] * 2
        answer = call(client, "IncrementalAlterConfigs", 1, Resources=twice)["Responses"]
        assert [row["ErrorCode"] for row in answer] == [42, 42]
        for version in range(3):  # the old request replaces the whole set
            resources = [dict(ResourceType=TOPIC, ResourceName="v7", Configs=[dict(Name="segment.ms", Value=f"90{version}")])]
            answer = call(client, "AlterConfigs", version, Resources=resources)["Responses"][0]
            assert answer["ErrorCode"] == 0 and value(client, TOPIC, "v7", "segment.ms") == f"90{version}"
        assert value(client, TOPIC, "v7", "retention.ms") == "604800000"
        resources[0]["Configs"][0]["Value"] = None
        assert call(client, "AlterConfigs", 2, Resources=resources)["Responses"][0]["ErrorCode"] == 42


def check_in_force(broker):
    """A changed limit refuses the next batch; so does one that is set for all topics."""
    with Connection(broker.port) as client, Connection(broker.port) as producer:
        create(client, "force")
        assert produce(producer, batch(b"x" * 3000), topic=b"force")[0] == 0
        assert alter(client, TOPIC, "force", ("max.message.bytes", SET, "2000")) == 0
        assert produce(producer, batch(b"x" * 3000), topic=b"force")[0] == 10
        assert alter(client, TOPIC, "force", ("max.message.bytes", DELETE, None)) == 0
        assert produce(producer, batch(b"x" * 3000), topic=b"force")[0] == 0
        assert alter(client, BROKER, "", ("message.max.bytes", SET, "2500")) == 0
        assert produce(producer, batch(b"x" * 3000), topic=b"force")[0] == 10
        assert alter(client, BROKER, "1", ("message.max.bytes", SET, "5000")) == 0  # the node's wins
        assert produce(producer, batch(b"x" * 3000), topic=b"force")[0] == 0
        row = describe(client, TOPIC, "force")[1]["max.message.bytes"]
        assert chain(row) == [("message.max.bytes", "5000", 2), ("message.max.bytes", "2500", 3),
                              ("message.max.bytes", "1048588", 5)], chain(row)
        assert alter(client, BROKER, "1", ("num.partitions", SET, "5")) == 0
        assert create(client, "five", -1)["NumPartitions"] == 5
        assert alter(client, BROKER, "1", ("log.cleanup.policy", SET, "compact")) == 0
        assert value(client, TOPIC, "force", "cleanup.policy") == "compact"
        assert produce(producer, batch(b"no key"), topic=b"force")[0] == 87
        assert alter(client, BROKER, "1", ("log.cleanup.policy", DELETE, None)) == 0

        def attributes():
            """Codec and timestamp type of a batch that is appended now."""
            error, offset = produce(producer, batch(b"x" * 500), topic=b"force")
            assert error == 0
            low = fetch(producer, offset, wait=20000, topic=b"force")[2][22]
            return low & 7, low >> 3 & 1
        assert attributes() == (0, 0)
        assert alter(client, TOPIC, "force", ("compression.type", SET, "gzip"),
                     ("message.timestamp.type", SET, "LogAppendTime")) == 0
        assert attributes() == (1, 1)
        assert alter(client, TOPIC, "force", ("compression.type", DELETE, None),
                     ("message.timestamp.type", DELETE, None)) == 0
        assert attributes() == (0, 0)
        assert alter(client, BROKER, "", ("compression.type", SET, "snappy")) == 0
        assert attributes() == (2, 0)
        assert alter(client, BROKER, "", ("compression.type", DELETE, None)) == 0


def check_broker_configs(broker):
    with Connection(broker.port) as client:
        error, rows = describe(client, BROKER, "1")
        assert error == 0
        for name in ("node.id", "broker.id", "log.dirs", "default.replication.factor", "advertised.listeners"):
            assert rows[name]["ReadOnly"], name
        for name in ("delete.topic.enable", "message.max.bytes", "log.retention.ms", "max.connections.per.ip",
                     "log.cleanup.policy"):
            assert not rows[name]["ReadOnly"], name
        assert rows["num.partitions"]["ConfigSource"] == 2 and rows["log.retention.hours"]["Value"] == "168"
        cases = [("log.dirs", "/x", 42), ("durability", "os", 42), ("nothing", "1", 40), ("log.retention.ms", "7d", 42),
                 ("log.retention.ms", "x", 42), ("log.retention.ms", "-5", 42), ("log.retention.ms", "1000000", 0),
                 ("delete.topic.enable", "maybe", 42), ("log.segment.bytes", "1", 42), ("min.insync.replicas", "1", 0),
                 ("min.insync.replicas", "2", 40)]
        for name, text, wanted in cases:
            assert alter(client, BROKER, "1", (name, SET, text)) == wanted, name
        assert alter(client, BROKER, "7", ("log.retention.ms", SET, "1")) == 42
        assert describe(client, BROKER, "7")[0] == 42 and describe(client, BROKER, "x")[0] == 42
        assert alter(client, BROKER, "", ("fetch.max.bytes", SET, "60000000")) == 0
        error, rows = describe(client, BROKER, "")
        assert error == 0 and rows.keys() == {"message.max.bytes", "fetch.max.bytes"}, rows.keys()
        assert alter(client, BROKER, "1", ("delete.topic.enable", SET, "false")) == 0
        create(client, "kept")
        assert call(client, "DeleteTopics", 6, Topics=[dict(Name="kept")])["Responses"][0]["ErrorCode"] == 73
        assert alter(client, BROKER, "1", ("delete.topic.enable", DELETE, None)) == 0
        assert call(client, "DeleteTopics", 6, Topics=[dict(Name="kept")])["Responses"][0]["ErrorCode"] == 0


def other_value(row):
    """Another number, truth or word for a config, that a broker might take."""
    words = {"log.cleanup.policy": "compact", "compression.type": "zstd", "log.message.timestamp.type": "LogAppendTime",
             "compression.gzip.level": "5",
             # null by default
             "log.flush.interval.ms": "1000", "log.retention.ms": "1234567", "log.roll.jitter.ms": "5", "log.roll.ms": "1234567"}
    now = row["Value"]
    if row["Name"] in words:
        return words[row["Name"]]
    if now in ("true", "false"):
        return "false" if now == "true" else "true"
    if re.fullmatch(r"-?[0-9]+", now or ""):
        return str(int(now) - 1) if int(now) > 1 else str(int(now) + 1)
    return "0.25" if re.fullmatch(r"0\.[0-9]+", now or "") else "word"


def check_every_broker_config(broker):
    """Each config that the broker shows is changed at once and goes back, or is refused as one that cannot be changed: none takes a
    value and keeps the old one."""
    changed = refused = 0
    with Connection(broker.port) as client:
        for name, row in sorted(describe(client, BROKER, "1")[1].items()):
            wanted = other_value(row)
            error = alter(client, BROKER, "1", (name, SET, wanted))
            now = value(client, BROKER, "1", name)
            if error == 0:
                assert not row["ReadOnly"] and now == wanted != row["Value"], (name, row, now)
                back = (name, SET, row["Value"]) if row["ConfigSource"] == 2 else (name, DELETE, None)
                assert alter(client, BROKER, "1", back) == 0
                changed += 1
            else:
                assert error in (40, 42) and now == row["Value"], (name, error, now)
                refused += 1
            assert value(client, BROKER, "1", name) == row["Value"], name
            assert alter(client, BROKER, "1", (name, SET, "no such word")) in (40, 42), name
    assert changed >= 40 and refused >= 30, (changed, refused)


def check_other_resources(broker):
    with Connection(broker.port) as client:
        assert alter(client, LOGGER, "1", ("root", SET, "DEBUG")) == 0
        assert value(client, LOGGER, "1", "root") == "DEBUG"
        assert alter(client, LOGGER, "1", ("root", SET, "info")) == 40 and alter(client, LOGGER, "1", ("root", SET, "INFO")) == 0
        cases = [("1", "root", SET, "loud", 40), ("1", "kafka", SET, "INFO", 40), ("1", "root", APPEND, "INFO", 42),
                 ("1", "root", DELETE, None, 42), ("2", "root", SET, "INFO", 42)]
        for node, name, operation, text, wanted in cases:
            assert alter(client, LOGGER, node, (name, operation, text)) == wanted, (name, text)
        assert describe(client, GROUP, "g")[1]["consumer.session.timeout.ms"]["Value"] == "45000"
        key = "consumer.session.timeout.ms"
        for text, wanted in (("0", 40), ("x", 40), ("44999", 40), ("60001", 40), ("47000", 0)):
            assert alter(client, GROUP, "g", (key, SET, text)) == wanted
        row = describe(client, GROUP, "g")[1][key]
        assert row["ConfigSource"] == 8 and chain(row) == [(key, "47000", 8), ("group." + key, "45000", 5)], row
        for text, wanted in (("4999", 40), ("15001", 40), ("6789", 0)):
            assert alter(client, GROUP, "beating", ("consumer.heartbeat.interval.ms", SET, text)) == wanted
        for group, wanted in (("beating", 6789), ("other", 5000)):  # told to the members at once
            answer = call(client, "ConsumerGroupHeartbeat", 1, GroupId=group, MemberId="m", MemberEpoch=0,
                          RebalanceTimeoutMs=1000, SubscribedTopicNames=["force"], TopicPartitions=[])
            assert answer["ErrorCode"] == 0 and answer["HeartbeatIntervalMs"] == wanted, answer
        assert describe(client, GROUP, "")[0] == 42 and alter(client, GROUP, "", ("x", SET, "1")) == 42
        assert alter(client, GROUP, "g", ("nothing", SET, "1")) == 40
        assert describe(client, METRICS, "m") == (0, {}) and describe(client, METRICS, "")[0] == 42
        assert alter(client, METRICS, "m", ("interval.ms", SET, "1000")) == 42
        assert alter(client, 99, "x", ("a", SET, "1")) == 42 and describe(client, 99, "x")[0] == 42

        def listed(version, kinds=None):
            answer = call(client, "ListConfigResources", version, **({} if kinds is None else {"ResourceTypes": kinds}))
            return answer["ErrorCode"], {(row.get("ResourceType", METRICS), row["ResourceName"])
                                         for row in answer["ConfigResources"]}
        assert listed(0) == (0, set()) and listed(1, [99]) == (35, set())
        assert listed(1, [BROKER, LOGGER]) == (0, {(BROKER, "1"), (LOGGER, "1")})
        assert listed(1, [GROUP]) == (0, {(GROUP, "g"), (GROUP, "beating")})
        assert (TOPIC, "force") in listed(1)[1] and (BROKER, "1") in listed(1)[1]


def check_create_and_grow(broker):
    with Connection(broker.port) as client:
        cases = [
            (dict(name="n1", partitions=0), 37), (dict(name="n1", partitions=-2), 37), (dict(name="n1", partitions=100000), 37),
            (dict(name="a b"), 17), (dict(name=""), 17), (dict(name="."), 17), (dict(name="force"), 36),
            (dict(name="n1", Configs=[dict(Name="nothing", Value="1")]), 40),
            (dict(name="n1", Configs=[dict(Name="retention.ms", Value=None)]), 40),
            (dict(name="n1", Configs=[dict(Name="retention.ms", Value="7")]), 0),
        ]
        for arguments, wanted in cases:
            answer = create(client, **arguments)
            assert answer["ErrorCode"] == wanted, (arguments, answer)
            assert (answer["ErrorMessage"] is None) == (wanted == 0)
        assert len(answer["Configs"]) == 33 and value(client, TOPIC, "n1", "retention.ms") == "7"
        assert create(client, "n2", validate=True)["ErrorCode"] == 0 and describe(client, TOPIC, "n2")[0] == 3

        def assigned(brokers, **more):
            values = dict(Name="n3", NumPartitions=-1, ReplicationFactor=-1,
                          Assignments=[dict(PartitionIndex=index, BrokerIds=ids) for index, ids in brokers]) | more
            return call(client, "CreateTopics", 7, Topics=[values])["Topics"][0]["ErrorCode"]
        assert assigned([(1, [1])]) == 39 and assigned([(0, [5])]) == 39 and assigned([(0, [1])], NumPartitions=1) == 42
        assert assigned([(0, [1]), (1, [1])]) == 0

        def grow(name, count, assignments=None, validate=False):
            topics = [dict(Name=name, Count=count, Assignments=assignments and [dict(BrokerIds=a) for a in assignments])]
            return call(client, "CreatePartitions", 3, Topics=topics, ValidateOnly=validate)["Results"][0]["ErrorCode"]
        assert grow("n3", 2) == 37 and grow("n3", 1) == 37 and grow("n3", -1) == 37 and grow("nowhere", 3) == 3
        assert grow("n3", 3, [[5]]) == 39 and grow("n3", 3, [[1], [1]]) == 39 and grow("n3", 3, [[1, 1]]) == 39
        assert grow("n3", 3, validate=True) == 0 and grow("n3", 3, [[1]]) == 0 and grow("n3", 3) == 37
        both = dict(Name="n3", Count=9, Assignments=None)
        answer = call(client, "CreatePartitions", 3, Topics=[both, both])["Results"]
        assert [row["ErrorCode"] for row in answer] == [42]
        topics = [dict(Name="nowhere"), dict(Name=None, TopicId=b"x" * 16), dict(Name="n3", TopicId=b"x" * 16),
                  dict(Name=None), dict(Name="n3"), dict(Name="n3")]
        answer = call(client, "DeleteTopics", 6, Topics=topics)["Responses"]
        assert [row["ErrorCode"] for row in answer] == [3, 100, 42, 42, 42], answer
        assert call(client, "DeleteTopics", 5, TopicNames=["n3"])["Responses"][0]["ErrorCode"] == 0


def check_replication_factors(broker):
    def make(client, **more):
        return call(client, "CreateTopics", 7, Topics=[dict(Name="rf", NumPartitions=1, **more)])["Topics"][0]
    with Connection(broker.port) as client:
        assert make(client, ReplicationFactor=3)["ErrorCode"] == 38 and make(client, ReplicationFactor=0)["ErrorCode"] == 38
        assert alter(client, BROKER, "1", ("replication.factor.clamp", SET, "true")) == 0
        answer = make(client, ReplicationFactor=3, Configs=[dict(Name="min.insync.replicas", Value="2")])
        assert answer["ErrorCode"] == 0 and answer["ReplicationFactor"] == 1
        assert value(client, TOPIC, "rf", "min.insync.replicas") == "1"  # what is set is what is in force
        assert alter(client, TOPIC, "rf", ("min.insync.replicas", SET, "2")) == 0
        assert value(client, TOPIC, "rf", "min.insync.replicas") == "1"
        for node in ("1", ""):  # the default of topics
            assert alter(client, BROKER, node, ("min.insync.replicas", SET, "2")) == 0
            assert value(client, BROKER, node, "min.insync.replicas") == "1"
            assert alter(client, BROKER, node, ("min.insync.replicas", DELETE, None)) == 0
        assert alter(client, BROKER, "1", ("replication.factor.clamp", DELETE, None)) == 0
        assert alter(client, BROKER, "", ("min.insync.replicas", SET, "2")) == 40


def check_log_dirs(broker):
    with Connection(broker.port) as client:
        for version in range(1, 6):
            answer = call(client, "DescribeLogDirs", version, Topics=None)
            assert answer.get("ErrorCode", 0) == 0 and len(answer["Results"]) == 1
            directory = answer["Results"][0]
            sizes = {topic["Name"]: [part["PartitionSize"] for part in topic["Partitions"]] for topic in directory["Topics"]}
            assert sizes["force"][0] > 6000 and len(sizes["five"]) == 5 and directory["ErrorCode"] == 0
        assert directory["TotalBytes"] >= directory["UsableBytes"] > 0 and directory["LogDir"].endswith("/log")
        topics = [dict(Topic="five", Partitions=[4, 9]), dict(Topic="nowhere", Partitions=[0])]
        found = call(client, "DescribeLogDirs", 4, Topics=topics)["Results"][0]["Topics"]
        assert [(topic["Name"], [part["PartitionIndex"] for part in topic["Partitions"]]) for topic in found] == [("five", [4])]
        assert call(client, "DescribeLogDirs", 4, Topics=[])["Results"][0]["Topics"] == []
        for version in (1, 2):
            for path, wanted in ((directory["LogDir"], [0, 3]), ("/elsewhere", [57, 57])):
                moved = [dict(Path=path, Topics=[dict(Name="force", Partitions=[0, 9])])]
                answer = call(client, "AlterReplicaLogDirs", version, Dirs=moved)["Results"][0]
                assert [part["ErrorCode"] for part in answer["Partitions"]] == wanted


def check_replicas(broker):
    with Connection(broker.port) as client:
        for version in range(3):
            asked = [dict(Topic="force", Partitions=[0, 9]), dict(Topic="nowhere", Partitions=[0])]
            answer = call(client, "ElectLeaders", version, TopicPartitions=asked)
            codes = [part["ErrorCode"] for topic in answer["ReplicaElectionResults"] for part in topic["PartitionResult"]]
            assert answer.get("ErrorCode", 0) == 0 and codes == [84, 3, 3]
            assert call(client, "ElectLeaders", version, TopicPartitions=None)["ReplicaElectionResults"] == []
        assert call(client, "ElectLeaders", 2, ElectionType=5, TopicPartitions=[])["ErrorCode"] == 42

        def reassign(version, topic, part, replicas):
            topics = [dict(Name=topic, Partitions=[dict(PartitionIndex=part, Replicas=replicas)])]
            answer = call(client, "AlterPartitionReassignments", version, Topics=topics)
            assert answer["ErrorCode"] == 0
            return answer["Responses"][0]["Partitions"][0]["ErrorCode"]
        cases = [(0, None, 85), (0, [1], 0), (0, [2], 39), (0, [1, 2], 39), (0, [], 39), (0, [1, 1], 39), (9, [1], 3)]
        for version in (0, 1):
            for part, replicas, wanted in cases:
                assert reassign(version, "force", part, replicas) == wanted, (part, replicas)
            assert reassign(version, "nowhere", 0, [1]) == 3
        for asked in (None, [dict(Name="force", PartitionIndexes=[0])]):
            answer = call(client, "ListPartitionReassignments", 0, Topics=asked)
            assert answer["ErrorCode"] == 0 and answer["Topics"] == []


def check_describe_topic_partitions(broker):
    with Connection(broker.port) as client:
        for name in ("pagea", "pageb", "pagec"):
            create(client, name, 3)

        def page(names, limit=2000, cursor=None):
            cursor = cursor and dict(TopicName=cursor[0], PartitionIndex=cursor[1])
            answer = call(client, "DescribeTopicPartitions", 0, Topics=[dict(Name=name) for name in names],
                          ResponsePartitionLimit=limit, Cursor=cursor)
            following = answer["NextCursor"]
            rows = [(topic["ErrorCode"], topic["Name"], [part["PartitionIndex"] for part in topic["Partitions"]])
                    for topic in answer["Topics"]]
            return rows, following and (following["TopicName"], following["PartitionIndex"])
        a, b, c = ((0, f"page{letter}", [0, 1, 2]) for letter in "abc")
        assert page(["pageb", "pagea", "pageb", "nowhere", "a b"]) == ([(17, "a b", []), (3, "nowhere", []), a, b], None)
        assert page(["pagea", "pageb", "pagec"], 4) == ([a, (0, "pageb", [0])], ("pageb", 1))
        assert page(["pagea", "pageb", "pagec"], 4, ("pageb", 1)) == ([(0, "pageb", [1, 2]), (0, "pagec", [0, 1])],
                                                                     ("pagec", 2))
        assert page(["pagea"], 0) == ([(0, "pagea", [0])], ("pagea", 1)) and page(["pagea"], 3) == ([a], None)
        assert page(["pagea", "pageb"], 3) == ([a], ("pageb", 0))
        assert page(["pagea"], 4, ("pagea", 9)) == ([(0, "pagea", [])], None)
        assert page(["pagea"], 4, ("pagea", 2**31 - 1)) == ([(0, "pagea", [])], None)
        assert page(["pagea"], 4, ("pagea", -1)) == ([(42, "pagea", [])], None)
        seen, cursor = [], None
        while True:  # all topics in small pages: each partition once
            rows, cursor = page([], 2, cursor)
            seen += [(name, part) for _, name, parts in rows for part in parts]
            if cursor is None:
                break
        names = call(client, "Metadata", 12, Topics=None)["Topics"]
        assert sorted(seen) == seen and len(seen) == len(set(seen)) == sum(len(topic["Partitions"]) for topic in names)


def check_cluster(broker):
    with Connection(broker.port) as client:
        asked = [dict(TopicName="__cluster_metadata", Partitions=[dict(PartitionIndex=0), dict(PartitionIndex=1)]),
                 dict(TopicName="force", Partitions=[dict(PartitionIndex=0)])]
        for version in range(3):
            answer = call(client, "DescribeQuorum", version, Topics=asked)
            voter, other = answer["Topics"][0]["Partitions"]
            assert answer["ErrorCode"] == 0 and voter["ErrorCode"] == 0 and voter["LeaderId"] == 1
            assert voter["CurrentVoters"][0]["ReplicaId"] == 1 and voter["HighWatermark"] > 0
            assert other["ErrorCode"] == 3 and answer["Topics"][1]["Partitions"][0]["ErrorCode"] == 3
        assert answer["Nodes"][0]["Listeners"][0]["Port"] == broker.port
        for version in range(3):
            answer = call(client, "DescribeCluster", version, IncludeClusterAuthorizedOperations=True)
            assert answer["Brokers"][0]["Port"] == broker.port and answer["ControllerId"] == 1
            assert answer["ClusterAuthorizedOperations"] == 8096
        assert call(client, "DescribeCluster", 2, EndpointType=2)["ErrorCode"] == 114
        assert call(client, "DescribeCluster", 2, EndpointType=7)["ErrorCode"] == 115
        for version in (3, 4):
            answer = call(client, "ApiVersions", version, ClientSoftwareName="a", ClientSoftwareVersion="1")
            supported = {row["Name"]: (row["MinVersion"], row["MaxVersion"]) for row in answer["SupportedFeatures"]}
            assert supported["metadata.version"] == (7, 30) and answer["FinalizedFeaturesEpoch"] >= 0
            assert version == 4 or all(low > 0 for low, _ in supported.values())
            levels = {row["Name"]: row["MaxVersionLevel"] for row in answer["FinalizedFeatures"]}
        for version in range(3):
            for feature, level, wanted, said in (("metadata.version", levels["metadata.version"], 0, ""), ("metadata.version", 7, 95, "downgrade"),
                                                 ("nothing.version", 1, 95, "does not support this feature"), ("transaction.version", 2, 0, ""),
                                                 ("transaction.version", 3, 95, "Local controller 1 only supports versions 0-2"),
                                                 ("transaction.version", 1, 95, "without setting the upgrade type")):
                updates = [dict(Feature=feature, MaxVersionLevel=level)]
                answer = call(client, "UpdateFeatures", version, FeatureUpdates=updates)
                assert answer["ErrorCode"] == wanted and said in (answer["ErrorMessage"] or ""), (feature, level, answer)
                assert version > 1 or len(answer["Results"]) == (wanted == 0)
        topic = call(client, "Metadata", 10, Topics=[dict(Name="force")], IncludeTopicAuthorizedOperations=True,
                     IncludeClusterAuthorizedOperations=True)
        assert topic["Topics"][0]["TopicAuthorizedOperations"] == 3576 and topic["ClusterAuthorizedOperations"] == 8096


def check_after_restart(broker):
    broker.restart()
    with Connection(broker.port) as client, Connection(broker.port) as producer:
        assert value(client, TOPIC, "v7", "segment.ms") == "902" and value(client, BROKER, "1", "num.partitions") == "5"
        assert value(client, GROUP, "g", "consumer.session.timeout.ms") == "47000"
        assert create(client, "after", -1)["NumPartitions"] == 5
        assert produce(producer, batch(b"x" * 6000), topic=b"after")[0] == 10
        for node in ("", "1"):
            assert alter(client, BROKER, node, ("message.max.bytes", DELETE, None)) == 0
        assert produce(producer, batch(b"x" * 6000), topic=b"after")[0] == 0


def check_connection_limits(broker):
    """More connections from one address than allowed are closed at once, and the log says so once, not once each."""
    with Connection(broker.port) as client:
        assert alter(client, BROKER, "1", ("max.connections.per.ip", SET, "3")) == 0
        others = [Connection(broker.port) for _ in range(2)]
        for _ in range(20):
            with Connection(broker.port) as refused:
                assert refused.closed()
        others[0].socket.close()
        while True:  # the place is free when the broker has noticed
            with Connection(broker.port) as connection:
                try:
                    connection.send(18, 0, b"")
                    if connection.answer():
                        break
                except (EOFError, ConnectionError):
                    pass
        assert alter(client, BROKER, "1", ("max.connections.per.ip", DELETE, None)) == 0
        others[1].socket.close()
    if not 1 <= broker.stderr().count("conn_refused") <= 5:
        broker.fail("refused connections are logged once in a while")


def main():
    with Broker() as broker:
        for check in (check_topic_configs, check_in_force, check_broker_configs, check_every_broker_config,
                      check_other_resources, check_create_and_grow,
                      check_replication_factors, check_log_dirs, check_replicas, check_describe_topic_partitions,
                      check_cluster, check_after_restart, check_connection_limits):
            check(broker)
    passed("admin", "configs and the small admin APIs")


main()
