"""Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""
import gzip
import struct
import time

from rawkafka import batch, crc32c, varint

MISSING = bytes(15) + b"\7"
STAMP = int(time.time()) * 1000 - 100_000  # the same for both, and not so long ago that retention takes it


def produce(s, version, parts, note=True, **more):
    """`parts`: {topic name or id: [(partition, records)]}"""
    key = "TopicId" if version >= 13 else "Name"
    data = [{key: topic, "PartitionData": [dict(Index=part, Records=records) for part, records in rows]} for topic, rows in parts.items()]
    what = more.pop("what", None)
    fields = dict(dict(Acks=-1, TimeoutMs=5000, TopicData=data), **more)
    return s.call("Produce", version, fields, what=what) if note else s.quiet("Produce", version, fields)


def fill(s, topic, count, part=0, **more):
    for place in range(count):
        produce(s, 9, {topic: [(part, batch(b"v%d" % place, timestamp=STAMP + place * 1000, **more))]}, note=False)


def case_produce(s):
    uuid = s.topic("pro-a", 2)
    for version in range(3, 14):
        name = uuid if version >= 13 else "pro-a"
        for acks in (-1, 1):
            produce(s, version, {name: [(0, batch(timestamp=STAMP)), (1, batch(timestamp=STAMP))]}, Acks=acks)
        for acks in (2, -2, 7):
            produce(s, version, {name: [(0, batch(timestamp=STAMP))]}, Acks=acks)
        produce(s, version, {name: [(0, batch(timestamp=STAMP)), (9, batch(timestamp=STAMP)), (1, batch(crc=7, timestamp=STAMP))]})
        produce(s, version, {MISSING if version >= 13 else "pro-none": [(0, batch(timestamp=STAMP))]})
        produce(s, version, {bytes(16) if version >= 13 else "": [(0, batch(timestamp=STAMP))]})
        produce(s, version, {name: [(-1, batch(timestamp=STAMP))]})
        produce(s, version, {name: []})
        produce(s, version, {})
        produce(s, version, {name: [(0, b"")]})
        produce(s, version, {name: [(0, batch(timestamp=STAMP))]}, TimeoutMs=-5)
        produce(s, version, {name: [(0, batch(timestamp=STAMP))]}, TransactionalId="pro-none")
        produce(s, version, {name: [(0, batch(timestamp=STAMP))]}, TransactionalId="")
    s.call("ListOffsets", 7, ReplicaId=-1, Topics=[dict(Name="pro-a", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])


def case_produce_odd(s):
    s.topic("pro-b")
    produce(s, 9, {"pro-b": [(0, None)]})
    s.topic("pro-c", 2)
    produce(s, 9, {"pro-c": [(0, batch(value=b"first", timestamp=STAMP)), (1, batch(timestamp=STAMP)), (0, batch(value=b"second", timestamp=STAMP))]})
    one = dict(Name="pro-c", PartitionData=[dict(Index=0, Records=batch(value=b"third", timestamp=STAMP))])
    two = dict(Name="pro-c", PartitionData=[dict(Index=1, Records=batch(value=b"other", timestamp=STAMP)), dict(Index=0, Records=batch(value=b"fourth", timestamp=STAMP))])
    s.call("Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[one, two, dict(Name="pro-b", PartitionData=[])])
    for part in (0, 1):
        s.call("Fetch", 11, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionEpoch=-1,
               Topics=[dict(Topic="pro-c", Partitions=[dict(Partition=part, FetchOffset=0, PartitionMaxBytes=1 << 20)])])
    for offsets in ((1, 0), (0, 1)):
        parts = [dict(PartitionIndex=0, Offset=offset) for offset in offsets]
        s.call("DeleteRecords", 2, Topics=[dict(Name="pro-c", Partitions=parts)], TimeoutMs=9000)
    s.call("ListOffsets", 7, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[dict(PartitionIndex=part, Timestamp=when)])
                                                   for name, part, when in (("pro-c", 0, -1), ("pro-c", 1, -2), ("pro-none", 0, -1), ("pro-none", 0, -1), ("pro-c", 0, -2), ("pro-c", 1, -9))])
    for first, second in ((0, 1), (1, 0)):
        s.call("Fetch", 11, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, SessionEpoch=-1,
               Topics=[dict(Topic="pro-c", Partitions=[dict(Partition=0, FetchOffset=offset, PartitionMaxBytes=1 << 20)]) for offset in (first, second)])


def rebuilt(data, at, form, value):
    """A batch with one field changed, and its crc right again."""
    out = bytearray(data)
    struct.pack_into(form, out, at, value)
    struct.pack_into(">I", out, 17, crc32c(bytes(out[21:])))
    return bytes(out)


def compressed(attributes, payload, count=1):
    """A batch whose records are these bytes."""
    whole = batch(timestamp=STAMP)
    head = bytearray(whole[:61] + payload)
    struct.pack_into(">i", head, 8, len(head) - 12)
    struct.pack_into(">h", head, 21, attributes)
    struct.pack_into(">i", head, 23, count - 1)
    struct.pack_into(">i", head, 57, count)
    return rebuilt(bytes(head), 4 + 8, ">i", -1)


GOOD = batch(timestamp=STAMP)
THREE = batch(timestamp=STAMP, records=[(b"a", b"1", 0), (b"b", b"2", 5), (b"c", b"3", 2)])
RECORDS = GOOD[61:]
BAD = {
    "good": GOOD, "three": THREE, "crc": batch(crc=1, timestamp=STAMP), "magic 0": batch(magic=0, timestamp=STAMP), "magic 1": batch(magic=1, timestamp=STAMP),
    "magic 3": batch(magic=3, timestamp=STAMP), "magic -1": batch(magic=-1, timestamp=STAMP), "two batches": GOOD + GOOD, "cut": GOOD[:-1], "cut head": GOOD[:40], "a byte": b"x",
    "more bytes": GOOD + b"abc", "good and cut": GOOD + GOOD[:30], "base 5": rebuilt(GOOD, 0, ">q", 5), "base -5": rebuilt(GOOD, 0, ">q", -5),
    "count 2": batch(count=2, timestamp=STAMP), "count 0": batch(count=0, timestamp=STAMP), "count -1": batch(count=-1, timestamp=STAMP),
    "count 2 of 3": rebuilt(THREE, 57, ">i", 2), "last 5": rebuilt(GOOD, 23, ">i", 5), "last 0 of 3": rebuilt(THREE, 23, ">i", 0), "last -1": rebuilt(GOOD, 23, ">i", -1),
    "length short": rebuilt(GOOD, 8, ">i", 40), "length 0": rebuilt(GOOD, 8, ">i", 0), "length long": rebuilt(GOOD, 8, ">i", 500), "length -1": rebuilt(GOOD, 8, ">i", -1),
    "LogAppendTime": batch(attributes=8, timestamp=STAMP), "control": batch(attributes=32, timestamp=STAMP), "transactional": batch(attributes=16, timestamp=STAMP),
    "transactional pid": batch(attributes=16, timestamp=STAMP, pid=77, epoch=0, seq=0), "control pid": batch(attributes=48, timestamp=STAMP, pid=77, epoch=0, seq=0),
    "delete horizon": batch(attributes=64, timestamp=STAMP), "bit 7": batch(attributes=128, timestamp=STAMP), "bit 14": batch(attributes=1 << 14, timestamp=STAMP),
    "codec 1 plain": batch(attributes=1, timestamp=STAMP), "codec 2 plain": batch(attributes=2, timestamp=STAMP), "codec 3 plain": batch(attributes=3, timestamp=STAMP),
    "codec 4 plain": batch(attributes=4, timestamp=STAMP), "codec 5": batch(attributes=5, timestamp=STAMP), "codec 7": batch(attributes=7, timestamp=STAMP),
    "gzip": compressed(1, gzip.compress(RECORDS, mtime=0)), "gzip nothing": compressed(1, gzip.compress(b"")), "gzip cut": compressed(1, gzip.compress(RECORDS)[:-9]),
    "gzip count 2": compressed(1, gzip.compress(RECORDS), 2), "gzip more": compressed(1, gzip.compress(RECORDS + b"xx")), "records more": compressed(0, RECORDS + b"xx"),
    "no records": compressed(0, b"", 0), "no records count 1": compressed(0, b"", 1), "old": batch(timestamp=1), "time -1": batch(timestamp=-1), "time -2": batch(timestamp=-2),
    "time 0": batch(timestamp=0), "future": batch(timestamp=STAMP * 2), "max time": rebuilt(GOOD, 35, ">q", STAMP + 999), "max time less": rebuilt(THREE, 35, ">q", STAMP),
    "max time -1": rebuilt(GOOD, 35, ">q", -1), "pid 5": batch(timestamp=STAMP, pid=5, epoch=0, seq=0), "pid 5 seq 7": batch(timestamp=STAMP, pid=6, epoch=0, seq=7),
    "pid no epoch": batch(timestamp=STAMP, pid=8, epoch=-1, seq=0), "pid no seq": batch(timestamp=STAMP, pid=9, epoch=0, seq=-1), "epoch no pid": batch(timestamp=STAMP, epoch=3),
    "seq no pid": batch(timestamp=STAMP, seq=3), "pid -2": batch(timestamp=STAMP, pid=-2, epoch=0, seq=0), "leader epoch": rebuilt(GOOD, 12, ">i", 77),
    "null key null value": batch(value=None, timestamp=STAMP), "key": batch(key=b"k", timestamp=STAMP),
    "record attributes": compressed(0, RECORDS[:1] + b"\1" + RECORDS[2:]), "record number": compressed(0, RECORDS[:3] + varint(4) + RECORDS[4:]),
    "record time -": compressed(0, RECORDS[:2] + varint(-5) + RECORDS[3:]), "record length": compressed(0, varint(99) + RECORDS[1:]), "record length 0": compressed(0, b"\0" + RECORDS[1:]),
    "record length -": compressed(0, varint(-1) + RECORDS[1:]), "key length": compressed(0, RECORDS[:4] + varint(99) + RECORDS[5:]), "key length -2": compressed(0, RECORDS[:4] + varint(-2) + RECORDS[5:]),
    "headers": compressed(0, RECORDS[:-1] + b"\2"), "headers -1": compressed(0, RECORDS[:-1] + b"\1"),
    "numbers": batch(timestamp=STAMP, records=[(None, b"1", 0), (None, b"2", -7)]),
}
LOGS = {"plain": {}, "compact": dict(cleanup_policy="compact"), "append": dict(message_timestamp_type="LogAppendTime"), "small": dict(max_message_bytes=80),
        "early": dict(message_timestamp_before_max_ms=1000), "gzip": dict(compression_type="gzip"), "none": dict(compression_type="uncompressed")}


def case_bad_batches(s):
    for kind, configs in LOGS.items():
        for place, (what, data) in enumerate(BAD.items()):
            s.topic(f"bad-{kind}-{place}", **configs)
            for version in (9, 3) if kind == "plain" else (9,):
                answer = produce(s, version, {f"bad-{kind}-{place}": [(0, data)]}, what=f"{what} in {kind}")
            if isinstance(answer, dict):
                read(s, 12, f"bad-{kind}-{place}", MaxWaitMs=0, what=f"{what} in {kind}")


def case_sequences(s):
    s.topic("seq-a")
    made = s.quiet("InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=60000)
    pid = made["ProducerId"]
    for version in (9, 11):
        for epoch, seq, count in ((0, 1, 1), (0, 0, 1), (0, 0, 1), (0, 1, 3), (0, 1, 3), (0, 2, 1), (0, 1, 1), (0, 5, 1), (0, 4, 1), (1, 1, 1), (1, 0, 1), (0, 5, 1), (1, 1, 1),
                                  (3, 0, 1), (-1, 0, 1)):
            records = [(None, b"r", 0)] * count
            produce(s, version, {"seq-a": [(0, batch(timestamp=STAMP, pid=pid, epoch=epoch, seq=seq, records=records))]})
    two = batch(timestamp=STAMP, pid=pid, epoch=4, seq=0) + batch(timestamp=STAMP, pid=pid, epoch=4, seq=1)
    produce(s, 9, {"seq-a": [(0, two)]})
    s.call("DescribeProducers", 0, Topics=[dict(Name="seq-a", PartitionIndexes=[0, 5]), dict(Name="seq-none", PartitionIndexes=[0]), dict(Name="", PartitionIndexes=[0])])
    s.call("DescribeProducers", 0, Topics=[])


def read(s, version, topic, offset=0, part=0, parts=None, **more):
    key = "TopicId" if version >= 13 else "Topic"
    rows = parts or [dict(dict(Partition=part, FetchOffset=offset, PartitionMaxBytes=1 << 20), **more.pop("row", {}))]
    what = more.pop("what", None)
    fields = dict(dict(MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 20, Topics=[{key: topic, "Partitions": rows}]), **more)
    return s.call("Fetch", version, fields, what=what)


def case_fetch(s):
    uuid = s.topic("fet-a", 2)
    fill(s, "fet-a", 5)
    for version in range(4, 19):
        name, other = (uuid, MISSING) if version >= 13 else ("fet-a", "fet-none")
        for offset in (0, 3, 5, 6, -1, -2, 1 << 40):
            read(s, version, name, offset)
        for part in (1, 2, -1):
            read(s, version, name, 0, part)
        read(s, version, other)
        read(s, version, bytes(16) if version >= 13 else "")
        for isolation in (1, 2, -1):
            read(s, version, name, IsolationLevel=isolation)
        for least, most, rows in ((0, 1 << 20, 1 << 20), (1, 1, 1), (1, 0, 1 << 20), (1, 1 << 20, 0), (1, -1, -1), (1, 150, 150), (1 << 20, 1 << 20, 1 << 20), (-1, 1 << 20, 100)):
            read(s, version, name, 0, MinBytes=least, MaxBytes=most, row=dict(PartitionMaxBytes=rows))
        read(s, version, name, 0, MaxWaitMs=-1)
        read(s, version, name, 5, MaxWaitMs=0)
        two = [dict(Partition=0, FetchOffset=1, PartitionMaxBytes=1 << 20)] * 2
        read(s, version, name, parts=two)
        if version >= 9:
            for epoch in (0, 1, 5, -1, -2):
                read(s, version, name, 0, row=dict(CurrentLeaderEpoch=epoch))
        if version >= 12:
            for epoch, offset in ((0, 0), (0, 5), (0, 9), (1, 0), (-1, 0), (5, 2), (-2, 0)):
                read(s, version, name, offset, row=dict(LastFetchedEpoch=epoch))
            read(s, version, name, 0, ClusterId="nonsense")
        for start in (0, 3, 9) if version >= 5 else ():
            read(s, version, name, 0, row=dict(LogStartOffset=start))
        replica = dict(ReplicaState=dict(ReplicaId=7, ReplicaEpoch=1)) if version >= 15 else dict(ReplicaId=7)
        read(s, version, name, 0, **replica)
        if version >= 11:
            read(s, version, name, 0, RackId="x")


def case_sessions(s):
    for version in (7, 11, 12, 13, 17, 18):
        names = [f"ses-{version}-{letter}" for letter in "ab"]
        ids = {name: s.topic(name, 2) for name in names}
        fill(s, names[0], 3)

        def rows(name, *parts, offset=0, key="Topic"):
            return {(key if version < 13 else "TopicId"): name if version < 13 else ids.get(name, MISSING),
                    "Partitions": [dict(Partition=part, FetchOffset=offset, PartitionMaxBytes=1 << 20) for part in parts]}

        def forget(name, *parts):
            return {("Topic" if version < 13 else "TopicId"): name if version < 13 else ids[name], "Partitions": list(parts)}

        def ask(session, epoch, topics, forgotten=(), **more):
            fields = dict(dict(MaxWaitMs=50, MinBytes=1, MaxBytes=1 << 20, SessionId=session, SessionEpoch=epoch, Topics=topics, ForgottenTopicsData=list(forgotten)), **more)
            return s.call("Fetch", version, fields)

        made = ask(0, 0, [rows(names[0], 0, 1), rows(names[1], 0)])
        session = made["SessionId"]
        ask(session, 1, [])
        ask(session, 1, [])
        ask(session, 2, [rows(names[0], 0, offset=3)])
        fill(s, names[1], 1)
        ask(session, 3, [])
        ask(session, 4, [rows(names[1], 0, offset=1)], [forget(names[0], 0)])
        fill(s, names[0], 1)
        ask(session, 5, [])
        ask(session, 6, [rows(names[0], 0, offset=99)])
        ask(session, 7, [])
        ask(session, 8, [rows("ses-none", 0), rows(names[0], 7)])
        ask(session, 9, [])
        ask(session, 10, [], [forget(names[0], 0, 1, 9), forget(names[1], 0)])
        ask(session, -1, [rows(names[0], 0)])
        ask(session, 11, [])
        ask(12345678, 1, [])
        ask(12345678, 0, [rows(names[0], 0)])
        ask(0, 5, [rows(names[0], 0)])
        ask(0, -1, [rows(names[0], 0)])
        ask(0, -2, [rows(names[0], 0)])
        ask(-1, 0, [rows(names[0], 0)])
        ask(0, 0, [])


def case_offsets(s):
    s.topic("off-a", 2)
    fill(s, "off-a", 5)
    s.quiet("DeleteRecords", 2, Topics=[dict(Name="off-a", Partitions=[dict(PartitionIndex=0, Offset=2)])], TimeoutMs=5000)
    for version in range(1, 12):
        for stamp in (-1, -2, -3, -4, -5, -6, -7, -100, 0, 1, STAMP, STAMP + 1, STAMP + 2500, STAMP + 4000, STAMP + 4001, 1 << 50):
            for isolation in (0, 1) if version >= 2 else (0,):
                more = dict(IsolationLevel=isolation) if version >= 2 else {}
                asked = [dict(PartitionIndex=part, Timestamp=stamp) for part in (0, 1)]
                s.call("ListOffsets", version, dict(more, ReplicaId=-1, Topics=[dict(Name="off-a", Partitions=asked)]))
        for name, part in (("off-none", 0), ("off-a", 9), ("off-a", -1), ("", 0), ("x" * 250, 0), ("a b", 0)):
            s.call("ListOffsets", version, ReplicaId=-1, Topics=[dict(Name=name, Partitions=[dict(PartitionIndex=part, Timestamp=-1)])])
        for replica in (-2, -3, 1, 7):
            s.call("ListOffsets", version, ReplicaId=replica, Topics=[dict(Name="off-a", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])
        s.call("ListOffsets", version, ReplicaId=-1, Topics=[])
        s.call("ListOffsets", version, ReplicaId=-1, Topics=[dict(Name="off-a", Partitions=[dict(PartitionIndex=0, Timestamp=-1)] * 2)])
        if version >= 2:
            for isolation in (2, -1):
                s.call("ListOffsets", version, ReplicaId=-1, IsolationLevel=isolation, Topics=[dict(Name="off-a", Partitions=[dict(PartitionIndex=0, Timestamp=-1)])])
        for epoch in (0, 1, 9, -2) if version >= 4 else ():
            for stamp in (-1, -2, STAMP):
                s.call("ListOffsets", version, ReplicaId=-1, Topics=[dict(Name="off-a", Partitions=[dict(PartitionIndex=0, Timestamp=stamp, CurrentLeaderEpoch=epoch)])])
    for version in range(2, 5):
        for current, epoch, name, part in ((-1, 0, "off-a", 0), (0, 0, "off-a", 0), (1, 0, "off-a", 0), (-1, 1, "off-a", 0), (-1, -1, "off-a", 0), (-1, 0, "off-a", 1), (-2, 0, "off-a", 0),
                                           (-1, 0, "off-a", 9), (-1, 0, "off-none", 0), (-1, -5, "off-a", 0), (-1, 0, "", 0)):
            for replica in (-1, -2, 1, 7) if version >= 3 else (None,):
                row = dict(Partition=part, CurrentLeaderEpoch=current, LeaderEpoch=epoch)
                more = {} if replica is None else dict(ReplicaId=replica)
                s.call("OffsetForLeaderEpoch", version, dict(more, Topics=[dict(Topic=name, Partitions=[row])]))


def case_delete_records(s):
    for version in range(3):
        name = f"dre-{version}"
        s.topic(name, 2)
        fill(s, name, 5)
        for offset in (0, 2, 1, 2, 9, -1, -2, 4, 0):
            s.call("DeleteRecords", version, Topics=[dict(Name=name, Partitions=[dict(PartitionIndex=0, Offset=offset)])], TimeoutMs=5000)
        for topic, part in (("dre-none", 0), (name, 9), (name, -1), ("", 0), ("__consumer_offsets", 0), ("__cluster_metadata", 0)):
            s.call("DeleteRecords", version, Topics=[dict(Name=topic, Partitions=[dict(PartitionIndex=part, Offset=0)])], TimeoutMs=5000)
        s.call("DeleteRecords", version, Topics=[], TimeoutMs=5000)
        s.call("DeleteRecords", version, Topics=[dict(Name=name, Partitions=[dict(PartitionIndex=0, Offset=5), dict(PartitionIndex=1, Offset=0)])], TimeoutMs=0)
        read(s, 12, name, 1)
        read(s, 12, name, 5)
        s.topic(name + "c", cleanup_policy="compact")
        produce(s, 9, {name + "c": [(0, batch(key=b"k", timestamp=STAMP))]}, note=False)
        s.call("DeleteRecords", version, Topics=[dict(Name=name + "c", Partitions=[dict(PartitionIndex=0, Offset=0)])], TimeoutMs=5000)
