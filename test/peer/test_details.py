#!/usr/bin/env python3
"""What an Apache Kafka answers to requests that few clients send: names that come twice, ids where names are due, fields that are missing, values at
their bounds. full_differential.py has found these; they hold on an Apache Kafka as well (test/peer/run test/peer/kafka_broker DIRECTORY details).
"""
import struct
import time

from harness import Broker, passed, patient
from kafkaspec import call
from rawkafka import Connection, batch, create_topic, crc32c, produce

STAMP = int(time.time() * 1000) - 60000
MISSING = bytes(15) + b"\7"
ONE = "AAAAAAAAAAAAAAAAAAAAAQ"


def wait_for(connection, wanted, *arguments, **fields):
    """Asks until the answer is as wanted: another broker may know of a change somewhat later."""
    until = time.monotonic() + patient(10)
    answer = call(connection, *arguments, **fields)
    while not wanted(answer) and time.monotonic() < until:
        answer = call(connection, *arguments, **fields)
    assert wanted(answer), answer
    return answer


def make_topic(connection, name, **configs):
    """Its id."""
    assert create_topic(connection, name, **configs) == 0
    answer = wait_for(connection, lambda got: got["Topics"][0]["ErrorCode"] == 0, "Metadata", 12, Topics=[dict(Name=name)], AllowAutoTopicCreation=False)
    asked = [dict(Name=name, Partitions=[dict(PartitionIndex=0, Timestamp=-1)])]
    wait_for(connection, lambda got: got["Topics"][0]["Partitions"][0]["ErrorCode"] == 0, "ListOffsets", 7, ReplicaId=-1, Topics=asked)
    return answer["Topics"][0]["TopicId"]


def check_metadata(connection):
    uuid = make_topic(connection, "met")
    names = [dict(Name="met"), dict(Name="met")]
    assert len(call(connection, "Metadata", 1, Topics=names)["Topics"]) == 1, "a topic is described once"
    for version in (10, 11):  # have the field, but ask for names only
        answer = call(connection, "Metadata", version, Topics=[dict(Name=None, TopicId=uuid)], AllowAutoTopicCreation=False)
        assert answer["Topics"][0]["ErrorCode"] == 42 and answer["Brokers"] == [] and answer["ControllerId"] == -1, answer
    assert call(connection, "Metadata", 12, Topics=[dict(Name=None, TopicId=uuid)])["Topics"][0]["Name"] == "met"
    connection.send(3, 1, struct.pack(">i", -16))  # any negative length is null: all topics
    assert connection.answer()[:4] == b"\0\0\0\1"
    asked = [dict(Name="met")]
    answer = call(connection, "DescribeTopicPartitions", 0, Topics=asked, Cursor=dict(TopicName="other", PartitionIndex=0))
    assert [row["ErrorCode"] for row in answer["Topics"]] == [42], "a cursor stands at a topic that is asked for"


def create(connection, *rows, only=True):
    return call(connection, "CreateTopics", 7, Topics=[dict(dict(NumPartitions=1, ReplicationFactor=1), **row) for row in rows], timeoutMs=10000, validateOnly=only)["Topics"]


def check_create(connection):
    rows = create(connection, dict(Name="twice"), dict(Name="good"), dict(Name="twice"))
    assert {row["Name"]: row["ErrorCode"] for row in rows} == {"twice": 42, "good": 0} and len(rows) == 2, rows
    only = create(connection, dict(Name="only", NumPartitions=3, Configs=[dict(Name="retention.ms", Value="5000")]))[0]
    shown = {config["Name"]: (config["Value"], config["ConfigSource"]) for config in only["Configs"]}
    assert only["TopicId"] != bytes(16) and only["NumPartitions"] == 3 and shown["retention.ms"] == ("5000", 1), only
    for name, value, error in (("cleanup.policy", "", 0), ("retention.ms", " 5 ", 0), ("retention.bytes", "-2", 0), ("retention.ms", "-2", 40)):
        row = create(connection, dict(Name="configured", Configs=[dict(Name=name, Value=value)]))[0]
        assert row["ErrorCode"] == error, (name, value, row)
    lags = [dict(Name="min.compaction.lag.ms", Value="10"), dict(Name="max.compaction.lag.ms", Value="5")]
    assert create(connection, dict(Name="lags", Configs=lags))[0]["ErrorCode"] == 40


def delete(connection, *rows):
    answer = call(connection, "DeleteTopics", 6, Topics=list(rows), TimeoutMs=10000)
    return [(row["Name"], row["TopicId"], row["ErrorCode"], bool(row["ErrorMessage"])) for row in answer["Responses"]]


def check_delete(connection):
    uuid = make_topic(connection, "del")
    assert delete(connection, dict(Name="del"), dict(Name="del")) == [("del", bytes(16), 42, True)]
    assert delete(connection, dict(TopicId=uuid), dict(TopicId=uuid)) == [(None, uuid, 42, True)]
    assert delete(connection, dict(Name="del"), dict(TopicId=uuid)) == [("del", uuid, 42, True)]
    assert delete(connection, dict(TopicId=MISSING)) == [(None, MISSING, 100, True)]
    assert delete(connection, dict(Name="del")) == [("del", uuid, 0, False)]
    assert delete(connection, dict(Name="__cluster_metadata")) == [("__cluster_metadata", bytes(16), 3, True)]
    grown = [dict(Name="grow", Count=2, Assignments=None)] * 2
    results = call(connection, "CreatePartitions", 3, Topics=grown, TimeoutMs=10000)["Results"]
    assert [row["ErrorCode"] for row in results] == [42], results


def changed(form, at, value):
    """A batch with another field; its checksum fits."""
    data = bytearray(batch(timestamp=STAMP))
    struct.pack_into(form, data, at, value)
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    return bytes(data)


def check_produce(connection):
    make_topic(connection, "pro")
    for name, records, error, start in (("length", changed(">i", 8, 40), 2, -1), ("magic", changed(">b", 16, 3), 2, -1), ("base", changed(">q", 0, 5), 87, 0),
                                        ("crc", batch(crc=1, timestamp=STAMP), 2, -1), ("cut", batch(timestamp=STAMP)[:-1], 87, -1)):
        data = [dict(Name="pro", PartitionData=[dict(Index=0, Records=records)])]
        row = call(connection, "Produce", 9, Acks=-1, TimeoutMs=1000, TopicData=data)["Responses"][0]["PartitionResponses"][0]
        assert (row["ErrorCode"], row["LogStartOffset"]) == (error, start), (name, row)


def fetched(connection, topic, epoch=0, **row):
    asked = [dict(Topic=topic, Partitions=[dict(dict(Partition=0, FetchOffset=0, PartitionMaxBytes=1 << 20), **row)])]
    return call(connection, "Fetch", 12, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionEpoch=epoch, Topics=asked)


def check_fetch(connection):
    make_topic(connection, "fet")
    for _ in range(5):
        assert produce(connection, batch(timestamp=STAMP), b"fet")[0] == 0

    def part(**row):
        return fetched(connection, "fet", epoch=-1, **row)["Responses"][0]["Partitions"][0]

    longer = part(FetchOffset=9, LastFetchedEpoch=0)  # the log has less of that epoch: KIP-595
    assert longer["ErrorCode"] == 0 and not longer["Records"] and longer["DivergingEpoch"] == dict(Epoch=0, EndOffset=5), longer
    assert part(LastFetchedEpoch=7)["ErrorCode"] == 1 and part(LastFetchedEpoch=0)["Records"]
    assert fetched(connection, "fet", epoch=-2)["ErrorCode"] == 70, "no session begins with that epoch"
    assert fetched(connection, "fet-none", epoch=-1)["Responses"][0]["Partitions"][0]["AbortedTransactions"] == []
    asked = [dict(Name="fet", Partitions=[dict(PartitionIndex=0, Timestamp=-1, CurrentLeaderEpoch=-2)])]
    assert call(connection, "ListOffsets", 7, ReplicaId=-1, Topics=asked)["Topics"][0]["Partitions"][0]["ErrorCode"] == 74


def check_groups(connection):
    wait_for(connection, lambda got: got["Coordinators"][0]["ErrorCode"] == 0, "FindCoordinator", 4, KeyType=0, CoordinatorKeys=["g"])
    wait_for(connection, lambda got: got["ErrorCode"] == 25, "Heartbeat", 4, GroupId="g", GenerationId=1, MemberId="nobody")
    sync = dict(GroupId="g", GenerationId=1, MemberId="nobody")
    assert call(connection, "SyncGroup", 5, sync)["ErrorCode"] == 23, "version 5 names the protocol"
    assert call(connection, "SyncGroup", 4, sync)["ErrorCode"] == 25
    join = dict(GroupId="g", SessionTimeoutMs=30000, MemberId="nobody", ProtocolType="consumer", Protocols=[dict(Name="range", Metadata=b"")])
    assert [call(connection, "JoinGroup", version, join)["ProtocolName"] for version in (6, 7)] == ["", None]
    given = call(connection, "JoinGroup", 9, dict(join, GroupId="given", MemberId=""))
    assert given["ErrorCode"] == 79 and given["MemberId"], given
    assert call(connection, "DeleteGroups", 2, GroupsNames=["given"])["Results"][0]["ErrorCode"] == 0, "nobody has joined it"
    assert call(connection, "JoinGroup", 9, dict(join, GroupId="given", MemberId=given["MemberId"]))["ErrorCode"] == 25
    for group in ("made", "made2"):
        call(connection, "OffsetCommit", 7, GroupId=group, Topics=[dict(Name="fet", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata="")])])
    assert [row["ErrorCode"] for row in call(connection, "DeleteGroups", 2, GroupsNames=["made", "made"])["Results"]] == [0]
    described = call(connection, "DescribeGroups", 6, Groups=["no-group"], IncludeAuthorizedOperations=True)["Groups"][0]
    assert (described["ErrorCode"], described["AuthorizedOperations"]) == (69, -2147483648), described
    asked = [dict(Name="fet", Partitions=[])]
    assert call(connection, "OffsetDelete", 0, GroupId="made2", Topics=asked)["Topics"] == []


def check_members(connection):
    fields = dict(MemberEpoch=0, SubscribedTopicNames=["fet"])
    consumer = dict(fields, GroupId="con", MemberId=ONE, RebalanceTimeoutMs=1000, TopicPartitions=[])
    for field in ("GroupId", "MemberId", "InstanceId", "RackId"):
        assert call(connection, "ConsumerGroupHeartbeat", 1, dict(consumer, **{field: " "}))["ErrorCode"] == 42, field
    wait_for(connection, lambda got: got["ErrorCode"] == 0, "ConsumerGroupHeartbeat", 1, **consumer)
    member = call(connection, "ConsumerGroupDescribe", 1, GroupIds=["con"])["Groups"][0]["Members"][0]
    assert member["SubscribedTopicRegex"] == "", member
    asked = [dict(Name=name, Partitions=[dict(PartitionIndex=0)]) for name in ("fet", "no-topic")]
    codes = {row["Name"]: row["Partitions"][0]["ErrorCode"] for row in call(connection, "OffsetDelete", 0, GroupId="con", Topics=asked)["Topics"]}
    assert codes == {"fet": 86, "no-topic": 3}, codes
    assert call(connection, "ShareGroupHeartbeat", 1, dict(fields, GroupId="sha", MemberId="x" * 37))["ErrorCode"] == 42
    for name in ("AlterShareGroupOffsets", "DeleteShareGroupOffsets"):
        answer = call(connection, name, 0, GroupId="", Topics=[])
        assert answer["ErrorCode"] == 24 and answer["ErrorMessage"], answer


def check_transactions(connection):
    wait_for(connection, lambda got: got["Coordinators"][0]["ErrorCode"] == 0, "FindCoordinator", 4, KeyType=1, CoordinatorKeys=["txn"])
    wait_for(connection, lambda got: got["ErrorCode"] == 0, "InitProducerId", 4, TransactionalId="txn", TransactionTimeoutMs=60000)
    made = call(connection, "InitProducerId", 4, TransactionalId="txn", TransactionTimeoutMs=60000)
    assert call(connection, "InitProducerId", 4, TransactionalId="txn", TransactionTimeoutMs=60000, ProducerId=-2, ProducerEpoch=-2)["ErrorCode"] == 90
    one = dict(TransactionalId="txn", ProducerId=made["ProducerId"], ProducerEpoch=made["ProducerEpoch"], VerifyOnly=True, Topics=[dict(Name="fet", Partitions=[0, 9])])
    rows = call(connection, "AddPartitionsToTxn", 5, Transactions=[one])["ResultsByTransaction"][0]["TopicResults"][0]["ResultsByPartition"]
    assert {row["PartitionIndex"]: row["PartitionErrorCode"] for row in rows} == {0: 55, 9: 3}, rows
    parts = [dict(PartitionIndex=part, CommittedOffset=1, CommittedMetadata="") for part in (0, 9)]
    rows = call(connection, "TxnOffsetCommit", 5, TransactionalId="no-txn", GroupId="g", ProducerId=7, ProducerEpoch=0, Topics=[dict(Name="fet", Partitions=parts)])["Topics"]
    assert {row["PartitionIndex"]: row["ErrorCode"] for topic in rows for row in topic["Partitions"]} == {0: 49, 9: 3}, rows
    unknown = call(connection, "ListTransactions", 0, StateFilters=["Dead", "PrepareEpochFence", "Nonsense"])["UnknownStateFilters"]
    assert unknown == ["Nonsense"], unknown
    parts = [dict(Name=name, PartitionIndexes=[0]) for name in ("no-topic", "")]
    rows = [(row["Partitions"][0]["ErrorCode"], bool(row["Partitions"][0]["ErrorMessage"])) for row in call(connection, "DescribeProducers", 0, Topics=parts)["Topics"]]
    assert sorted(rows) == [(3, True), (17, True)], rows


def alter(connection, kind, name, *configs, only=False):
    rows = [dict(zip(("Name", "ConfigOperation", "Value"), config)) for config in configs]
    return call(connection, "IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=kind, ResourceName=name, Configs=rows)], ValidateOnly=only)["Responses"][0]["ErrorCode"]


def described(connection, kind, name, *keys):
    asked = [dict(ResourceType=kind, ResourceName=name, ConfigurationKeys=list(keys))]
    rows = call(connection, "DescribeConfigs", 4, Resources=asked, IncludeSynonyms=True)["Results"][0]["Configs"]
    assert all(row["Documentation"] is None for row in rows), "nobody asked for it"
    return {row["Name"]: (row["Value"], row["ConfigType"], row["ConfigSource"], [one["Name"] for one in row["Synonyms"]]) for row in rows}


def check_configs(connection):
    topic, broker, logger, remove = 2, 4, 8, 1
    make_topic(connection, "cfg")
    assert alter(connection, topic, "cfg", ("nonsense", remove, None)) == 0, "what is not set can be taken away"
    assert alter(connection, topic, "cfg", ("cleanup.policy", 3, "delete")) == 0
    wait_for(connection, lambda got: got["Results"][0]["Configs"][0]["Value"] == "", "DescribeConfigs", 4,
             Resources=[dict(ResourceType=topic, ResourceName="cfg", ConfigurationKeys=["cleanup.policy"])])
    shown = described(connection, topic, "cfg", "retention.ms", "remote.storage.enable", "segment.jitter.ms")
    assert shown == {"retention.ms": ("604800000", 5, 5, []), "remote.storage.enable": ("false", 1, 5, []), "segment.jitter.ms": ("0", 5, 5, [])}, shown
    shown = described(connection, broker, "1", "log.retention.ms", "log.retention.hours", "log.roll.ms", "default.replication.factor", "offsets.topic.replication.factor",
                      "remote.storage.enable", "ssl.keystore.location")
    assert shown == {"log.retention.ms": (None, 5, 5, []), "log.retention.hours": ("168", 3, 5, ["log.retention.hours"]), "log.roll.ms": (None, 5, 5, []),
                     "default.replication.factor": ("1", 3, 5, ["default.replication.factor"]),
                     "offsets.topic.replication.factor": ("1", 4, 4, ["offsets.topic.replication.factor"] * 2), "ssl.keystore.location": (None, 2, 5, [])}, shown
    assert described(connection, logger, "1", "root")["root"][1:] == (0, 6, []), "a logger's level has no type and no synonyms"
    assert alter(connection, logger, "1", ("root", 0, "info"), only=True) == 40, "levels are written in capitals"
    old = [dict(ResourceType=logger, ResourceName="1", Configs=[dict(Name="root", Value="INFO")])]
    assert call(connection, "AlterConfigs", 2, Resources=old)["Responses"][0]["ErrorCode"] == 42


def quota(connection, value, key="producer_byte_rate", remove=False):
    entry = dict(Entity=[dict(EntityType="user", EntityName="u")], Ops=[dict(Key=key, Value=value, Remove=remove)])
    return call(connection, "AlterClientQuotas", 1, Entries=[entry], ValidateOnly=True)["Entries"][0]["ErrorCode"]


def check_administration(connection):
    assert (quota(connection, 1e18), quota(connection, 1e30), quota(connection, 0.0, "nonsense", True)) == (0, 42, 0)
    assert call(connection, "DescribeClientQuotas", 1, Components=[])["ErrorMessage"] == ""
    user = dict(Name="ann", Mechanism=1, Iterations=4096, Salt=b"salt", SaltedPassword=b"p" * 32)
    assert call(connection, "AlterUserScramCredentials", 0, Upsertions=[user])["Results"][0]["ErrorMessage"] is None
    token = call(connection, "CreateDelegationToken", 3, OwnerPrincipalType=None, OwnerPrincipalName=None, Renewers=[], MaxLifetimeMs=-1)
    assert (token["ErrorCode"], token["PrincipalType"], token["PrincipalName"], token["TokenRequesterPrincipalName"]) == (64, "User", "ANONYMOUS", "ANONYMOUS"), token
    update = dict(Feature="metadata.version", MaxVersionLevel=30)
    assert call(connection, "UpdateFeatures", 1, FeatureUpdates=[dict(update, UpgradeType=0)], ValidateOnly=True)["ErrorCode"] == 95
    assert call(connection, "UpdateFeatures", 1, FeatureUpdates=[update], ValidateOnly=True)["Results"][0]["ErrorMessage"] == "NONE"
    assert call(connection, "AlterPartitionReassignments", 0, Topics=[])["ErrorMessage"] == ""


def main():
    checks = [check_metadata, check_create, check_delete, check_produce, check_fetch, check_groups, check_members, check_transactions, check_configs, check_administration]
    with Broker("num.partitions=1") as broker:
        for check in checks:
            with Connection(broker.port) as connection:
                check(connection)
    passed("details", f"{len(checks)} families of requests")


main()
