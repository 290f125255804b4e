"""Share groups."""
from rawkafka import batch

from .records import STAMP, produce

ONE, TWO, MISSING = "AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg", bytes(15) + b"\7"


def beat(s, group, member=ONE, epoch=0, **more):
    return s.call("ShareGroupHeartbeat", 1, dict(dict(GroupId=group, MemberId=member, MemberEpoch=epoch), **more))


def case_heartbeats(s):
    s.topic("sha-t", 2)
    subscribed = dict(SubscribedTopicNames=["sha-t"])
    for group, member, epoch, more in (("sha-a", ONE, 0, {}), ("", ONE, 0, subscribed), ("sha-a", "", 0, subscribed), ("sha-a", ONE, 2, {}), ("sha-a", ONE, -1, {}), ("sha-a", ONE, -2, {}),
                                       ("sha-a", ONE, 0, dict(SubscribedTopicNames=[])), ("sha-a", ONE, 0, dict(subscribed, RackId="")), ("sha-a", ONE, 0, subscribed), ("sha-a", ONE, 0, subscribed),
                                       ("sha-a", ONE, 2, {}), ("sha-a", ONE, 3, {}), ("sha-a", ONE, 4, {}), ("sha-a", ONE, 8, {}), ("sha-a", TWO, 2, {}), ("sha-a", TWO, 0, subscribed), ("sha-a", ONE, -2, {}),
                                       ("sha-a", TWO, -1, {}), ("sha-a", TWO, -1, {}), ("sha-b", "not a uuid", 0, subscribed), ("sha-b", "x" * 100, 0, subscribed)):
        beat(s, group, member, epoch, **more)
    for operations in (False, True):
        s.call("ShareGroupDescribe", 1, GroupIds=["sha-a", "sha-none", "", "sha-a"], IncludeAuthorizedOperations=operations)
    s.call("ShareGroupDescribe", 1, GroupIds=[])
    s.call("DescribeGroups", 6, Groups=["sha-a"])
    s.call("ConsumerGroupDescribe", 1, GroupIds=["sha-a"])
    s.call("DeleteGroups", 2, GroupsNames=["sha-a"])
    s.call("OffsetCommit", 9, GroupId="sha-a", GenerationIdOrMemberEpoch=-1, MemberId="",
           Topics=[dict(Name="sha-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=4, CommittedMetadata="m")])])
    s.call("OffsetFetch", 9, Groups=[dict(GroupId="sha-a", Topics=None)])
    s.call("ConsumerGroupHeartbeat", 1, GroupId="sha-a", MemberId=TWO, MemberEpoch=0, RebalanceTimeoutMs=1000, SubscribedTopicNames=["sha-t"], TopicPartitions=[])
    s.call("ListGroups", 5, TypesFilter=["share"])


def case_epochs(s):
    """A group that was given offsets has begun its partitions: from there on every step of its epochs is the same."""
    s.topic("she-t", 2)
    s.call("AlterShareGroupOffsets", 0, GroupId="she-g", Topics=[dict(TopicName="she-t", Partitions=[dict(PartitionIndex=part, StartOffset=0) for part in (0, 1)])])
    s.settle()
    subscribed = dict(SubscribedTopicNames=["she-t"])
    for member, epoch, more in ((ONE, 0, subscribed), (ONE, 2, {}), (TWO, 0, subscribed), (ONE, 2, {}), (ONE, 2, {}), (ONE, 3, {}), (ONE, 1, {}), (TWO, 3, subscribed), (TWO, -1, {}), (ONE, 3, {}),
                                (ONE, 4, dict(SubscribedTopicNames=["she-none"])), (ONE, 5, {}), (ONE, 5, subscribed), (ONE, -1, {}), (ONE, 0, subscribed), (TWO, 0, subscribed)):
        beat(s, "she-g", member, epoch, **more)
        s.call("ShareGroupDescribe", 1, GroupIds=["she-g"])


def ask(s, version, group, epoch, parts, member=ONE, forget=(), **more):
    """`parts`: [(topic id, partition, [(first, last, types)])]"""
    topics = [dict(TopicId=uuid, Partitions=[dict(PartitionIndex=part, AcknowledgementBatches=[dict(FirstOffset=a, LastOffset=b, AcknowledgeTypes=types) for a, b, types in acks])])
              for uuid, part, acks in parts]
    fields = dict(dict(GroupId=group, MemberId=member, ShareSessionEpoch=epoch, MaxWaitMs=300, MinBytes=1, MaxRecords=100, BatchSize=100, Topics=topics,
                       ForgottenTopicsData=[dict(TopicId=uuid, Partitions=[part]) for uuid, part in forget]), **more)
    return s.call("ShareFetch", version, fields)


def case_fetch(s):
    uuid = s.topic("sha-f", 2)
    for version in (1, 2):
        group = f"sha-f-{version}"
        s.quiet("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=32, ResourceName=group, Configs=[dict(Name="share.auto.offset.reset", ConfigOperation=0, Value="earliest")])])
        s.call("DescribeConfigs", 4, Resources=[dict(ResourceType=32, ResourceName=group, ConfigurationKeys=["share.auto.offset.reset"])])
        produce(s, 9, {"sha-f": [(0, batch(timestamp=STAMP, records=[(None, b"%d" % n, 0) for n in range(10)]))]}, note=False)
        beat(s, group, SubscribedTopicNames=["sha-f"])
        for who, epoch in (("", 0), (None, 0), (ONE, 5), (ONE, -1), (ONE, -2)):
            ask(s, version, group, epoch, [(uuid, 0, [])], who)
        ask(s, version, None, 0, [(uuid, 0, [])])
        ask(s, version, group, 0, [(uuid, 0, [(0, 1, [1])])])
        ask(s, version, group, 0, [(uuid, 0, [])])
        for epoch, parts, more in ((1, [(uuid, 0, [(0, 0, [1])])], {}), (1, [], {}), (2, [(uuid, 0, [(0, 0, [1])])], {}), (3, [(uuid, 0, [(1, 3, [1, 2, 3])])], {}), (4, [(uuid, 0, [(4, 5, [1, 1, 1])])], {}),
                                   (5, [(uuid, 0, [(5, 4, [1])])], {}), (6, [(uuid, 0, [(4, 4, [9])])], {}), (7, [(uuid, 0, [(4, 4, [])])], {}), (8, [(uuid, 0, [(4, 4, [0])])], {}),
                                   (9, [], {}), (10, [(uuid, 9, [])], {}), (11, [(uuid, 1, [])], {}), (12, [(uuid, 0, [(6, 6, [1]), (5, 5, [1])])], {}),
                                   (13, [(uuid, 0, [(100, 100, [1])])], {}), (14, [], dict(MaxRecords=0)), (15, [], dict(MaxWaitMs=-1)), (16, [], dict(MaxBytes=0)), (17, [], dict(BatchSize=0)), (18, [], dict(MinBytes=-1))):
            ask(s, version, group, epoch, parts, **more)
        if version == 2:
            for mode in (1, 2, -1):
                ask(s, version, group, 19 + mode, [], ShareAcquireMode=mode)
            ask(s, version, group, 21, [(uuid, 0, [(7, 7, [4])])], IsRenewAck=True)
            ask(s, version, group, 22, [(uuid, 0, [(7, 7, [4])])])
        ask(s, version, group, -1, [(uuid, 0, [(8, 8, [1])])])
        ask(s, version, group, -1, [])
        s.call("DescribeShareGroupOffsets", 1, Groups=[dict(GroupId=group, Topics=None)])


def acknowledge(s, version, group, epoch, parts, member=ONE, **more):
    topics = [dict(TopicId=uuid, Partitions=[dict(PartitionIndex=part, AcknowledgementBatches=[dict(FirstOffset=a, LastOffset=b, AcknowledgeTypes=types) for a, b, types in acks])])
              for uuid, part, acks in parts]
    return s.call("ShareAcknowledge", version, dict(more, GroupId=group, MemberId=member, ShareSessionEpoch=epoch, Topics=topics))


def case_acknowledge(s):
    uuid = s.topic("sha-k", 2)
    for version in (1, 2):
        group = f"sha-k-{version}"
        s.quiet("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=32, ResourceName=group, Configs=[dict(Name="share.auto.offset.reset", ConfigOperation=0, Value="earliest")])])
        s.call("DescribeConfigs", 4, Resources=[dict(ResourceType=32, ResourceName=group, ConfigurationKeys=["share.auto.offset.reset"])])
        produce(s, 9, {"sha-k": [(0, batch(timestamp=STAMP, records=[(None, b"%d" % n, 0) for n in range(10)]))]}, note=False)
        acknowledge(s, version, group, 1, [(uuid, 0, [(0, 0, [1])])])
        beat(s, group, SubscribedTopicNames=["sha-k"])
        acknowledge(s, version, group, 1, [(uuid, 0, [(0, 0, [1])])])
        ask(s, version, group, 0, [(uuid, 0, [])])
        ask(s, version, group, 1, [(uuid, 0, [])])
        for epoch, parts in ((0, [(uuid, 0, [(0, 0, [1])])]), (2, [(uuid, 0, [(0, 0, [1])])]), (2, []), (3, []), (4, [(uuid, 0, [(1, 2, [2])])]), (5, [(uuid, 0, [(3, 2, [1])])]), (6, [(uuid, 0, [(3, 3, [7])])]),
                             (7, [(uuid, 9, [(3, 3, [1])])]), (8, [(MISSING, 0, [(3, 3, [1])])]), (9, [(uuid, 1, [(3, 3, [1])])]), (10, [(uuid, 0, [(3, 3, [4])])]), (11, [(uuid, 0, [])]), (12, [(uuid, 0, [(0, 0, [1])])]),
                             (13, [(uuid, 0, [(3, 3, [3])])]), (14, [(uuid, 0, [(4, 6, [1, 0, 1])])])):
            acknowledge(s, version, group, epoch, parts)
        for name, who in (("", ONE), (None, ONE), (group, ""), (group, None), (group, TWO), (group, "x"), ("sha-none", ONE)):
            acknowledge(s, version, name, 15, [(uuid, 0, [(7, 7, [1])])], who)
        acknowledge(s, version, group, -1, [(uuid, 0, [(7, 7, [1])])])
        acknowledge(s, version, group, -1, [])


def case_offsets(s):
    uuid = s.topic("sha-o", 2)
    del uuid
    s.quiet("ShareGroupHeartbeat", 1, GroupId="sha-o", MemberId=ONE, MemberEpoch=0, SubscribedTopicNames=["sha-o"])
    for version in (0, 1):
        for group in ("sha-o", "sha-none", ""):
            for topics in (None, [], [dict(TopicName="sha-o", Partitions=[0, 1])], [dict(TopicName="sha-none", Partitions=[0])], [dict(TopicName="", Partitions=[0])]):
                s.call("DescribeShareGroupOffsets", version, Groups=[dict(GroupId=group, Topics=topics)])
        s.call("DescribeShareGroupOffsets", version, Groups=[])
        s.call("DescribeShareGroupOffsets", version, Groups=[dict(GroupId="sha-o", Topics=None)] * 2)
    for live in (True, False):
        for group in ("sha-o", "sha-none", ""):
            for topic, part, offset in (("sha-o", 0, 0), ("sha-o", 9, 0), ("sha-none", 0, 0), ("", 0, 0), ("sha-o", 1, 7), ("sha-o", 1, -1), ("sha-o", -1, 0)):
                s.call("AlterShareGroupOffsets", 0, GroupId=group, Topics=[dict(TopicName=topic, Partitions=[dict(PartitionIndex=part, StartOffset=offset)])])
            s.call("AlterShareGroupOffsets", 0, GroupId=group, Topics=[])
            for topic in ("sha-none", "", "sha-o", "sha-o"):
                s.call("DeleteShareGroupOffsets", 0, GroupId=group, Topics=[dict(TopicName=topic)])
            s.call("DeleteShareGroupOffsets", 0, GroupId=group, Topics=[])
            s.call("DescribeShareGroupOffsets", 1, Groups=[dict(GroupId=group, Topics=None)])
        if live:
            s.quiet("ShareGroupHeartbeat", 1, GroupId="sha-o", MemberId=ONE, MemberEpoch=-1)
            s.call("ShareGroupDescribe", 1, GroupIds=["sha-o"])
    s.call("DeleteGroups", 2, GroupsNames=["sha-o"])
