"""Transactions in every order, and what administrators see of them."""
from rawkafka import batch

from .records import STAMP, produce, read

V1, V2 = dict(init=4, add=3, offsets=3, commit=3, end=4, produce=11), dict(init=5, add=3, offsets=4, commit=5, end=5, produce=12)


def init(s, version, name, **more):
    fields = dict(dict(TransactionalId=name, TransactionTimeoutMs=60000), **more)
    return s.call("InitProducerId", version, fields)


def add(s, version, name, pid, epoch, *topics, **more):
    rows = [dict(Name=topic, Partitions=list(parts)) for topic, parts in topics]
    if version < 4:
        return s.call("AddPartitionsToTxn", version, V3AndBelowTransactionalId=name, V3AndBelowProducerId=pid, V3AndBelowProducerEpoch=epoch, V3AndBelowTopics=rows)
    return s.call("AddPartitionsToTxn", version, Transactions=[dict(more, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, Topics=rows)])


def write(s, version, name, pid, epoch, seq, topic, part=0, attributes=16):
    return produce(s, version, {topic: [(part, batch(b"t", timestamp=STAMP, attributes=attributes, pid=pid, epoch=epoch, seq=seq))]}, TransactionalId=name)


def end(s, version, name, pid, epoch, committed=True):
    return s.call("EndTxn", version, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, Committed=committed)


def offsets(s, version, name, pid, epoch, group, topic="txn-t", **more):
    return s.call("TxnOffsetCommit", version, dict(more, TransactionalId=name, GroupId=group, ProducerId=pid, ProducerEpoch=epoch,
                  Topics=[dict(Name=topic, Partitions=[dict(PartitionIndex=0, CommittedOffset=3, CommittedMetadata="m")])]))


def describe(s, name, topic="txn-t"):
    s.call("DescribeTransactions", 0, TransactionalIds=[name])
    s.call("DescribeProducers", 0, Topics=[dict(Name=topic, PartitionIndexes=[0])])


def completed(answer):
    return answer["TransactionStates"][0]["TransactionState"].startswith("Complete")


def case_init(s):
    for version in range(6):
        name = f"init-{version}"
        for fields in (dict(TransactionalId=""), dict(TransactionTimeoutMs=0), dict(TransactionTimeoutMs=-1), dict(TransactionTimeoutMs=900000), dict(TransactionTimeoutMs=900001), {}, {},
                       dict(TransactionalId=None), dict(TransactionalId=None, TransactionTimeoutMs=0), dict(TransactionalId=None, TransactionTimeoutMs=-5), dict(TransactionalId="x" * 300)):
            made = init(s, version, **dict(dict(name=name), **{"name" if key == "TransactionalId" else key: value for key, value in fields.items()}))
        if version >= 3:
            made = init(s, version, name)
            pid, epoch = made["ProducerId"], made["ProducerEpoch"]
            for one, other in ((pid, epoch), (pid, epoch), (pid, epoch + 1), (pid, epoch + 9), (pid, epoch - 1), (pid + 99, epoch), (pid, -1), (-1, epoch), (-2, -2)):
                init(s, version, name, ProducerId=one, ProducerEpoch=other)
                init(s, version, None, ProducerId=one, ProducerEpoch=other)
            init(s, version, name + "new", ProducerId=pid, ProducerEpoch=epoch)
    describe(s, "init-5")


def states(s, kinds, prefix):
    """Each call in each state of a transaction."""
    topic = "txn-t"
    s.topic(topic, 2)

    def begun(name):
        made = s.quiet("InitProducerId", kinds["init"], TransactionalId=name, TransactionTimeoutMs=60000)
        return made["ProducerId"], made["ProducerEpoch"]

    def calls(name, pid, epoch, seq=0):
        describe(s, name)
        for who, when in ((pid, epoch + 1), (pid, epoch - 1), (pid + 555, epoch), (-1, -1)):
            for version in range(6):
                add(s, version, name, who, when, (topic, [0]))
            for version in range(5):
                s.call("AddOffsetsToTxn", version, TransactionalId=name, ProducerId=who, ProducerEpoch=when, GroupId="txn-g")
            for version in range(6):
                offsets(s, version, name, who, when, "txn-g")
                end(s, version, name, who, when)
                end(s, version, name, who, when, False)
            for version in (9, 11, 12) if who >= 0 else ():
                write(s, version, name, who, when, seq, topic)
        s.call("AddPartitionsToTxn", 3, V3AndBelowTransactionalId=name, V3AndBelowProducerId=pid, V3AndBelowProducerEpoch=epoch, V3AndBelowTopics=[])
        add(s, 3, name, pid, epoch, ("txn-none", [0]), (topic, [0]))
        add(s, 3, name, pid, epoch, (topic, [9]))
        add(s, 4, name, pid, epoch, (topic, [0]), VerifyOnly=True)
        add(s, 5, name, pid, epoch, (topic, [0, 9]), VerifyOnly=True)
        s.call("AddOffsetsToTxn", 3, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, GroupId="")
        write(s, kinds["produce"], name, pid, epoch, seq, topic, attributes=0)
        write(s, kinds["produce"], None, pid, epoch, seq, topic)
        write(s, kinds["produce"], "other", pid, epoch, seq, topic)

    name = f"{prefix}-empty"
    pid, epoch = begun(name)
    calls(name, pid, epoch)
    end(s, kinds["end"], name, pid, epoch)
    describe(s, name)
    name = f"{prefix}-ongoing"
    pid, epoch = begun(name)
    add(s, kinds["add"], name, pid, epoch, (topic, [1]))
    write(s, kinds["produce"], name, pid, epoch, 0, topic, 1)
    calls(name, pid, epoch)
    s.call("AddOffsetsToTxn", kinds["offsets"], TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, GroupId="txn-g")
    offsets(s, kinds["commit"], name, pid, epoch, "txn-g")
    s.call("OffsetFetch", 8, Groups=[dict(GroupId="txn-g", Topics=None)], RequireStable=True)
    s.call("OffsetFetch", 8, Groups=[dict(GroupId="txn-g", Topics=[dict(Name=topic, PartitionIndexes=[0, 1])])], RequireStable=True)
    s.call("OffsetFetch", 8, Groups=[dict(GroupId="txn-g", Topics=None)], RequireStable=False)
    s.call("ListOffsets", 7, ReplicaId=-1, IsolationLevel=1, Topics=[dict(Name=topic, Partitions=[dict(PartitionIndex=part, Timestamp=-1) for part in (0, 1)])])
    s.call("DescribeTransactions", 0, TransactionalIds=[name, "none", ""])
    done = end(s, kinds["end"], name, pid, epoch)
    s.until(completed, "DescribeTransactions", 0, TransactionalIds=[name])
    later = done["ProducerEpoch"] if kinds["end"] >= 5 else epoch
    for committed in (True, False):
        end(s, kinds["end"], name, pid, epoch, committed)
        s.until(completed, "DescribeTransactions", 0, TransactionalIds=[name])
        end(s, kinds["end"], name, pid, later, committed)
        s.until(completed, "DescribeTransactions", 0, TransactionalIds=[name])
    calls(name, pid, later)
    describe(s, name)
    s.call("OffsetFetch", 8, Groups=[dict(GroupId="txn-g", Topics=None)], RequireStable=True)
    init(s, kinds["init"], name)
    describe(s, name)
    calls("txn-nobody", 12345, 0)
    calls("", 12345, 0)


def case_first(s):
    states(s, V1, "one")


def case_second(s):
    states(s, V2, "two")


def case_read(s):
    """What a reader sees: aborted, committed, open."""
    for kinds, topic in ((V1, "txr-a"), (V2, "txr-b")):
        uuid = s.topic(topic)
        name = topic
        made = init(s, kinds["init"], name)
        pid, epoch = made["ProducerId"], made["ProducerEpoch"]
        seq = 0
        for committed in (True, False, True, False):
            if kinds is V1:
                add(s, 3, name, pid, epoch, (topic, [0]))
            write(s, kinds["produce"], name, pid, epoch, seq, topic)
            seq += 1
            read(s, 12, topic, IsolationLevel=1)
            done = end(s, kinds["end"], name, pid, epoch, committed)
            if kinds is V2:
                epoch, seq = done["ProducerEpoch"], 0
            s.until(completed, "DescribeTransactions", 0, TransactionalIds=[name])
        for version in (4, 11, 12):
            for offset in range(9):
                read(s, version, topic, offset, IsolationLevel=1)
            read(s, version, topic, 0, IsolationLevel=0)
        read(s, 16, uuid, 2, IsolationLevel=1)
        init(s, kinds["init"], name)
        describe(s, name, topic)


def case_fencing(s):
    s.topic("txf")
    for version in (3, 4, 5):
        name = f"fence-{version}"
        made = init(s, version, name)
        pid, epoch = made["ProducerId"], made["ProducerEpoch"]
        add(s, 3, name, pid, epoch, ("txf", [0]))
        write(s, 11, name, pid, epoch, 0, "txf")
        init(s, version, name)
        again = s.until(lambda got: got["ErrorCode"] == 0, "InitProducerId", version, TransactionalId=name, TransactionTimeoutMs=60000)
        s.note("epoch", {}, again["ProducerEpoch"] - epoch)
        add(s, 3, name, pid, epoch, ("txf", [0]))
        write(s, 11, name, pid, epoch, 1, "txf")
        end(s, 3, name, pid, epoch)
        end(s, 1, name, pid, epoch)


def case_markers(s):
    s.topic("txm", 2)
    for version in (1, 2):
        pid = 9000 + version
        more = {} if version < 2 else dict(TransactionVersion=2)
        for producer, epoch, coordinator, topics in ((pid, 0, 0, [("txm", [0, 9])]), (pid, 0, 0, [("txm-none", [0])]), (pid, 1, 0, [("txm", [0])]), (pid, 0, 1, [("txm", [0])]), (pid, 1, -1, [("txm", [0])]),
                                                     (pid, 1, 0, []), (-1, -1, 0, [("txm", [0])]), (pid, 5, 3, [("__consumer_offsets", [0])])):
            row = dict(more, ProducerId=producer, ProducerEpoch=epoch, TransactionResult=True, CoordinatorEpoch=coordinator, Topics=[dict(Name=name, PartitionIndexes=parts) for name, parts in topics])
            s.call("WriteTxnMarkers", version, Markers=[row])
            s.call("WriteTxnMarkers", version, Markers=[dict(row, TransactionResult=False), dict(row, ProducerId=7000 + version)])
        s.call("WriteTxnMarkers", version, Markers=[])
    s.call("ListOffsets", 7, ReplicaId=-1, Topics=[dict(Name="txm", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])
    read(s, 12, "txm")


def case_list(s):
    s.topic("txl")
    for name in ("list-a", "list-b"):
        made = s.quiet("InitProducerId", 4, TransactionalId=name, TransactionTimeoutMs=60000)
        if name == "list-b":
            s.quiet("AddPartitionsToTxn", 3, V3AndBelowTransactionalId=name, V3AndBelowProducerId=made["ProducerId"], V3AndBelowProducerEpoch=made["ProducerEpoch"],
                    V3AndBelowTopics=[dict(Name="txl", Partitions=[0])])
    for version in range(3):
        for states_ in ([], ["Ongoing"], ["ongoing"], ["Empty"], ["nonsense"], ["Ongoing", "nonsense"], [""], ["PrepareCommit"], ["PrepareEpochFence"], ["CompleteCommit"], ["Dead"]):
            s.call("ListTransactions", version, StateFilters=states_)
        for pids in ([made["ProducerId"]], [made["ProducerId"], 999999], [-1], [999999]):
            s.call("ListTransactions", version, ProducerIdFilters=pids)
        for age in (0, 1, 1000000, -1, -5) if version >= 1 else ():
            s.call("ListTransactions", version, DurationFilter=age, StateFilters=["Ongoing"])
        for pattern in ("list-.*", "list", "", "list-[", None, "(?<x>list-a)", "LIST-A", "list-a|list-b") if version >= 2 else ():
            s.call("ListTransactions", version, TransactionalIdPattern=pattern)
    s.call("DescribeTransactions", 0, TransactionalIds=["list-a", "list-b", "list-a"])
    s.call("DescribeTransactions", 0, TransactionalIds=[])
