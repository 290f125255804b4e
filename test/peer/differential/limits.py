"""Fields at their bounds: null where none is allowed, doubles, long and empty texts, negative numbers; every field of every request."""
import struct

import kafkaspec

from .records import STAMP, produce
from rawkafka import batch

# A request of each API that changes little, in a version that both have; its texts, numbers and lists are varied one by one.
PLAIN = {
    ("Metadata", 12): dict(Topics=[dict(Name="lim-a")], AllowAutoTopicCreation=False),
    ("Metadata", 4): dict(Topics=[dict(Name="lim-a")], AllowAutoTopicCreation=False),
    ("DescribeTopicPartitions", 0): dict(Topics=[dict(Name="lim-a")], ResponsePartitionLimit=5),
    ("CreateTopics", 7): dict(Topics=[dict(Name="lim-x", NumPartitions=1, ReplicationFactor=1, Configs=[dict(Name="retention.ms", Value="1000")])], timeoutMs=9000, validateOnly=True),
    ("CreateTopics", 4): dict(Topics=[dict(Name="lim-x", NumPartitions=1, ReplicationFactor=1, Configs=[dict(Name="retention.ms", Value="1000")])], timeoutMs=9000, validateOnly=True),
    ("DeleteTopics", 5): dict(TopicNames=["lim-none"], TimeoutMs=9000),
    ("CreatePartitions", 3): dict(Topics=[dict(Name="lim-a", Count=4, Assignments=None)], TimeoutMs=9000, ValidateOnly=True),
    ("DeleteRecords", 2): dict(Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, Offset=0)])], TimeoutMs=9000),
    ("ListOffsets", 7): dict(ReplicaId=-1, Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])]),
    ("OffsetForLeaderEpoch", 4): dict(ReplicaId=-2, Topics=[dict(Topic="lim-a", Partitions=[dict(Partition=0, LeaderEpoch=0)])]),
    ("DescribeConfigs", 4): dict(Resources=[dict(ResourceType=2, ResourceName="lim-a", ConfigurationKeys=["retention.ms"])]),
    ("IncrementalAlterConfigs", 1): dict(Resources=[dict(ResourceType=2, ResourceName="lim-a", Configs=[dict(Name="retention.ms", Value="1000")])], ValidateOnly=True),
    ("DescribeLogDirs", 4): dict(Topics=[dict(Topic="lim-a", Partitions=[0])]),
    ("ElectLeaders", 2): dict(TopicPartitions=[dict(Topic="lim-a", Partitions=[0])], TimeoutMs=9000),
    ("ListPartitionReassignments", 0): dict(Topics=[dict(Name="lim-a", PartitionIndexes=[0])], TimeoutMs=9000),
    ("AlterPartitionReassignments", 1): dict(Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, Replicas=[1])])], TimeoutMs=9000),
    ("FindCoordinator", 4): dict(KeyType=0, CoordinatorKeys=["lim-g"]),
    ("FindCoordinator", 3): dict(KeyType=0, Key="lim-g"),
    ("JoinGroup", 9): dict(GroupId="lim-g", SessionTimeoutMs=30000, RebalanceTimeoutMs=1000, MemberId="nobody", ProtocolType="consumer", Protocols=[dict(Name="range", Metadata=b"x")]),
    ("JoinGroup", 4): dict(GroupId="lim-g", SessionTimeoutMs=30000, RebalanceTimeoutMs=1000, MemberId="nobody", ProtocolType="consumer", Protocols=[dict(Name="range", Metadata=b"x")]),
    ("SyncGroup", 5): dict(GroupId="lim-g", GenerationId=1, MemberId="nobody", ProtocolType="consumer", ProtocolName="range", Assignments=[dict(MemberId="nobody", Assignment=b"x")]),
    ("Heartbeat", 4): dict(GroupId="lim-g", GenerationId=1, MemberId="nobody", GroupInstanceId="i"),
    ("LeaveGroup", 5): dict(GroupId="lim-g", Members=[dict(MemberId="nobody", GroupInstanceId="i", Reason="r")]),
    ("DescribeGroups", 6): dict(Groups=["lim-g"]),
    ("ListGroups", 5): dict(StatesFilter=["Nonsense"], TypesFilter=["nonsense"]),
    ("DeleteGroups", 2): dict(GroupsNames=["lim-g"]),
    ("OffsetCommit", 9): dict(GroupId="lim-o", Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata="m")])]),
    ("OffsetCommit", 7): dict(GroupId="lim-o", Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata="m")])]),
    ("OffsetFetch", 9): dict(Groups=[dict(GroupId="lim-o", Topics=[dict(Name="lim-a", PartitionIndexes=[0])])], RequireStable=True),
    ("OffsetFetch", 5): dict(GroupId="lim-o", Topics=[dict(Name="lim-a", PartitionIndexes=[0])]),
    ("OffsetDelete", 0): dict(GroupId="lim-o", Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=1)])]),
    ("ConsumerGroupHeartbeat", 1): dict(GroupId="lim-c", MemberId="m", MemberEpoch=5, InstanceId="i", RackId="r", SubscribedTopicNames=["lim-a"], ServerAssignor="range", TopicPartitions=[]),
    ("ConsumerGroupDescribe", 1): dict(GroupIds=["lim-c"]),
    ("ShareGroupHeartbeat", 1): dict(GroupId="lim-s", MemberId="m", MemberEpoch=5, RackId="r", SubscribedTopicNames=["lim-a"]),
    ("ShareGroupDescribe", 1): dict(GroupIds=["lim-s"]),
    ("DescribeShareGroupOffsets", 1): dict(Groups=[dict(GroupId="lim-s", Topics=[dict(TopicName="lim-a", Partitions=[0])])]),
    ("DeleteShareGroupOffsets", 0): dict(GroupId="lim-s", Topics=[dict(TopicName="lim-a")]),
    ("InitProducerId", 5): dict(TransactionalId="lim-t", TransactionTimeoutMs=60000, ProducerId=77777, ProducerEpoch=3),
    ("AddPartitionsToTxn", 3): dict(V3AndBelowTransactionalId="lim-n", V3AndBelowProducerId=7, V3AndBelowProducerEpoch=1, V3AndBelowTopics=[dict(Name="lim-a", Partitions=[0])]),
    ("AddPartitionsToTxn", 5): dict(Transactions=[dict(TransactionalId="lim-n", ProducerId=7, ProducerEpoch=1, Topics=[dict(Name="lim-a", Partitions=[0])])]),
    ("AddOffsetsToTxn", 4): dict(TransactionalId="lim-n", ProducerId=7, ProducerEpoch=1, GroupId="lim-g"),
    ("EndTxn", 5): dict(TransactionalId="lim-n", ProducerId=7, ProducerEpoch=1, Committed=True),
    ("TxnOffsetCommit", 5): dict(TransactionalId="lim-n", GroupId="lim-g", ProducerId=7, ProducerEpoch=1, MemberId="", Topics=[dict(Name="lim-a", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata="m")])]),
    ("DescribeTransactions", 0): dict(TransactionalIds=["lim-n"]),
    ("ListTransactions", 2): dict(StateFilters=["Dead"], ProducerIdFilters=[7], DurationFilter=5, TransactionalIdPattern="lim"),
    ("DescribeProducers", 0): dict(Topics=[dict(Name="lim-a", PartitionIndexes=[0])]),
    ("DescribeClientQuotas", 1): dict(Components=[dict(EntityType="user", MatchType=0, Match="lim")]),
    ("AlterClientQuotas", 1): dict(Entries=[dict(Entity=[dict(EntityType="user", EntityName="lim")], Ops=[dict(Key="producer_byte_rate", Value=5.0)])], ValidateOnly=True),
    ("DescribeUserScramCredentials", 0): dict(Users=[dict(Name="lim")]),
    ("UpdateFeatures", 2): dict(FeatureUpdates=[dict(Feature="group.version", MaxVersionLevel=1)], timeoutMs=9000, ValidateOnly=True),
    ("DescribeQuorum", 2): dict(Topics=[dict(TopicName="x", Partitions=[dict(PartitionIndex=0)])]),
    ("Fetch", 12): dict(MaxWaitMs=0, MinBytes=0, MaxBytes=1000, SessionEpoch=-1, Topics=[dict(Topic="lim-a", Partitions=[dict(Partition=0, FetchOffset=0, PartitionMaxBytes=1000)])]),
    ("Produce", 9): dict(Acks=1, TimeoutMs=1000, TopicData=[dict(Name="lim-a", PartitionData=[dict(Index=9, Records=batch(timestamp=STAMP))])]),
}
FIXED = {"IsolationLevel", "ConfigOperation", "ResourceType", "Records", "MatchType", "ElectionType", "LeaderEpoch", "ReplicaId", "SessionEpoch", "Acks", "MaxVersionLevel", "UpgradeType",
         "MaxBytes", "PartitionMaxBytes"}
SIZES = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def places(fields, values, path=()):
    """(path, field) of every field that the values have, and of the structs below them."""
    for field in fields:
        if field.name not in values:
            continue
        yield path + (field.name,), field
        if field.fields is not None and field.array:
            for place, row in enumerate(values[field.name] or []):
                yield from places(field.fields, row, path + (field.name, place))


def with_value(values, path, value):
    if isinstance(values, list):
        return [with_value(row, path[1:], value) if place == path[0] else row for place, row in enumerate(values)]
    return dict(values, **{path[0]: value if len(path) == 1 else with_value(values[path[0]], path[1:], value)})


def at(values, path):
    for step in path:
        values = values[step]
    return values


def variations(field, value):
    """(what, another value)"""
    if field.array:
        yield "null", None
        yield "empty", []
        yield "double", list(value or []) * 2
    elif field.type == "string":
        yield "null", None
        yield "empty", ""
        yield "space", " "
        yield "long", "x" * 30000
        yield "other", "ä \0/:"
    elif field.type in SIZES and field.name not in FIXED:
        yield "least", -1 << SIZES[field.type]
        yield "most", (1 << SIZES[field.type]) - 1
        yield "-2", -2


def case_fields(s):
    s.topic("lim-a", 2)
    s.quiet("OffsetCommit", 7, PLAIN["OffsetCommit", 7])
    for (name, version), plain in PLAIN.items():
        for path, field in places(kafkaspec.api(name).request.fields, plain):
            if version not in field.versions or (field.type == "bytes"):
                continue
            for what, value in variations(field, at(plain, path)):
                s.call(name, version, with_value(plain, path, value), what=f"{path[-1]} {what}")


def case_clients(s):
    """Names of clients in the header of a request."""
    for client in (b"", b"x" * 30000, "ä".encode(), b"\xff\xfe", b"a b", None):
        head = struct.pack(">hhi", 18, 0, 7) + (struct.pack(">h", -1) if client is None else struct.pack(">h", len(client)) + client)
        connection = s.other()
        connection.socket.sendall(struct.pack(">i", len(head)) + head)
        try:
            answer = len(connection.answer()) > 100
        except (EOFError, ConnectionError):
            answer = "closed"
        s.note(f"client {str(client)[:20]}", {}, answer)


def case_acks(s):
    """Without acknowledgement: no answer, and the next request is answered; a failure closes."""
    s.topic("lim-k", 1)
    for parts in ({"lim-k": [(0, batch(timestamp=STAMP))]}, {"lim-k": [(0, batch(crc=1, timestamp=STAMP))]}, {"lim-none": [(0, batch(timestamp=STAMP))]}, {}, {"lim-k": []}):
        data = [dict(Name=topic, PartitionData=[dict(Index=part, Records=records) for part, records in rows]) for topic, rows in parts.items()]
        s.close()
        kafkaspec.send(s.shared(), "Produce", 9, dict(Acks=0, TimeoutMs=1000, TopicData=data))
        s.call("Heartbeat", 0, GroupId="lim-k", GenerationId=1, MemberId="m")
        s.until(lambda got: got["Topics"][0]["Partitions"][0]["Offset"] == 1, "ListOffsets", 7, ReplicaId=-1,
                Topics=[dict(Name="lim-k", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])
    produce(s, 9, {"lim-k": [(0, batch(timestamp=STAMP)), (7, batch(timestamp=STAMP))], "lim-none": [(0, batch(timestamp=STAMP))]})
