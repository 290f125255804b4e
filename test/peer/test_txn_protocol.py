#!/usr/bin/env python3
"""Transactions by raw requests: the state machine and each error to the letter, in old and new versions.

Expected values are those of Apache Kafka 4.x. With PEER_KAFKA=host:port the same requests go to a broker that runs there already,
so that expectation and peer can be compared.
"""
import os
import sys
import time
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call, receive, send  # noqa: E402
from rawkafka import Connection, batch  # noqa: E402

stamp = f"{int(time.time() * 1000)}"
fresh = 0


def new_id():
    global fresh
    fresh += 1
    return f"txn-{stamp}-{fresh}"


def patiently(ask, again):
    """Asks until the answer's error is not one of those that pass by themselves."""
    end = time.monotonic() + 30
    while True:
        answer = ask()
        if answer["ErrorCode"] not in again or time.monotonic() > end:
            return answer
        time.sleep(0.02)


class Client:
    def __init__(self, port):
        self.connection = Connection(port)

    def call(self, name, version, **fields):
        return call(self.connection, name, version, fields)

    def init(self, name, version=4, timeout=60000, pid=-1, epoch=-1, retry=True):
        """(error, producer id, epoch)"""
        answer = patiently(lambda: self.call("InitProducerId", version, TransactionalId=name, TransactionTimeoutMs=timeout, ProducerId=pid,
                                             ProducerEpoch=epoch), (14, 15, 16, 51) if retry else ())
        return answer["ErrorCode"], answer["ProducerId"], answer["ProducerEpoch"]

    def add(self, name, pid, epoch, topics=(("t", [0]),), version=3, verify=False):
        """Errors by partition, in order."""
        asked = [dict(Name=topic, Partitions=partitions) for topic, partitions in topics]
        if version >= 4:
            answer = self.call("AddPartitionsToTxn", version, Transactions=[
                dict(TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, VerifyOnly=verify, Topics=asked)])
            (result,) = answer["ResultsByTransaction"]
            assert answer["ErrorCode"] == 0 and result["TransactionalId"] == name, answer
            rows = result["TopicResults"]
        else:
            rows = self.call("AddPartitionsToTxn", version, V3AndBelowTransactionalId=name, V3AndBelowProducerId=pid,
                             V3AndBelowProducerEpoch=epoch, V3AndBelowTopics=asked)["ResultsByTopicV3AndBelow"]
        errors = {(row["Name"], part["PartitionIndex"]): part["PartitionErrorCode"] for row in rows for part in row["ResultsByPartition"]}
        return [errors[topic, partition] for topic, partitions in topics for partition in partitions]

    def end(self, name, pid, epoch, commit=True, version=3, retry=True):
        """error; from version 5 on (error, producer id, epoch)"""
        answer = patiently(lambda: self.call("EndTxn", version, **end_fields(name, pid, epoch, commit)), (51,) if retry else ())
        return answer["ErrorCode"] if version < 5 else (answer["ErrorCode"], answer["ProducerId"], answer["ProducerEpoch"])

    def produce(self, name, records, topic="t", partition=0, version=9, retry=True):
        """(error, base offset)"""
        asked = [dict(Name=topic, PartitionData=[dict(Index=partition, Records=records)])]

        def ask():
            (row,) = self.call("Produce", version, TransactionalId=name, Acks=-1, TimeoutMs=5000, TopicData=asked)["Responses"]
            (part,) = row["PartitionResponses"]
            assert row["Name"] == topic and part["Index"] == partition, row
            return part
        part = patiently(ask, (19, 51, 6) if retry else ())
        return part["ErrorCode"], part["BaseOffset"]

    def add_offsets(self, name, pid, epoch, group, version=3):
        return self.call("AddOffsetsToTxn", version, TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, GroupId=group)["ErrorCode"]

    def commit_offset(self, name, pid, epoch, group, offset, version=3, generation=-1, member="", instance=None, topic="t", metadata="",
                      retry=True):
        asked = [dict(Name=topic, Partitions=[dict(CommittedOffset=offset, CommittedMetadata=metadata)])]

        def ask():
            (row,) = self.call("TxnOffsetCommit", version, TransactionalId=name, GroupId=group, ProducerId=pid, ProducerEpoch=epoch,
                               GenerationId=generation, MemberId=member, GroupInstanceId=instance, Topics=asked)["Topics"]
            (part,) = row["Partitions"]
            return part
        return patiently(ask, (14, 15, 16, 51) if retry else ())["ErrorCode"]

    def fetch_offset(self, group, stable, topic="t"):
        """(error, offset)"""
        (row,) = self.call("OffsetFetch", 7, GroupId=group, Topics=[dict(Name=topic, PartitionIndexes=[0])], RequireStable=stable)["Topics"]
        (part,) = row["Partitions"]
        return part["ErrorCode"], part["CommittedOffset"]

    def describe(self, name):
        """(error, state, timeout, started, producer id, epoch, {(topic, partition)})"""
        (found,) = self.call("DescribeTransactions", 0, TransactionalIds=[name])["TransactionStates"]
        parts = {(row["Topic"], partition) for row in found["Topics"] for partition in row["Partitions"]}
        return (found["ErrorCode"], found["TransactionState"], found["TransactionTimeoutMs"], found["TransactionStartTimeMs"],
                found["ProducerId"], found["ProducerEpoch"], parts)

    def settle(self, name):
        """Waits until markers are written: Apache Kafka answers EndTxn before."""
        while self.describe(name)[1].startswith("Prepare"):
            time.sleep(0.02)

    def list(self, states=(), pids=(), duration=None, pattern=None):
        """(error, unknown states, {id: (producer id, state)})"""
        version = 2 if pattern is not None else 0 if duration is None else 1
        answer = self.call("ListTransactions", version, StateFilters=states, ProducerIdFilters=pids,
                           DurationFilter=-1 if duration is None else duration, TransactionalIdPattern=pattern)
        found = {row["TransactionalId"]: (row["ProducerId"], row["TransactionState"]) for row in answer["TransactionStates"]}
        return answer["ErrorCode"], answer["UnknownStateFilters"], found

    def producers(self, topic, partition):
        """{producer id: (epoch, last sequence, coordinator epoch, start of its transaction)}, or an error."""
        (row,) = self.call("DescribeProducers", 0, Topics=[dict(Name=topic, PartitionIndexes=[partition])])["Topics"]
        (part,) = row["Partitions"]
        return part["ErrorCode"] or {
            one["ProducerId"]: (one["ProducerEpoch"], one["LastSequence"], one["CoordinatorEpoch"], one["CurrentTxnStartOffset"])
            for one in part["ActiveProducers"]}

    def write_marker(self, pid, epoch, commit, topic="t", partition=0, version=1):
        (marker,) = self.call("WriteTxnMarkers", version, Markers=[
            dict(ProducerId=pid, ProducerEpoch=epoch, TransactionResult=commit,
                 Topics=[dict(Name=topic, PartitionIndexes=[partition])])])["Markers"]
        (row,) = marker["Topics"]
        assert marker["ProducerId"] == pid, marker
        return row["Partitions"][0]["ErrorCode"]

    def find_coordinators(self):
        """Apache Kafka makes the topics behind its coordinators when they are asked for first."""
        for kind in (0, 1):
            patiently(lambda: self.call("FindCoordinator", 2, Key="x", KeyType=kind), (14, 15, 16))

    def metadata(self, topic="t"):
        """Makes the topic if need be, and waits until it is there."""
        patiently(lambda: self.call("Metadata", 4, Topics=[dict(Name=topic)], AllowAutoTopicCreation=True)["Topics"][0], (3, 5))


def end_fields(name, pid, epoch, commit):
    return dict(TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, Committed=commit)


def data(pid, epoch, seq, value=b"v", transactional=True):
    return batch(value, attributes=0x10 if transactional else 0, pid=pid, epoch=epoch, seq=seq)


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found}, wanted {wanted}")


# --- the cases --------------------------------------------------------------------------------------------------------


def check_init(client):
    name = new_id()
    same(client.init("", retry=False)[0], 42, "an empty id")
    same(client.init(name, timeout=0)[0], 50, "no timeout")
    same(client.init(name, timeout=-1)[0], 50, "a negative timeout")
    same(client.init(name, timeout=900001)[0], 50, "a timeout above the limit")
    same(client.init(name, pid=5, epoch=-1)[0], 42, "a producer id without epoch")
    same(client.init(name, pid=-1, epoch=3)[0], 42, "an epoch without producer id")
    error, pid, epoch = client.init(name)
    same((error, epoch), (0, 0), "a new id")
    same(client.init(name, version=1), (0, pid, 1), "known: the epoch is bumped")
    same(client.init(name, pid=pid, epoch=1), (0, pid, 2), "recovery with the present epoch")
    same(client.init(name, pid=pid, epoch=1), (0, pid, 2), "recovery repeated")
    same(client.init(name, pid=pid, epoch=0)[0], 90, "recovery of a zombie")
    same(client.init(name, pid=pid, epoch=0, version=3)[0], 47, "recovery of a zombie, version 3")
    same(client.init(name, pid=pid + 100000, epoch=2)[0], 90, "recovery with a foreign producer id")
    other = client.init(None)
    assert other[0] == 0 and other[2] == 0 and other[1] != pid, other
    same(client.init(new_id(), pid=7, epoch=3)[2], 0, "recovery of an id that was forgotten")


def check_add(client):
    name = new_id()
    same(client.add(name, 5, 0), [49], "an unknown id")
    _, pid, epoch = client.init(name)
    same(client.add("", pid, 0), [42], "an empty id")
    same(client.add(name, pid + 1, epoch), [49], "another producer id")
    same(client.add(name, pid, epoch + 1), [90], "another epoch")
    same(client.add(name, pid, epoch + 1, version=1), [47], "another epoch, version 1")
    same(client.add(name, pid, epoch, (("t", [0, 99]),)), [55, 3], "an unknown partition spoils all")
    same(client.add(name, pid, epoch, (("t", [0]), ("nowhere", [0]))), [55, 3], "an unknown topic")
    same(client.describe(name)[1], "Empty", "nothing was added")
    same(client.add(name, pid, epoch, version=0), [0], "version 0")
    same(client.add(name, pid, epoch), [0], "repeated")
    same(client.add(name, pid, epoch, (("t", [0, 1]),)), [0, 0], "one more")
    found = client.describe(name)
    same(found[:3] + found[4:], (0, "Ongoing", 60000, pid, epoch, {("t", 0), ("t", 1)}), "described")
    assert abs(found[3] / 1000 - time.time()) < 60, found
    same(client.end(name, pid, epoch), 0, "commit")


def check_batched(client):
    """Versions 4 and 5, as brokers speak among themselves."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.add(name, pid, epoch, version=4, verify=True), [120], "verified: not in it")
    same(client.add(name, pid, epoch, version=4), [0], "added")
    same(client.add(name, pid, epoch, (("t", [0, 1]),), version=5, verify=True), [0, 120], "verified: one of two")
    same(client.add(name, pid, epoch + 1, version=5, verify=True), [90], "verified: another epoch")
    same(client.add(name, pid + 1, epoch, version=5, verify=True), [49], "verified: another producer id")
    same(client.end(name, pid, epoch, commit=False), 0, "abort")


def check_end(client):
    """EndTxn of version 3 in every state that can be waited for."""
    name = new_id()
    same(client.end(name, 5, 0), 49, "an unknown id")
    _, pid, epoch = client.init(name)
    same(client.end("", pid, epoch), 42, "an empty id")
    same(client.end(name, pid + 1, epoch), 49, "another producer id")
    same(client.end(name, pid, epoch + 1), 90, "another epoch")
    same(client.end(name, pid, epoch + 1, version=1), 47, "another epoch, version 1")
    for commit in (True, False):
        same(client.end(name, pid, epoch, commit), 48, "Empty")
    client.add(name, pid, epoch)
    same(client.end(name, pid, epoch, True), 0, "Ongoing, commit")
    same(client.end(name, pid, epoch, True), 0, "CompleteCommit, commit again")
    same(client.end(name, pid, epoch, False), 48, "CompleteCommit, abort")
    same(client.describe(name)[1], "CompleteCommit", "state")
    client.add(name, pid, epoch)
    same(client.end(name, pid, epoch, False), 0, "Ongoing, abort")
    same(client.end(name, pid, epoch, False), 0, "CompleteAbort, abort again")
    same(client.end(name, pid, epoch, True), 48, "CompleteAbort, commit")
    same(client.describe(name)[1], "CompleteAbort", "state")
    same(client.init(name), (0, pid, epoch + 1), "the next producer")


def check_end_bumped(client):
    """EndTxn of version 5 (KIP-890)."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(epoch, 0, "epoch")
    same(client.end(name, pid, 0, True, 5)[0], 48, "Empty, commit")
    same(client.end(name, pid, 0, False, 5), (0, pid, 1), "Empty, abort: bumped")
    same(client.end(name, pid, 0, False, 5), (0, pid, 1), "repeated: the same answer")
    same(client.end(name, pid, 1, False, 5), (0, pid, 2), "CompleteAbort, abort: bumped again")
    client.settle(name)
    same(client.add(name, pid, 2), [0], "Ongoing")
    same(client.end(name, pid, 1, True, 5)[0], 90, "Ongoing, the epoch before")
    same(client.end(name, pid, 3, True, 5)[0], 90, "Ongoing, a later epoch")
    same(client.end(name, pid, 2, True, 5), (0, pid, 3), "commit")
    same(client.end(name, pid, 2, True, 5), (0, pid, 3), "commit repeated")
    same(client.end(name, pid, 2, False, 5)[0], 48, "CompleteCommit, abort with the old epoch")
    same(client.end(name, pid, 3, True, 5)[0], 48, "CompleteCommit, commit with the new epoch")
    same(client.end(name, pid, 3, False, 5), (0, pid, 4), "CompleteCommit, abort with the new epoch")
    same(client.end(name, pid, 4, True, 5)[0], 48, "CompleteAbort, commit")
    same(client.end(name, pid, 9, False, 5)[0], 90, "an epoch that nobody has")


def check_fencing(client):
    """A second producer of the id: the first one's transaction is aborted and it is fenced everywhere."""
    name = new_id()
    _, pid, epoch = client.init(name)
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 0))[0], 0, "produce")
    error, _, _ = client.init(name, retry=False)
    same(error, 51, "while one is ongoing")
    same(client.init(name), (0, pid, epoch + 2), "then two epochs later")
    same(client.describe(name)[1], "Empty", "state")
    same(client.add(name, pid, epoch), [90], "the first one adds")
    same(client.end(name, pid, epoch), 90, "the first one commits")
    same(client.produce(name, data(pid, epoch, 1))[0], 47, "the first one produces")
    same(client.produce(name, data(pid, epoch, 1), version=12)[0], 47, "the first one produces, version 12")
    same(client.add_offsets(name, pid, epoch, "g"), 90, "the first one adds offsets")


def check_produce(client):
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.produce(None, data(pid, epoch, 0))[0], 53, "without transactional id")
    same(client.produce(new_id(), data(pid, epoch, 0))[0], 49, "an unknown id")
    same(client.produce(name, data(pid, epoch, 0), version=10)[0], 48, "not in it, version 10")
    same(client.produce(name, data(pid, epoch, 0), version=11)[0], 120, "not in it, version 11")
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 0), partition=1, version=11)[0], 120, "another partition")
    same(client.produce(name, data(pid, epoch, 0))[0], 0, "in it")
    same(client.produce(name, data(pid, epoch, 1, transactional=False))[0], 48, "a plain batch of the producer")
    same(client.produce(name, data(pid, epoch, 2))[0], 45, "a gap")
    same(client.end(name, pid, epoch), 0, "commit")
    client.settle(name)
    same(client.produce(name, data(pid, epoch, 1), version=11)[0], 120, "after the end")
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 1))[0], 0, "version 1 goes on with its sequences")
    same(client.end(name, pid, epoch, False), 0, "abort")


def check_joins(client):
    """Produce of version 12 adds its partition by itself."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.produce(name, data(pid, epoch, 0), version=12)[0], 0, "joins")
    same(client.describe(name)[1:2] + client.describe(name)[6:], ("Ongoing", {("t", 0)}), "described")
    same(client.produce(name, data(pid, epoch, 1), version=12)[0], 0, "goes on")
    same(client.produce(name, data(pid, epoch, 0), partition=1, version=12)[0], 0, "another one joins")
    same(client.describe(name)[6], {("t", 0), ("t", 1)}, "described")
    same(client.end(name, pid, epoch, True, 5), (0, pid, epoch + 1), "commit")
    client.settle(name)
    same(client.produce(name, data(pid, epoch, 2), version=12)[0], 47, "late")
    same(client.produce(name, data(pid, epoch + 1, 1), version=12)[0], 45, "sequences start again")
    same(client.produce(name, data(pid, epoch + 1, 0), version=12)[0], 0, "the next transaction")
    same(client.produce(name, data(pid + 1, epoch, 0), version=12)[0], 49, "another producer id")
    same(client.end(name, pid, epoch + 1, False, 5), (0, pid, epoch + 2), "abort")


def check_offsets(client):
    name, group = new_id(), new_id()
    _, pid, epoch = client.init(name)
    same(client.add_offsets(name, pid + 1, epoch, group), 49, "another producer id")
    same(client.add_offsets(name, pid, epoch + 1, group), 90, "another epoch")
    same(client.add_offsets(name, pid, epoch + 1, group, version=1), 47, "another epoch, version 1")
    same(client.add_offsets("", pid, epoch, group), 42, "an empty id")
    same(client.commit_offset(name, pid, epoch, group, 5), 48, "not in a transaction, version 3")
    same(client.commit_offset(name, pid, epoch, group, 5, version=4), 120, "not in a transaction, version 4")
    same(client.add_offsets(name, pid, epoch, group), 0, "added")
    same(client.commit_offset(name, pid, epoch, "", 5), 24, "no group")
    same(client.commit_offset(name, pid, epoch, group, 5, generation=1, member="m"), 22, "a generation of no group")
    same(client.commit_offset(name, pid, epoch, group, 5, topic="nowhere"), 3, "an unknown topic")
    same(client.commit_offset(name, pid, epoch, group, 5, metadata="x" * 4097), 12, "much metadata")
    same(client.commit_offset(name, pid, epoch, group, 5), 0, "committed")
    same(client.fetch_offset(group, False), (0, -1), "pending")
    same(client.fetch_offset(group, True)[0], 88, "pending, for who wants it stable")
    same(client.commit_offset(name, pid, epoch, group, 6, generation=1, member="m"), 25, "an unknown member")
    same(client.commit_offset(name, pid, epoch, group, 6), 0, "committed again")
    same(client.end(name, pid, epoch), 0, "commit")
    client.init(name)  # waits for the markers
    same(client.fetch_offset(group, True), (0, 6), "visible")
    _, pid, epoch = client.init(name)
    same(client.commit_offset(name, pid, epoch, group, 9, version=5), 0, "version 5 joins by itself")
    same(client.fetch_offset(group, False), (0, 6), "pending")
    same(client.commit_offset(name, pid, epoch + 1, group, 9, version=5), 47, "another epoch")
    same(client.commit_offset(name, pid + 1, epoch, group, 9, version=5), 49, "another producer id")
    same(client.end(name, pid, epoch, False, 5), (0, pid, epoch + 1), "abort")
    client.init(name)
    same(client.fetch_offset(group, True), (0, 6), "dropped")


def check_describe(client):
    name, other = new_id(), new_id()
    same(client.describe(name)[0], 105, "an unknown id")
    same(client.describe("")[0], 42, "an empty id")
    _, pid, epoch = client.init(name)
    _, other_pid, _ = client.init(other)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    error, unknown, found = client.list()
    assert error == 0 and unknown == [] and found[name] == (pid, "Ongoing") and found[other] == (other_pid, "Empty")
    found = client.list(states=("Ongoing", "Nonsense"))
    assert found[1] == ["Nonsense"] and name in found[2] and other not in found[2], found
    same(client.list(states=("Nonsense",))[2], {}, "only an unknown state")
    same(client.list(pids=(other_pid,))[2], {other: (other_pid, "Empty")}, "by producer id")
    same(client.list(pids=(pid,), duration=0)[2], {name: (pid, "Ongoing")}, "running for longer than nothing")
    same(client.list(pids=(pid,), duration=3600000)[2], {}, "running for an hour")
    same(client.producers("nowhere", 0), 3, "producers of an unknown topic")
    offset = client.producers("t", 0)[pid]
    assert offset[0] == epoch and offset[1] == 0 and offset[3] >= 0, offset
    same(client.end(name, pid, epoch), 0, "commit")
    client.init(name)
    same(client.producers("t", 0)[pid][3], -1, "nothing open")
    same(client.describe(name)[6], set(), "no partitions")


def check_patterns(client):
    name = new_id()
    _, pid, _ = client.init(name)
    same(client.list(pids=(pid,), pattern=name[:6] + ".*")[2], {name: (pid, "Empty")}, "a pattern that fits")
    same(client.list(pids=(pid,), pattern=name[:6])[2], {}, "the whole id has to fit")
    same(client.list(pattern="(")[0], 128, "no pattern")


def check_write_markers(client):
    """An administrator ends a transaction that hangs in a partition."""
    name = new_id()
    _, pid, epoch = client.init(name)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    same(client.write_marker(pid, epoch, False, topic="nowhere"), 3, "an unknown topic")
    assert client.producers("t", 0)[pid][3] >= 0
    same(client.write_marker(pid, epoch, False), 0, "abort")
    same(client.producers("t", 0)[pid][3], -1, "nothing open")
    same(client.end(name, pid, epoch, False), 0, "the producer aborts")


def check_timeout(client):
    """A transaction older than its timeout is aborted, and its producer fenced."""
    name = new_id()
    _, pid, epoch = client.init(name, timeout=300)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    end = time.monotonic() + 60
    while client.describe(name)[1] != "CompleteAbort" and time.monotonic() < end:
        time.sleep(0.1)
    same(client.describe(name)[1:2] + client.describe(name)[4:6], ("CompleteAbort", pid, epoch + 1), "aborted")
    same(client.end(name, pid, epoch), 90, "the producer commits")
    same(client.produce(name, data(pid, epoch, 1))[0], 47, "the producer produces")
    same(client.init(name), (0, pid, epoch + 2), "the next one")


def check_exhausted(client):
    """The epochs of a producer id run out: transactions go on under a fresh one."""
    name = new_id()
    _, pid, epoch = client.init(name)
    for start in range(epoch, 32766, 200):  # in one go each: an abort of nothing takes the next epoch
        epochs = range(start, min(start + 200, 32766))
        for epoch in epochs:
            send(client.connection, "EndTxn", 5, end_fields(name, pid, epoch, False))
        for epoch in epochs:
            answer = receive(client.connection, "EndTxn", 5)
            assert (answer["ErrorCode"], answer["ProducerId"], answer["ProducerEpoch"]) == (0, pid, epoch + 1), (answer, epoch)
    epoch = 32766
    same(client.produce(name, data(pid, epoch, 0), version=12)[0], 0, "the last epoch")
    error, second, epoch = client.end(name, pid, 32766, True, 5)
    assert error == 0 and second != pid and epoch == 0, (error, second, epoch)
    same(client.end(name, pid, 32766, True, 5), (0, second, 0), "repeated")
    same(client.produce(name, data(second, 0, 0), version=12)[0], 0, "the first epoch of the fresh one")
    same(client.end(name, second, 0, True, 5), (0, second, 1), "commit")


def check_features(client):
    def features(version):
        answer = client.call("ApiVersions", version, ClientSoftwareName="test", ClientSoftwareVersion="1")
        return ["transaction.version" in {row["Name"] for row in answer[rows]} for rows in ("SupportedFeatures", "FinalizedFeatures")]
    assert features(4) == [True, True]
    assert features(3) == [False, True]  # finalized only: its smallest level is 0


def check_coordinator(client):
    rows = client.call("FindCoordinator", 4, KeyType=1, CoordinatorKeys=["one", "two"])["Coordinators"]
    same([(row["Key"], row["NodeId"], row["ErrorCode"]) for row in rows], [("one", 1, 0), ("two", 1, 0)], "two at once")
    same(client.call("FindCoordinator", 2, Key="one", KeyType=1)["ErrorCode"], 0, "one")


def check_reserved(client):
    """Ids of the engine are not for clients."""
    name = "rialto-engine"
    same(client.init(name)[0], 53, "init")
    same(client.add(name, 1, 0), [53], "add")
    same(client.add_offsets(name, 1, 0, "g"), 53, "add offsets")
    same(client.end(name, 1, 0), 53, "end")
    same(client.produce(name, data(1, 0, 0))[0], 53, "produce")
    same(client.commit_offset(name, 1, 0, "g", 5), 53, "commit offsets")


SHARED = (check_init, check_add, check_batched, check_end, check_end_bumped, check_fencing, check_produce, check_joins,
          check_offsets, check_describe, check_patterns, check_write_markers, check_timeout, check_features, check_coordinator,
          check_exhausted)


def check_expiry():
    """An id that nobody uses is forgotten, one with a transaction under way is not."""
    with Broker("transaction.abort.timed.out.transaction.cleanup.interval.ms=100", "transactional.id.expiration.ms=300") as broker:
        client = Client(broker.port)
        client.metadata()
        idle, busy = new_id(), new_id()
        _, pid, epoch = client.init(busy)
        client.add(busy, pid, epoch)
        client.init(idle)
        end = time.monotonic() + 30
        while client.describe(idle)[0] == 0 and time.monotonic() < end:
            time.sleep(0.05)
        same(client.describe(idle)[0], 105, "idle")
        broker.restart()
        client = Client(broker.port)
        same(client.describe(idle)[0], 105, "idle, after a restart")
        same(client.describe(busy)[1], "Ongoing", "busy, after a restart")
        same(client.end(busy, pid, epoch), 0, "its commit")


def run(port, checks):
    client = Client(port)
    client.metadata()
    client.find_coordinators()
    failed = 0
    for check in checks:
        try:
            check(client)
        except (AssertionError, EOFError, KeyError, ValueError) as error:
            failed += 1
            print(f"{check.__name__}: {error!r}")
            client = Client(port)
    return failed


def main():
    peer = os.environ.get("PEER_KAFKA")
    wanted = [check for check in SHARED + (check_reserved,) if not sys.argv[1:] or check.__name__ in sys.argv[1:]]
    if peer:
        sys.exit(run(int(peer.split(":")[1]), [check for check in wanted if check != check_reserved]))
    with Broker("transaction.abort.timed.out.transaction.cleanup.interval.ms=100") as broker:
        if run(broker.port, wanted):
            broker.fail("transactions by raw requests")
    if not sys.argv[1:]:
        check_expiry()
    passed("txn_protocol", f"{len(wanted)} groups of raw requests")


main()
