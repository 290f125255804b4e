"""Consumer groups of KIP-848."""
from .groups import ask_all, join

ONE, TWO, MISSING = "AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg", bytes(15) + b"\7"


def beat(group, member=ONE, epoch=0, **more):
    return dict(dict(GroupId=group, MemberId=member, MemberEpoch=epoch), **more)


def full(group, member=ONE, epoch=0, **more):
    return beat(group, member, epoch, **dict(dict(RebalanceTimeoutMs=30000, SubscribedTopicNames=["con-t"], TopicPartitions=[]), **more))


def case_bad(s):
    s.topic("con-t", 2)
    rows = [beat("con-bad"), full(""), full("con-bad", ""), full("con-bad", RebalanceTimeoutMs=-1), full("con-bad", RebalanceTimeoutMs=0), full("con-bad", SubscribedTopicNames=None),
            full("con-bad", SubscribedTopicNames=[]), full("con-bad", TopicPartitions=None), full("con-bad", TopicPartitions=[dict(TopicId=MISSING, Partitions=[0])]),
            full("con-bad", ServerAssignor="nonsense"), full("con-bad", ServerAssignor=""), full("con-bad", InstanceId=""), full("con-bad", RackId=""), full("con-bad", epoch=1),
            full("con-bad", epoch=-1), full("con-bad", epoch=-2), full("con-bad", epoch=-3), full("con-bad", epoch=-2, InstanceId="i"), full("con-bad", SubscribedTopicNames=[""]),
            full("con-bad", SubscribedTopicNames=["a b"]), full("con-bad", "x" * 100), full("con-bad", "not a uuid"), full("con-bad2", SubscribedTopicNames=["con-none"]),
            beat("con-bad", epoch=5), beat("con-bad", epoch=-1), full(" "), full("x" * 300)]
    regexes = ["con-.*", "", "(", "[a", "a{2,1}", "con-(?!x).*", "\\p{L}+", "(?<n>a)", "*"]
    for version in (0, 1):
        for fields in rows:
            s.call("ConsumerGroupHeartbeat", version, fields)
        s.call("ConsumerGroupHeartbeat", version, full("con-own", "" if version == 0 else ONE))
        for regex in regexes if version else ():
            s.call("ConsumerGroupHeartbeat", version, full(f"con-re-{regexes.index(regex)}", SubscribedTopicNames=None, SubscribedTopicRegex=regex))
            s.call("ConsumerGroupHeartbeat", version, full(f"con-rb-{regexes.index(regex)}", SubscribedTopicRegex=regex))
    s.call("ConsumerGroupDescribe", 1, GroupIds=["con-bad", "con-none", "", "con-own"])


def case_life(s):
    uuid = s.topic("con-t", 2)
    for version in (0, 1):
        group = f"con-life-{version}"
        first = s.call("ConsumerGroupHeartbeat", version, full(group))
        for describe in (0, 1):
            s.call("ConsumerGroupDescribe", describe, GroupIds=[group], again=False)
            s.call("ConsumerGroupDescribe", describe, GroupIds=[group, group], IncludeAuthorizedOperations=True)
        owned = [dict(TopicId=uuid, Partitions=[0, 1])]
        epoch = first["MemberEpoch"]
        for fields in (beat(group, ONE, epoch), beat(group, ONE, epoch, TopicPartitions=owned), beat(group, ONE, epoch + 1), beat(group, ONE, epoch - 1), beat(group, TWO, 2), beat(group, ONE, epoch, TopicPartitions=[]),
                       beat(group, ONE, epoch, TopicPartitions=[dict(TopicId=MISSING, Partitions=[0])]), beat(group, ONE, epoch, RebalanceTimeoutMs=10000), full(group, ONE, epoch), full(group),
                       beat(group, ONE, epoch, InstanceId="later"), beat(group, ONE, epoch, RackId="r"), beat(group, ONE, epoch, ServerAssignor="range"), beat(group, ONE, epoch, ServerAssignor="uniform"),
                       beat(group, ONE, epoch, SubscribedTopicNames=["con-none"]), beat(group, ONE, epoch)):
            s.call("ConsumerGroupHeartbeat", version, fields)
        s.call("ConsumerGroupDescribe", 1, GroupIds=[group])
        s.call("DescribeGroups", 6, Groups=[group])
        s.call("DescribeGroups", 5, Groups=[group])
        s.call("ShareGroupDescribe", 1, GroupIds=[group])
        s.call("DeleteGroups", 2, GroupsNames=[group])
        s.call("JoinGroup", 9, join(group))
        s.call("JoinGroup", 3, join(group))
        s.call("ShareGroupHeartbeat", 1, GroupId=group, MemberId=TWO, MemberEpoch=0, SubscribedTopicNames=["con-t"])
        s.call("OffsetDelete", 0, GroupId=group, Topics=[dict(Name="con-t", Partitions=[dict(PartitionIndex=0)])])
        s.call("OffsetDelete", 0, GroupId=group, Topics=[dict(Name="con-none", Partitions=[dict(PartitionIndex=0)])])
        for who, when in ((ONE, epoch), (ONE, epoch + 5), (ONE, -1), (TWO, epoch), ("", -1), ("", epoch)):
            for commit in (2, 8, 9):
                s.call("OffsetCommit", commit, GroupId=group, GenerationIdOrMemberEpoch=when, MemberId=who,
                       Topics=[dict(Name="con-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=4, CommittedMetadata="m")])])
            for fetch in (8, 9):
                more = dict(MemberId=who, MemberEpoch=when) if fetch >= 9 else {}
                s.call("OffsetFetch", fetch, Groups=[dict(more, GroupId=group, Topics=None)])
            s.call("OffsetFetch", 9, Groups=[dict(MemberId=None, MemberEpoch=when, GroupId=group, Topics=None)])
        s.call("ConsumerGroupHeartbeat", version, full(group, TWO))
        s.call("ConsumerGroupHeartbeat", version, beat(group, TWO, -1))
        s.call("ConsumerGroupHeartbeat", version, beat(group, TWO, -1))
        s.call("ConsumerGroupHeartbeat", version, beat(group, ONE, -2))
        s.call("ConsumerGroupHeartbeat", version, beat(group, ONE, -1))
        s.call("ConsumerGroupDescribe", 1, GroupIds=[group])
        s.call("ConsumerGroupHeartbeat", version, beat(group, ONE, -1))
        s.call("DeleteGroups", 2, GroupsNames=[group])


def case_two(s):
    """Partitions move from one member to the other."""
    uuid = s.topic("con-t", 2)
    epoch = s.call("ConsumerGroupHeartbeat", 1, full("con-two"))["MemberEpoch"]
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", ONE, epoch, TopicPartitions=[dict(TopicId=uuid, Partitions=[0, 1])]))
    s.call("ConsumerGroupHeartbeat", 1, full("con-two", TWO))
    s.call("ConsumerGroupDescribe", 1, GroupIds=["con-two"])
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", ONE, epoch, TopicPartitions=[dict(TopicId=uuid, Partitions=[0, 1])]))
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", ONE, epoch, TopicPartitions=[dict(TopicId=uuid, Partitions=[0])]))
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", TWO, epoch + 1))
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", ONE, epoch))
    s.call("ConsumerGroupHeartbeat", 1, beat("con-two", ONE, epoch + 1))
    s.call("ConsumerGroupDescribe", 1, GroupIds=["con-two"])
    s.call("ListGroups", 5)


def case_epochs(s):
    """From which number a group's epochs count, with and without something to assign."""
    s.topic("con-t", 2)
    nothing = dict(SubscribedTopicNames=[])
    for fields in (full("con-ep", **nothing), beat("con-ep", ONE, 1), full("con-ep", **nothing), full("con-ep", ONE, 1, SubscribedTopicNames=["con-t"]), beat("con-ep", ONE, -1),
                   full("con-ep", TWO), beat("con-ep", TWO, 4), full("con-eq", **nothing), beat("con-eq", ONE, -1), full("con-eq", TWO, **nothing),
                   full("con-er", SubscribedTopicNames=["con-none"]), full("con-er", TWO, **nothing),
                   full("con-es", SubscribedTopicNames=None, SubscribedTopicRegex="nothing-like-it"), beat("con-es", ONE, 1), beat("con-es", ONE, 2)):
        s.call("ConsumerGroupHeartbeat", 1, fields)
        s.call("ConsumerGroupDescribe", 1, GroupIds=[fields["GroupId"]])


def case_static(s):
    s.topic("con-t", 2)
    for fields in (full("con-st", InstanceId="i"), full("con-st", TWO, InstanceId="i"), beat("con-st", ONE, 2, InstanceId="i"), beat("con-st", ONE, 2, InstanceId="j"), beat("con-st", ONE, -2, InstanceId="i"),
                   beat("con-st", ONE, -2, InstanceId="i"), full("con-st", TWO, InstanceId="i"), beat("con-st", ONE, 2, InstanceId="i"), beat("con-st", TWO, 2), beat("con-st", TWO, 2, InstanceId="i"),
                   beat("con-st", TWO, -1, InstanceId="i"), beat("con-st", TWO, 2, InstanceId="i")):
        s.call("ConsumerGroupHeartbeat", 1, fields)
        s.call("ConsumerGroupDescribe", 1, GroupIds=["con-st"])


def case_interval(s):
    """Between assignments lies the group's interval: what becomes of members that come, change and go meanwhile."""
    uuid = s.topic("con-t", 2)
    for group in ("con-iv", "con-iw"):
        s.quiet("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=32, ResourceName=group, Configs=[dict(Name="consumer.assignment.interval.ms", ConfigOperation=0, Value="15000")])])
    s.settle()
    owned = [dict(TopicId=uuid, Partitions=[0, 1])]
    for fields in (full("con-iv"), full("con-iv", TWO), beat("con-iv", TWO, 2, TopicPartitions=[]), beat("con-iv", ONE, 2, TopicPartitions=owned), beat("con-iv", ONE, 2, SubscribedTopicNames=["con-none"]),
                   beat("con-iv", ONE, 2, TopicPartitions=[]), beat("con-iv", TWO, 2, TopicPartitions=[]), full("con-iv", ONE, 2), beat("con-iv", TWO, -1), full("con-iv", TWO), beat("con-iv", ONE, -1),
                   beat("con-iv", TWO, -1), full("con-iv"), beat("con-iv", ONE, 2), beat("con-iv", ONE, 3),
                   full("con-iw", InstanceId="i"), beat("con-iw", ONE, -2, InstanceId="i"), full("con-iw", TWO, InstanceId="i"), beat("con-iw", TWO, 2, InstanceId="i", SubscribedTopicNames=["con-none"], TopicPartitions=owned),
                   beat("con-iw", TWO, 2, InstanceId="i", TopicPartitions=[])):
        s.call("ConsumerGroupHeartbeat", 1, fields)
        s.call("ConsumerGroupDescribe", 1, GroupIds=[fields["GroupId"]])


def case_calls_of_the_first(s):
    s.topic("grp-t", 2)
    epoch = s.quiet("ConsumerGroupHeartbeat", 1, full("con-calls"))["MemberEpoch"]
    ask_all(s, "con-calls", ONE, epoch, last=True)
