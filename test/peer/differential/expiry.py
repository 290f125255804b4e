"""What ends by itself: members of groups that are not heard of any more, transactions that take too long, fetch sessions that find no place.

Times are short, and what is to end is waited for: by what the broker says of it, never by the clock.
"""
import kafkaspec
from harness import patient
from rawkafka import Connection, batch

from .consumers import ONE, TWO, beat, full
from .groups import GONE, ask_all, commit, join, member_of
from .records import STAMP, fill, produce

SHORT = int(patient(2) * 1000)
OPTIONS = ("group.min.session.timeout.ms=100", f"group.consumer.min.session.timeout.ms={SHORT}", f"group.consumer.session.timeout.ms={SHORT}", "group.consumer.min.heartbeat.interval.ms=200",
           "group.consumer.heartbeat.interval.ms=200", f"group.share.min.session.timeout.ms={SHORT}", f"group.share.session.timeout.ms={SHORT}", "group.share.min.heartbeat.interval.ms=200",
           "group.share.heartbeat.interval.ms=200", "group.share.min.record.lock.duration.ms=1000", f"group.streams.min.session.timeout.ms={SHORT}", f"group.streams.session.timeout.ms={SHORT}",
           "group.streams.min.heartbeat.interval.ms=200", "group.streams.heartbeat.interval.ms=200", "group.streams.initial.rebalance.delay.ms=0", "transaction.abort.timed.out.transaction.cleanup.interval.ms=200", "max.incremental.fetch.session.cache.slots=16")


def state_of(answer):
    return answer["Groups"][0]["GroupState"]


def waits_for(s, group, *states, describe=("DescribeGroups", 6, "Groups")):
    """Until the group is in one of the states."""
    name, version, field = describe
    return s.until(lambda got: state_of(got) in states, name, version, **{field: [group]})


CONSUMER = ("ConsumerGroupDescribe", 1, "GroupIds")
SHARE = ("ShareGroupDescribe", 1, "GroupIds")
STREAMS = ("StreamsGroupDescribe", 0, "GroupIds")


def configured(s, group, **configs):
    """A group with configs of its own."""
    rows = [dict(Name=name.replace("_", "."), ConfigOperation=0, Value=str(value)) for name, value in configs.items()]
    s.quiet("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=32, ResourceName=group, Configs=rows)])
    wanted = {row["Name"]: row["Value"] for row in rows}
    s.until(lambda got: {row["Name"]: row["Value"] for row in got["Results"][0]["Configs"]} == wanted, "DescribeConfigs", 4,
            Resources=[dict(ResourceType=32, ResourceName=group, ConfigurationKeys=list(wanted))])
    s.settle()


def case_member(s):
    """The only one of a group of the first protocol."""
    s.topic("grp-t", 2)
    for version in (0, 4, 9):
        group = f"exp-one-{version}"
        s.quiet("OffsetCommit", 7, commit(group, ("grp-t", 1, 3, "m")))
        member, generation = member_of(s, version, group, SessionTimeoutMs=SHORT)
        waits_for(s, group, "Empty")
        s.call("DescribeGroups", 6, Groups=[group])
        s.call("ListGroups", 5, StatesFilter=["Stable"])
        ask_all(s, group, member, generation)
        s.call("OffsetFetch", 9, Groups=[dict(GroupId=group, Topics=None)])
        s.call("JoinGroup", version, {key: value for key, value in join(group, member).items() if version or key != "RebalanceTimeoutMs"})
        again, then = member_of(s, version, group, SessionTimeoutMs=30000)
        s.call("Heartbeat", 4, GroupId=group, GenerationId=then, MemberId=again)
        s.call("Heartbeat", 4, GroupId=group, GenerationId=generation, MemberId=member)
        s.call("LeaveGroup", 5, GroupId=group, Members=[dict(MemberId=member), dict(MemberId=again)])
        s.call("DeleteGroups", 2, GroupsNames=[group])


def case_static(s):
    """One with a name of its own loses its place too."""
    s.topic("grp-t", 2)
    member, generation = member_of(s, 7, "exp-static", GroupInstanceId="st", SessionTimeoutMs=SHORT)
    waits_for(s, "exp-static", "Empty")
    s.call("DescribeGroups", 6, Groups=["exp-static"])
    ask_all(s, "exp-static", member, generation)
    for who in (member, GONE, ""):
        for name, version, more in (("Heartbeat", 4, {}), ("SyncGroup", 5, {}), ("OffsetCommit", 9, dict(Topics=[]))):
            key = "GenerationIdOrMemberEpoch" if name == "OffsetCommit" else "GenerationId"
            s.call(name, version, {"GroupId": "exp-static", key: generation, "MemberId": who, "GroupInstanceId": "st", **more})
    s.call("JoinGroup", 9, join("exp-static", member, GroupInstanceId="st"))
    again = s.call("JoinGroup", 9, join("exp-static", "", GroupInstanceId="st", SessionTimeoutMs=30000))
    s.call("DescribeGroups", 6, Groups=["exp-static"])
    s.call("LeaveGroup", 5, GroupId="exp-static", Members=[dict(MemberId="", GroupInstanceId="st"), dict(MemberId=again["MemberId"])])


def joins(s, group, version=4, **more):
    """A second member that waits for the first one to join again, or to be gone: its answer."""
    fields = join(group, **more)
    fields["MemberId"] = s.quiet("JoinGroup", version, fields)["MemberId"]
    connection = s.other()
    answer = kafkaspec.call(connection, "JoinGroup", version, fields)
    s.note("the other one", {}, answer)
    return answer, fields["MemberId"]


def case_rebalance(s):
    """One of two that does not join again, or not in time; one that does not wait for its assignment."""
    s.topic("grp-t", 2)
    # not heard of: its session ends before the others' time to join
    member, generation = member_of(s, 4, "exp-two", SessionTimeoutMs=SHORT)
    answer, other = joins(s, "exp-two", SessionTimeoutMs=30000)
    for who, when in ((member, generation), (other, answer["GenerationId"])):
        s.call("Heartbeat", 4, GroupId="exp-two", GenerationId=when, MemberId=who)
        s.call("SyncGroup", 3, GroupId="exp-two", GenerationId=when, MemberId=who, Assignments=[dict(MemberId=who, Assignment=b"mine")])
    s.call("JoinGroup", 4, join("exp-two", member))
    s.call("DescribeGroups", 6, Groups=["exp-two"])
    # heard of, but it does not join
    member, generation = member_of(s, 4, "exp-slow", RebalanceTimeoutMs=SHORT)
    answer, other = joins(s, "exp-slow", RebalanceTimeoutMs=SHORT)
    s.call("Heartbeat", 4, GroupId="exp-slow", GenerationId=generation, MemberId=member)
    s.call("OffsetCommit", 7, commit("exp-slow", ("grp-t", 0, 5, "m"), MemberId=member, GenerationIdOrMemberEpoch=generation))
    s.call("DescribeGroups", 6, Groups=["exp-slow"])
    # it has joined, and does not ask for its assignment in time
    waits_for(s, "exp-slow", "Empty", "PreparingRebalance")
    s.call("Heartbeat", 4, GroupId="exp-slow", GenerationId=answer["GenerationId"], MemberId=other)
    waits_for(s, "exp-slow", "Empty")
    s.call("DescribeGroups", 6, Groups=["exp-slow"])
    s.call("SyncGroup", 3, GroupId="exp-slow", GenerationId=answer["GenerationId"], MemberId=other)


def case_consumer(s):
    """A member of the new protocol."""
    uuid = s.topic("con-t", 2)
    s.settle()
    owned = [dict(TopicId=uuid, Partitions=[0, 1])]
    for place, more in enumerate((dict(), dict(InstanceId="st"))):
        group = f"exp-con-{place}"
        epoch = s.call("ConsumerGroupHeartbeat", 1, full(group, **more))["MemberEpoch"]
        waits_for(s, group, "Empty", describe=CONSUMER)
        s.call("ConsumerGroupDescribe", 1, GroupIds=[group])
        s.call("ListGroups", 5, TypesFilter=["consumer"], StatesFilter=["Empty"])
        for fields in (beat(group, ONE, epoch), beat(group, ONE, epoch, TopicPartitions=owned), beat(group, ONE, epoch - 1), beat(group, ONE, -1), beat(group, ONE, -2, **more)):
            s.call("ConsumerGroupHeartbeat", 1, dict(fields, **more))
        s.call("OffsetCommit", 9, commit(group, ("con-t", 0, 5, "m"), MemberId=ONE, GenerationIdOrMemberEpoch=epoch))
        s.call("OffsetFetch", 9, Groups=[dict(GroupId=group, MemberId=ONE, MemberEpoch=epoch, Topics=None)])
        s.call("TxnOffsetCommit", 3, TransactionalId="exp-none", GroupId=group, ProducerId=7, ProducerEpoch=0, GenerationId=epoch, MemberId=ONE, Topics=[])
        s.call("ConsumerGroupHeartbeat", 1, full(group, TWO, **more))
        s.call("ConsumerGroupHeartbeat", 1, beat(group, TWO, -1))
        s.call("DeleteGroups", 2, GroupsNames=[group])


def case_slow(s):
    """A member of the new protocol that is heard of, but does not give back in time what another one is to have."""
    uuid = s.topic("con-t", 2)
    configured(s, "exp-slow-c", consumer_session_timeout_ms=45000)
    owned = [dict(TopicId=uuid, Partitions=[0, 1])]
    epoch = s.call("ConsumerGroupHeartbeat", 1, full("exp-slow-c", RebalanceTimeoutMs=SHORT))["MemberEpoch"]
    s.call("ConsumerGroupHeartbeat", 1, beat("exp-slow-c", ONE, epoch, TopicPartitions=owned))
    other = s.call("ConsumerGroupHeartbeat", 1, full("exp-slow-c", TWO))["MemberEpoch"]
    s.call("ConsumerGroupHeartbeat", 1, beat("exp-slow-c", ONE, epoch, TopicPartitions=owned))
    s.until(lambda got: got["ErrorCode"] != 0, "ConsumerGroupHeartbeat", 1, **beat("exp-slow-c", ONE, epoch, TopicPartitions=owned))
    s.call("ConsumerGroupHeartbeat", 1, beat("exp-slow-c", ONE, epoch, TopicPartitions=owned))
    s.call("OffsetCommit", 9, commit("exp-slow-c", ("con-t", 0, 5, "m"), MemberId=ONE, GenerationIdOrMemberEpoch=epoch))
    answer = s.until(lambda got: got["MemberEpoch"] > other, "ConsumerGroupHeartbeat", 1, **beat("exp-slow-c", TWO, other, TopicPartitions=[]))
    s.note("the other one", {}, answer)
    s.call("ConsumerGroupHeartbeat", 1, beat("exp-slow-c", TWO, answer["MemberEpoch"], TopicPartitions=owned))
    s.call("ConsumerGroupDescribe", 1, GroupIds=["exp-slow-c"])
    s.call("ConsumerGroupHeartbeat", 1, full("exp-slow-c"))


def case_share(s):
    """A member of a share group: what it had is given to the next one."""
    uuid = s.topic("sha-e")
    s.quiet("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=32, ResourceName="exp-sha", Configs=[dict(Name="share.auto.offset.reset", ConfigOperation=0, Value="earliest")])])
    s.until(lambda got: got["Results"][0]["Configs"][0]["Value"] == "earliest", "DescribeConfigs", 4, Resources=[dict(ResourceType=32, ResourceName="exp-sha", ConfigurationKeys=["share.auto.offset.reset"])])
    fill(s, "sha-e", 3)
    epoch = s.call("ShareGroupHeartbeat", 1, GroupId="exp-sha", MemberId=ONE, MemberEpoch=0, SubscribedTopicNames=["sha-e"])["MemberEpoch"]
    waits_for(s, "exp-sha", "Empty", describe=SHARE)
    s.call("ShareGroupDescribe", 1, GroupIds=["exp-sha"])
    s.call("ShareGroupHeartbeat", 1, GroupId="exp-sha", MemberId=ONE, MemberEpoch=epoch)
    s.call("ShareGroupHeartbeat", 1, GroupId="exp-sha", MemberId=ONE, MemberEpoch=-1)
    s.call("ShareAcknowledge", 1, GroupId="exp-sha", MemberId=ONE, ShareSessionEpoch=1, Topics=[dict(TopicId=uuid, Partitions=[dict(PartitionIndex=0, AcknowledgementBatches=[dict(FirstOffset=0, LastOffset=0, AcknowledgeTypes=[1])])])])
    s.call("DeleteGroups", 2, GroupsNames=["exp-sha"])


def acquiring(uuid, group, member, **more):
    """A ShareFetch that begins a session."""
    return dict(dict(GroupId=group, MemberId=member, ShareSessionEpoch=0, MaxWaitMs=300, MinBytes=1, MaxBytes=1 << 20, MaxRecords=100, BatchSize=100,
                     Topics=[dict(TopicId=uuid, Partitions=[dict(PartitionIndex=0)])]), **more)


def acquired(answer):
    return any(part["AcquiredRecords"] for row in answer["Responses"] for part in row["Partitions"])


def sharing(s, topic, group, lock_ms):
    """Two members of a share group that begins at the first record; the topic's id."""
    uuid = s.topic(topic)
    configured(s, group, share_auto_offset_reset="earliest", share_session_timeout_ms=45000, share_record_lock_duration_ms=lock_ms)
    fill(s, topic, 3)
    for member in (ONE, TWO):
        s.quiet("ShareGroupHeartbeat", 1, GroupId=group, MemberId=member, MemberEpoch=0, SubscribedTopicNames=[topic])
    return uuid


def case_locks(s):
    """Records that a member had for too long are given to another one, and it may not say any more what became of them."""
    uuid = sharing(s, "sha-l", "exp-lock", SHORT)
    s.note("the first one", {}, s.until(acquired, "ShareFetch", 1, **acquiring(uuid, "exp-lock", ONE)))
    with Connection(s.port) as other:
        answer = kafkaspec.call(other, "ShareFetch", 1, acquiring(uuid, "exp-lock", TWO))
        while not acquired(answer):
            answer = kafkaspec.call(other, "ShareFetch", 1, acquiring(uuid, "exp-lock", TWO))
        s.note("the second one", {}, answer)
        for first, last in ((0, 0), (1, 2)):
            s.call("ShareAcknowledge", 1, GroupId="exp-lock", MemberId=ONE, ShareSessionEpoch=1 + first, Topics=[dict(TopicId=uuid, Partitions=[
                dict(PartitionIndex=0, AcknowledgementBatches=[dict(FirstOffset=first, LastOffset=last, AcknowledgeTypes=[1])])])])


def case_left(s):
    """Records of a member whose connection has ended are given to another one at once."""
    uuid = sharing(s, "sha-c", "exp-left", 30000)
    with Connection(s.port) as first:
        answer = kafkaspec.call(first, "ShareFetch", 1, acquiring(uuid, "exp-left", ONE))
        while not acquired(answer):
            answer = kafkaspec.call(first, "ShareFetch", 1, acquiring(uuid, "exp-left", ONE))
        s.note("the first one", {}, answer)
    s.note("the second one", {}, s.until(acquired, "ShareFetch", 1, **acquiring(uuid, "exp-left", TWO)))
    s.call("ShareGroupDescribe", 1, GroupIds=["exp-left"])


def case_streams(s):
    """A member of a streams group."""
    s.topic("str-e", 2)
    s.settle()
    topology = dict(Epoch=0, Subtopologies=[dict(SubtopologyId="0", SourceTopics=["str-e"])])
    joining = dict(GroupId="exp-str", MemberId=ONE, MemberEpoch=0, RebalanceTimeoutMs=30000, Topology=topology, ActiveTasks=[], StandbyTasks=[], WarmupTasks=[], ProcessId="p", ClientTags=[])
    epoch = s.call("StreamsGroupHeartbeat", 0, joining)["MemberEpoch"]
    waits_for(s, "exp-str", "Empty", describe=STREAMS)
    s.call("StreamsGroupDescribe", 0, GroupIds=["exp-str"])
    for more in (epoch, -1):
        s.call("StreamsGroupHeartbeat", 0, GroupId="exp-str", MemberId=ONE, MemberEpoch=more)
    s.call("OffsetCommit", 9, commit("exp-str", ("str-e", 0, 5, "m"), MemberId=ONE, GenerationIdOrMemberEpoch=epoch))
    s.call("ListGroups", 5, TypesFilter=["streams"])
    s.call("DeleteGroups", 2, GroupsNames=["exp-str"])


def case_transaction(s):
    """One that takes longer than it may is aborted; its producer is told."""
    s.topic("txn-e")
    s.settle()
    for init, add, write, end in ((4, 3, 11, 4), (5, None, 12, 5)):
        name = f"exp-txn-{init}"
        made = s.call("InitProducerId", init, TransactionalId=name, TransactionTimeoutMs=SHORT)
        pid, epoch = made["ProducerId"], made["ProducerEpoch"]
        if add:
            s.quiet("AddPartitionsToTxn", add, V3AndBelowTransactionalId=name, V3AndBelowProducerId=pid, V3AndBelowProducerEpoch=epoch, V3AndBelowTopics=[dict(Name="txn-e", Partitions=[0])])
        records = batch(b"t", timestamp=STAMP, attributes=16, pid=pid, epoch=epoch, seq=0)
        produce(s, write, {"txn-e": [(0, records)]}, note=False, TransactionalId=name)
        s.until(lambda got: got["TransactionStates"][0]["TransactionState"] == "CompleteAbort", "DescribeTransactions", 0, TransactionalIds=[name])
        s.call("DescribeTransactions", 0, TransactionalIds=[name])
        s.call("DescribeProducers", 0, Topics=[dict(Name="txn-e", PartitionIndexes=[0])])
        for committed in (True, False):
            s.call("EndTxn", end, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, Committed=committed)
        records = batch(b"u", timestamp=STAMP, attributes=16, pid=pid, epoch=epoch, seq=1)
        produce(s, write, {"txn-e": [(0, records)]}, TransactionalId=name)
        s.call("AddPartitionsToTxn", 3, V3AndBelowTransactionalId=name, V3AndBelowProducerId=pid, V3AndBelowProducerEpoch=epoch, V3AndBelowTopics=[dict(Name="txn-e", Partitions=[0])])
        s.call("AddOffsetsToTxn", 4, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, GroupId="exp-g")
        s.call("InitProducerId", init, TransactionalId=name, TransactionTimeoutMs=60000, ProducerId=pid, ProducerEpoch=epoch)
        s.call("InitProducerId", init, TransactionalId=name, TransactionTimeoutMs=60000)


def case_fenced(s):
    """One whose transaction is ended because another one comes with its name: it may come again until the other one has an epoch."""
    s.topic("txn-e")
    for first in ("old", "new"):
        name = f"exp-fen-{first}"
        made = s.call("InitProducerId", 5, TransactionalId=name, TransactionTimeoutMs=60000)
        old = dict(ProducerId=made["ProducerId"], ProducerEpoch=made["ProducerEpoch"])
        records = batch(b"t", timestamp=STAMP, attributes=16, pid=made["ProducerId"], epoch=made["ProducerEpoch"], seq=0)
        produce(s, 12, {"txn-e": [(0, records)]}, note=False, TransactionalId=name)
        s.call("InitProducerId", 5, TransactionalId=name, TransactionTimeoutMs=60000, what="another one")
        s.until(lambda got: got["TransactionStates"][0]["TransactionState"] == "CompleteAbort", "DescribeTransactions", 0, TransactionalIds=[name])
        if first == "old":
            s.call("InitProducerId", 5, old, TransactionalId=name, TransactionTimeoutMs=60000, what="the old one")
        s.call("InitProducerId", 5, TransactionalId=name, TransactionTimeoutMs=60000, what="another one")
        s.call("InitProducerId", 5, old, TransactionalId=name, TransactionTimeoutMs=60000, what="the old one")
        s.call("DescribeTransactions", 0, TransactionalIds=[name])


def session(s, topics, **more):
    fields = dict(dict(MaxWaitMs=0, MinBytes=0, MaxBytes=1 << 20, SessionEpoch=0, Topics=[dict(Topic=name, Partitions=[dict(Partition=0, PartitionMaxBytes=1 << 20)]) for name in topics]), **more)
    return s.call("Fetch", 12, fields)


def case_fetch_sessions(s):
    """More sessions than there is room for: the newest gets none, the others go on; one that is closed makes room."""
    names = [f"exp-f-{place}" for place in range(3)]
    for name in names:
        s.topic(name)
        fill(s, name, 1)
    ids = [session(s, names[:1])["SessionId"] for _ in range(16)]
    s.note("sessions", {}, [number > 0 for number in ids])
    for topics in (names[:1], names):
        s.note("has a session", {}, session(s, topics)["SessionId"] > 0)
    for place in (0, 15):
        session(s, [], SessionId=ids[place], SessionEpoch=1)
        session(s, [], SessionId=ids[place], SessionEpoch=1)
        session(s, [], SessionId=ids[place], SessionEpoch=3)
    session(s, [], SessionId=ids[3], SessionEpoch=-1)
    session(s, [], SessionId=ids[3], SessionEpoch=1)
    for topic in names:
        session(s, [topic], SessionId=ids[4], SessionEpoch=-1)
    session(s, [], SessionId=ids[4], SessionEpoch=1)
    session(s, [], SessionId=0, SessionEpoch=1)
    session(s, [], SessionId=-5, SessionEpoch=1)
