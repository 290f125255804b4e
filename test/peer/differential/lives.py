"""One thing after the other: topics that go, come back, grow and change under their clients; groups that change their protocol."""
from rawkafka import batch

from .consumers import ONE, TWO, beat, full
from .groups import commit, join, member_of, subscription
from .records import STAMP, fill, produce, read

OLD = "A" * 21 + "w"


def look(s, name, uuid, group):
    """What all sorts of clients see of a topic."""
    for version in (9, 13):
        produce(s, version, {uuid if version >= 13 else name: [(0, batch(timestamp=STAMP))]})
    for version in (12, 13, 17):
        read(s, version, uuid if version >= 13 else name)
    s.call("ListOffsets", 7, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[dict(PartitionIndex=part, Timestamp=stamp) for part in (0, 1) for stamp in (-1,)])])
    s.call("Metadata", 12, Topics=[dict(Name=name)], AllowAutoTopicCreation=False)
    s.call("Metadata", 12, Topics=[dict(Name=None, TopicId=uuid)], AllowAutoTopicCreation=False)
    s.call("OffsetForLeaderEpoch", 4, ReplicaId=-2, Topics=[dict(Topic=name, Partitions=[dict(Partition=0, LeaderEpoch=0)])])
    s.call("OffsetFetch", 8, Groups=[dict(GroupId=group, Topics=None)])
    s.call("OffsetFetch", 10, Groups=[dict(GroupId=group, Topics=[dict(TopicId=uuid, PartitionIndexes=[0, 1])])])
    s.call("OffsetCommit", 9, commit(group, (name, 0, 2, "m")))
    s.call("OffsetCommit", 10, GroupId=group, Topics=[dict(TopicId=uuid, Partitions=[dict(PartitionIndex=1, CommittedOffset=3, CommittedMetadata="m")])])
    s.call("DescribeProducers", 0, Topics=[dict(Name=name, PartitionIndexes=[0])])
    s.call("DescribeTopicPartitions", 0, Topics=[dict(Name=name)])
    s.call("DescribeConfigs", 4, Resources=[dict(ResourceType=2, ResourceName=name, ConfigurationKeys=["cleanup.policy"])])
    s.call("DescribeGroups", 5, Groups=[group])


def gone(answer):
    return answer["Topics"][0]["ErrorCode"] == 3


def case_deleted(s):
    """A topic that is deleted, and made again under its name."""
    uuid = s.topic("liv-d", 2)
    fill(s, "liv-d", 3)
    s.quiet("OffsetCommit", 7, commit("liv-g", ("liv-d", 0, 1, "m"), ("liv-d", 1, 0, "m")))
    look(s, "liv-d", uuid, "liv-g")
    session = s.call("Fetch", 12, MaxWaitMs=0, MinBytes=0, MaxBytes=1 << 20, SessionEpoch=0, Topics=[dict(Topic="liv-d", Partitions=[dict(Partition=0, PartitionMaxBytes=1 << 20)])])
    by_id = s.call("Fetch", 13, MaxWaitMs=0, MinBytes=0, MaxBytes=1 << 20, SessionEpoch=0, Topics=[dict(TopicId=uuid, Partitions=[dict(Partition=0, PartitionMaxBytes=1 << 20)])])
    s.call("DeleteTopics", 6, Topics=[dict(TopicId=uuid)], TimeoutMs=9000)
    s.until(gone, "Metadata", 12, Topics=[dict(Name="liv-d")], AllowAutoTopicCreation=False)
    s.until(lambda got: not got["Groups"][0]["Topics"], "OffsetFetch", 8, Groups=[dict(GroupId="liv-g", Topics=None)])
    s.call("Fetch", 12, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionId=session["SessionId"], SessionEpoch=1)
    s.call("Fetch", 13, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionId=by_id["SessionId"], SessionEpoch=1)
    look(s, "liv-d", uuid, "liv-g")
    again = s.topic("liv-d", 1)
    look(s, "liv-d", uuid, "liv-h")
    look(s, "liv-d", again, "liv-h")
    s.call("Fetch", 12, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionId=session["SessionId"], SessionEpoch=2)
    s.call("Fetch", 13, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionId=by_id["SessionId"], SessionEpoch=2)


def case_grown(s):
    """A topic that gets partitions."""
    uuid = s.topic("liv-p", 1)
    session = s.call("Fetch", 12, MaxWaitMs=0, MinBytes=0, MaxBytes=1 << 20, SessionEpoch=0, Topics=[dict(Topic="liv-p", Partitions=[dict(Partition=1, PartitionMaxBytes=1 << 20)])])
    produce(s, 9, {"liv-p": [(1, batch(timestamp=STAMP))]})
    epoch = s.call("ConsumerGroupHeartbeat", 1, full("liv-pc", SubscribedTopicNames=["liv-p"]))["MemberEpoch"]
    s.call("CreatePartitions", 3, Topics=[dict(Name="liv-p", Count=3, Assignments=None)], TimeoutMs=9000)
    s.until(lambda got: len(got["Topics"][0]["Partitions"]) == 3 and all(part["LeaderId"] == 1 for part in got["Topics"][0]["Partitions"]), "Metadata", 12, Topics=[dict(Name="liv-p")])
    s.until(lambda got: got["Topics"][0]["Partitions"][0]["ErrorCode"] == 0, "ListOffsets", 7, ReplicaId=-1,
            Topics=[dict(Name="liv-p", Partitions=[dict(PartitionIndex=1, Timestamp=-1)])])
    look(s, "liv-p", uuid, "liv-pg")
    produce(s, 9, {"liv-p": [(1, batch(timestamp=STAMP)), (2, batch(timestamp=STAMP))]})
    s.call("Fetch", 12, MaxWaitMs=500, MinBytes=1, MaxBytes=1 << 20, SessionId=session["SessionId"], SessionEpoch=1)
    owned = [dict(TopicId=uuid, Partitions=[0])]
    s.until(lambda got: got["MemberEpoch"] > epoch, "ConsumerGroupHeartbeat", 1, **beat("liv-pc", ONE, epoch, TopicPartitions=owned))
    s.call("ConsumerGroupDescribe", 1, GroupIds=["liv-pc"])


CHANGES = [("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", "60"), ("compression.type", "gzip"), ("message.timestamp.before.max.ms", "1000"),
           ("message.timestamp.after.max.ms", "1000"), ("cleanup.policy", ""), ("cleanup.policy", "delete,compact")]


def case_altered(s):
    """Configs that a producer feels."""
    for place, (name, value) in enumerate(CHANGES):
        topic = f"liv-c-{place}"
        s.topic(topic)
        for step in (0, 2, 1):  # as it is, set, taken away
            if step:
                s.call("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=2, ResourceName=topic, Configs=[dict(Name=name, ConfigOperation=2 - step, Value=value)])])
                wanted = 1 if step == 2 else 5
                s.until(lambda got, wanted=wanted: got["Results"][0]["Configs"][0]["ConfigSource"] == wanted, "DescribeConfigs", 4,
                        Resources=[dict(ResourceType=2, ResourceName=topic, ConfigurationKeys=[name])])
                s.settle()
            for key in (b"k", None):
                for later in (0, 3_000_000):
                    produce(s, 9, {topic: [(0, batch(key=key, timestamp=STAMP + later))]})
        read(s, 12, topic)


def case_moved(s):
    """A group of the first protocol whose members come by the new one, and back."""
    s.topic("grp-t", 2)
    member, generation = member_of(s, 9, "liv-m", Protocols=[dict(Name="range", Metadata=subscription("grp-t"))])
    s.call("DescribeGroups", 5, Groups=["liv-m"])
    s.call("ConsumerGroupHeartbeat", 1, full("liv-m", TWO, SubscribedTopicNames=["grp-t"]))
    s.call("DescribeGroups", 5, Groups=["liv-m"])
    s.call("ConsumerGroupDescribe", 1, GroupIds=["liv-m"])

    s.call("Heartbeat", 4, GroupId="liv-m", GenerationId=generation, MemberId=member)
    s.call("LeaveGroup", 5, GroupId="liv-m", Members=[dict(MemberId=member)])
    s.call("ConsumerGroupHeartbeat", 1, beat("liv-m", TWO, -1))
    s.call("DescribeGroups", 5, Groups=["liv-m"])
    s.call("ConsumerGroupDescribe", 1, GroupIds=["liv-m"])
    s.call("JoinGroup", 3, join("liv-m"))
    s.call("DescribeGroups", 5, Groups=["liv-m"])
    # offsets alone become any kind of group
    s.quiet("OffsetCommit", 7, commit("liv-o", ("grp-t", 0, 5, "m")))
    s.call("DescribeGroups", 6, Groups=["liv-o"])
    s.call("ConsumerGroupDescribe", 1, GroupIds=["liv-o"])
    s.call("ConsumerGroupHeartbeat", 1, full("liv-o", ONE, SubscribedTopicNames=["grp-t"]))
    s.call("OffsetFetch", 9, Groups=[dict(GroupId="liv-o", MemberId=ONE, MemberEpoch=2, Topics=None)])
    s.call("ConsumerGroupHeartbeat", 1, beat("liv-o", ONE, -1))
    s.call("ShareGroupHeartbeat", 1, GroupId="liv-o", MemberId=OLD, MemberEpoch=0, SubscribedTopicNames=["grp-t"])
    s.call("JoinGroup", 3, join("liv-o"))
    s.call("DeleteGroups", 2, GroupsNames=["liv-o", "liv-m"])


def case_open(s):
    """A transaction that is open holds readers, offsets and deletions."""
    s.topic("liv-t", 1)
    fill(s, "liv-t", 2)
    made = s.quiet("InitProducerId", 5, TransactionalId="liv-x", TransactionTimeoutMs=60000)
    pid, epoch = made["ProducerId"], made["ProducerEpoch"]
    produce(s, 12, {"liv-t": [(0, batch(b"t", timestamp=STAMP, attributes=16, pid=pid, epoch=epoch, seq=0))]}, TransactionalId="liv-x")
    fill(s, "liv-t", 1)
    for isolation in (0, 1):
        read(s, 12, "liv-t", IsolationLevel=isolation)
        for stamp in (-1, -2, -3, STAMP, STAMP + 5000):
            s.call("ListOffsets", 7, ReplicaId=-1, IsolationLevel=isolation, Topics=[dict(Name="liv-t", Partitions=[dict(PartitionIndex=0, Timestamp=stamp)])])
    for offset in (2, 3, 4, -1):
        s.call("DeleteRecords", 2, Topics=[dict(Name="liv-t", Partitions=[dict(PartitionIndex=0, Offset=offset)])], TimeoutMs=5000)
    s.call("DescribeTransactions", 0, TransactionalIds=["liv-x"])
    s.call("DescribeProducers", 0, Topics=[dict(Name="liv-t", PartitionIndexes=[0])])
    s.call("EndTxn", 5, TransactionalId="liv-x", ProducerId=pid, ProducerEpoch=epoch, Committed=False)
    s.until(lambda got: got["TransactionStates"][0]["TransactionState"] == "CompleteAbort", "DescribeTransactions", 0, TransactionalIds=["liv-x"])
    for isolation in (0, 1):
        read(s, 12, "liv-t", 4, IsolationLevel=isolation)
        s.call("ListOffsets", 7, ReplicaId=-1, IsolationLevel=isolation, Topics=[dict(Name="liv-t", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])
    s.call("DescribeProducers", 0, Topics=[dict(Name="liv-t", PartitionIndexes=[0])])
    s.call("DeleteTopics", 5, TopicNames=["liv-t"], TimeoutMs=9000)
    s.call("DescribeTransactions", 0, TransactionalIds=["liv-x"])
