"""Metadata, DescribeTopicPartitions; topics made, grown, deleted."""
LONG, LONGER = "x" * 249, "x" * 250
BAD_NAMES = ["", ".", "..", "a b", "ä", "a/b", LONGER, "a\0b", "a:b"]
MISSING = bytes(15) + b"\7"


def one(name, partitions=1, factor=1, **more):
    return dict(dict(Name=name, NumPartitions=partitions, ReplicationFactor=factor), **more)


def case_metadata(s):
    s.topic("met-a", 3)
    uuid = s.topic("met-b")
    for version in range(14):
        s.call("Metadata", version, Topics=[dict(Name="met-a"), dict(Name="met-b")])
        s.call("Metadata", version, Topics=[dict(Name="met-a"), dict(Name="met-a")])
        s.call("Metadata", version, Topics=[dict(Name="met-none")], AllowAutoTopicCreation=False, again=False) if version >= 4 else None
        if version:
            s.call("Metadata", version, Topics=[])
        if version >= 8:
            s.call("Metadata", version, Topics=[dict(Name="met-a")], IncludeTopicAuthorizedOperations=True)
        if 8 <= version <= 10:
            s.call("Metadata", version, Topics=[], IncludeClusterAuthorizedOperations=True)
        if version >= 10:
            s.call("Metadata", version, Topics=[dict(Name=None, TopicId=uuid)], AllowAutoTopicCreation=False)
            s.call("Metadata", version, Topics=[dict(Name=None, TopicId=MISSING)], AllowAutoTopicCreation=False)
            s.call("Metadata", version, Topics=[dict(Name="met-a", TopicId=uuid)], AllowAutoTopicCreation=False)
            s.call("Metadata", version, Topics=[dict(Name=None)], AllowAutoTopicCreation=False)
            s.call("Metadata", version, Topics=[dict(Name=None, TopicId=uuid), dict(Name="met-a")], AllowAutoTopicCreation=False)


def case_metadata_bad(s):
    for version in (1, 4, 9, 12, 13):
        for name in BAD_NAMES:
            for auto in (True, False) if version >= 4 else (True,):
                s.call("Metadata", version, Topics=[dict(Name=name)], AllowAutoTopicCreation=auto)


def case_metadata_auto(s):
    for version in (0, 1, 4, 12, 13):
        asked = [dict(Name=f"auto-{version}"), dict(Name=f"auto-{version}b")]
        s.call("Metadata", version, Topics=asked, again=False)
        s.until(lambda answer: all(row["ErrorCode"] == 0 for row in answer["Topics"]), "Metadata", version, Topics=asked)
        s.call("Metadata", version, Topics=asked)
    s.call("Metadata", 12, Topics=[dict(Name="auto.a_b")], again=False)
    s.call("Metadata", 12, Topics=[dict(Name="auto_a.b")])
    for name in ("__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"):
        s.call("Metadata", 12, Topics=[dict(Name=name)], AllowAutoTopicCreation=False)


def case_create(s):
    for version in range(2, 8):
        name = f"cre-{version}"
        s.call("CreateTopics", version, Topics=[one(name)], timeoutMs=10000, validateOnly=True)
        s.call("CreateTopics", version, Topics=[one(name), one(name + "b", 2)], timeoutMs=10000)
        s.call("CreateTopics", version, Topics=[one(name)], timeoutMs=10000)
        s.call("CreateTopics", version, Topics=[one(name)], timeoutMs=10000, validateOnly=True)
        s.call("CreateTopics", version, Topics=[one(name + "d", -1, -1)], timeoutMs=10000)
        s.call("CreateTopics", version, Topics=[one(name + "e", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1])])], timeoutMs=10000)
        s.call("CreateTopics", version, Topics=[], timeoutMs=10000)


BAD_CREATES = [
    *[[one(name)] for name in BAD_NAMES],
    [one(LONG)],
    [one("bad", 0)], [one("bad", -2)], [one("bad", 1, 0)], [one("bad", 1, -2)], [one("bad", 1, 2)], [one("bad", 10001)],
    [one("bad"), one("bad")], [one("bad"), one("good1"), one("bad", 2)],
    [one("bad", 1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1])])],
    [one("bad", -1, 1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=1, BrokerIds=[1])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1]), dict(PartitionIndex=0, BrokerIds=[1])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[2])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1, 1])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=0, BrokerIds=[1]), dict(PartitionIndex=2, BrokerIds=[1])])],
    [one("bad", -1, -1, Assignments=[dict(PartitionIndex=-1, BrokerIds=[1])])],
    *[[one("bad", Configs=[dict(Name=name, Value=value)])] for name, value in (
        ("nonsense", "1"), ("", "1"), ("retention.ms", None), ("retention.ms", "x"), ("retention.ms", ""), ("retention.ms", "-2"),
        ("retention.ms", " 5 "), ("cleanup.policy", "x"), ("cleanup.policy", ""), ("cleanup.policy", "compact,compact"),
        ("cleanup.policy", "delete,compact"), ("min.insync.replicas", "0"), ("min.insync.replicas", "2"), ("compression.type", "x"),
        ("compression.type", "ZSTD"), ("message.timestamp.type", "logappendtime"), ("segment.bytes", "10"), ("segment.bytes", "1048576"),
        ("max.message.bytes", "-1"), ("remote.storage.enable", "true"), ("remote.storage.enable", "false"), ("unclean.leader.election.enable", "maybe"),
        ("unclean.leader.election.enable", "TRUE"), ("preallocate", "true"), ("segment.ms", "0"), ("flush.messages", "0"),
        ("min.cleanable.dirty.ratio", "1.5"), ("min.cleanable.dirty.ratio", "0.25"), ("index.interval.bytes", "-1"),
        ("segment.index.bytes", "3"), ("file.delete.delay.ms", "-1"), ("local.retention.ms", "10"), ("local.retention.bytes", "10"),
        ("message.format.version", "3.0"), ("message.downconversion.enable", "false"), ("follower.replication.throttled.replicas", "x"),
        ("leader.replication.throttled.replicas", "0:1"), ("leader.replication.throttled.replicas", "*"),
        ("message.timestamp.difference.max.ms", "10"), ("message.timestamp.before.max.ms", "10"), ("message.timestamp.after.max.ms", "-1"),
        ("compression.gzip.level", "0"), ("compression.gzip.level", "10"), ("compression.lz4.level", "17"), ("compression.zstd.level", "22"),
        ("max.compaction.lag.ms", "0"), ("min.compaction.lag.ms", "-1"), ("delete.retention.ms", "-1"), ("flush.ms", "-1"),
        ("segment.jitter.ms", "-1"), ("retention.bytes", "-2"), ("retention.bytes", "9223372036854775808"), ("remote.log.delete.on.disable", "true"),
        ("remote.log.copy.disable", "true"), ("internal.segment.bytes", "14"), ("errors.deadletterqueue.topic.name", "x"))],
    [one("bad", Configs=[dict(Name="retention.ms", Value="1"), dict(Name="retention.ms", Value="2")])],
    [one("bad", Configs=[dict(Name="min.compaction.lag.ms", Value="10"), dict(Name="max.compaction.lag.ms", Value="5")])],
    [one("a.b"), one("a_b")],
    [one("__consumer_offsets")], [one("__cluster_metadata")], [one("__transaction_state")], [one("__share_group_state")],
]


def case_create_bad(s):
    for rows in BAD_CREATES:
        for version in (7, 4):
            s.call("CreateTopics", version, Topics=rows, timeoutMs=10000, validateOnly=True)
    s.topic("col.li_de")
    s.call("CreateTopics", 7, Topics=[one("col_li.de")], timeoutMs=10000)
    s.call("CreateTopics", 7, Topics=[one("time-out")], timeoutMs=0, validateOnly=True)
    s.call("CreateTopics", 7, Topics=[one("time-out")], timeoutMs=-1, validateOnly=True)


def case_create_made(s):
    """What the bad ones make when they are meant: the odd that are taken."""
    for place, rows in enumerate(BAD_CREATES):
        if len(rows) != 1 or not rows[0]["Name"].startswith("bad"):
            continue
        s.call("CreateTopics", 7, Topics=[dict(rows[0], Name=f"made-{place}")] if rows[0]["NumPartitions"] < 10000 else [one(f"made-{place}")],
               timeoutMs=10000)


def case_delete(s):
    for version in range(1, 7):
        first, second = f"del-{version}", f"del-{version}b"
        uuid = s.topic(first)
        s.topic(second)
        if version < 6:
            for names in ([first, "del-none"], [first], [second, second], [], [""], [LONGER], ["a b"], ["__none"]):
                s.call("DeleteTopics", version, TopicNames=names, TimeoutMs=10000)
        else:
            other = s.topic("del-6c")
            for rows in ([dict(Name=first), dict(Name="del-none")], [dict(Name=first, TopicId=uuid)], [dict(Name=None)], [dict(TopicId=MISSING)],
                         [dict(TopicId=other), dict(TopicId=other)], [dict(Name="del-6c"), dict(TopicId=other)], [dict(TopicId=uuid)], [dict(Name="")],
                         [dict(Name=second), dict(Name=second)], [dict(Name="del-none"), dict(Name="del-none")], [dict(TopicId=MISSING)] * 2, []):
                s.call("DeleteTopics", version, Topics=rows, TimeoutMs=10000)


def case_delete_internal(s):
    s.call("DeleteTopics", 5, TopicNames=["__cluster_metadata"], TimeoutMs=10000)


def case_partitions(s):
    for version in range(4):
        name = f"par-{version}"
        s.topic(name, 2)
        for count, assignments in ((1, None), (2, None), (0, None), (-1, None), (3, []), (3, [dict(BrokerIds=[1])]), (5, [dict(BrokerIds=[1])]),
                                   (4, [dict(BrokerIds=[2])]), (4, [dict(BrokerIds=[])]), (4, [dict(BrokerIds=[1, 1])]), (4, [dict(BrokerIds=[-1])]),
                                   (10002, None)):
            row = dict(Name=name, Count=count, Assignments=assignments)
            s.call("CreatePartitions", version, Topics=[row], TimeoutMs=10000, ValidateOnly=True)
        s.call("CreatePartitions", version, Topics=[dict(Name=name, Count=4, Assignments=[dict(BrokerIds=[1])] * 2)], TimeoutMs=10000)
        s.call("Metadata", 12, Topics=[dict(Name=name)])
        for rows in ([dict(Name="par-none", Count=2, Assignments=None)], [dict(Name="", Count=2, Assignments=None)], [],
                     [dict(Name=name, Count=6, Assignments=None)] * 2, [dict(Name=LONGER, Count=6, Assignments=None)],
                     [dict(Name="__consumer_offsets", Count=2, Assignments=None)], [dict(Name="__cluster_metadata", Count=2, Assignments=None)]):
            s.call("CreatePartitions", version, Topics=rows, TimeoutMs=10000, ValidateOnly=True)
    s.call("CreatePartitions", 3, Topics=[dict(Name="par-3", Count=6, Assignments=None)], TimeoutMs=0, ValidateOnly=True)


def case_describe(s):
    for name in ("dtp-a", "dtp-b", "dtp-c"):
        s.topic(name, 3)
    asked = [dict(Name=name) for name in ("dtp-c", "dtp-a", "dtp-b", "dtp-none", "", LONGER, "a b")]
    for rows in (asked, asked[:1], asked[:1] * 2, asked[3:4], asked[4:5], asked[5:6], asked[6:]):
        s.call("DescribeTopicPartitions", 0, Topics=rows)
    for limit in (1, 2, 3, 4, 9, 0, -1, 100000):
        s.call("DescribeTopicPartitions", 0, Topics=asked[:3], ResponsePartitionLimit=limit)
        s.call("DescribeTopicPartitions", 0, Topics=asked[:4], ResponsePartitionLimit=limit)
    for topic, part in (("dtp-a", 1), ("dtp-b", 0), ("dtp-b", 5), ("dtp-b", -1), ("dtp-none", 0), ("", 0), ("zzz", 0), ("dtp-c", 3), ("a", 0)):
        cursor = dict(TopicName=topic, PartitionIndex=part)
        s.call("DescribeTopicPartitions", 0, Topics=asked[:3], Cursor=cursor)
        s.call("DescribeTopicPartitions", 0, Topics=asked[:3], Cursor=cursor, ResponsePartitionLimit=2)
        s.call("DescribeTopicPartitions", 0, Topics=[], Cursor=cursor, ResponsePartitionLimit=1)
