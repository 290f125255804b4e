#!/usr/bin/env python3
"""Raw requests: what a broker answers to the letter, and what it does with bytes that are no requests."""
import os
import struct
import sys
import time
from pathlib import Path

from harness import Broker, passed, patient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection, batch, create_topic, fetch, produce, text  # noqa: E402


def check_api_versions(broker):
    with Connection(broker.port) as connection:
        connection.send(18, 9, b"\x02a\x021\x00", flexible=True)
        answer = connection.answer()
        assert struct.unpack(">h", answer[:2])[0] == 35, answer
        connection.send(18, 0, b"")
        error, count = struct.unpack(">hi", (answer := connection.answer())[:6])
        ranges = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", answer[6:])}
        assert error == 0 and count == len(ranges) > 30, ranges
        assert ranges[0] == (0, 13) and ranges[1] == (4, 18) and ranges[18] == (0, 4), ranges
        connection.send(18, 3, b"\x03-a\x021\x00", flexible=True)
        assert connection.answer()[:2] == b"\0\x2a"  # INVALID_REQUEST: a software name may not begin with '-'


def check_produce(broker):
    now = int(time.time() * 1000)
    good = batch()
    cases = [
        ("unknown topic", dict(records=good, topic=b"nowhere"), 3),
        ("unknown partition", dict(records=good, partition=99), 3),
        ("internal topic", dict(records=good, topic=b"__consumer_offsets"), 17),
        ("acks 2", dict(records=good, acks=2), 21),
        ("no batch", dict(records=b""), 87),
        ("two batches", dict(records=good + good), 87),
        ("cut by 3 bytes", dict(records=good[:-3]), 87),
        ("magic 1", dict(records=batch(magic=1)), 87),
        ("base offset 1", dict(records=batch(base=1)), 87),
        ("count", dict(records=batch(count=2)), 87),
        ("control", dict(records=batch(attributes=0x20)), 87),
        ("transactional", dict(records=batch(attributes=0x10, pid=1, epoch=0, seq=0)), 53),
        ("crc", dict(records=batch(crc=1)), 2),
        ("future", dict(records=batch(timestamp=now + 7200000)), 32),
        ("too large", dict(records=batch(value=b"x" * 1048576, crc=0)), 10),
        ("sequence", dict(records=batch(pid=5, epoch=0, seq=-1)), 87),
        ("good", dict(records=good), 0),
    ]
    with Connection(broker.port) as connection:
        for name, arguments, wanted in cases:
            error, offset = produce(connection, **arguments)
            assert error == wanted, f"{name}: {error}, wanted {wanted}"
            assert (offset >= 0) == (wanted == 0), (name, offset)


def check_record_errors(broker):
    """All bad records of a refused batch are named (KIP-467): Kafka's LogValidator, by a record's first fault; a timestamp among the
    faults decides the error."""
    now, hours = int(time.time() * 1000), 2 * 3600 * 1000
    with Connection(broker.port) as connection:
        assert create_topic(connection, "strict", cleanup_policy="compact", message_timestamp_before_max_ms=hours) == 0
        keys = [(b"k", b"v", 0), (None, b"v", 0), (b"k", b"v", 0), (None, b"v", 0)]
        times = [(b"k", b"v", 0), (b"k", b"v", hours), (None, b"v", hours), (b"k", b"v", -2 * hours), (b"k", b"v", 1)]
        for records, wanted, bad in ((keys, 87, [1, 3]), (times, 32, [1, 2, 3]), (times[:1], 0, [])):
            topics = [dict(Name="strict", PartitionData=[dict(Index=0, Records=batch(records=records, timestamp=now))])]
            part = call(connection, "Produce", 9, Acks=-1, TimeoutMs=1000, TopicData=topics)["Responses"][0]["PartitionResponses"][0]
            told = {row["BatchIndex"]: row["BatchIndexErrorMessage"] for row in part["RecordErrors"]}
            assert part["ErrorCode"] == wanted and list(told) == bad and part["LogStartOffset"] == 0, part
            assert all(("key" in why) == (records[number][0] is None) for number, why in told.items()), told
            assert (f"{len(bad)} of {len(records)} records" in part["ErrorMessage"]) if bad else part["ErrorMessage"] is None, part


def check_sequences(broker):
    with Connection(broker.port) as connection:
        def send(epoch, seq):
            return produce(connection, batch(pid=77, epoch=epoch, seq=seq), topic=b"s")
        first = send(0, 0)
        assert first[0] == 0
        assert send(0, 0) == first  # a repeated batch gets the offset of the first time
        assert send(0, 2)[0] == 45
        assert send(0, 1) == (0, first[1] + 1)
        assert send(1, 1)[0] == 45
        assert send(1, 0)[0] == 0
        assert send(0, 2)[0] == 47


def check_fetch(broker):
    with Connection(broker.port) as connection, Connection(broker.port) as other:
        error, watermark, records = fetch(connection, 0)
        assert error == 0 and watermark == 1 and records[16] == 2, (error, watermark)
        assert fetch(connection, 99)[:2] == (1, -1)
        assert fetch(connection, 0, topic=b"nowhere")[0] == 3
        start = time.monotonic()
        assert fetch(connection, 1, wait=300)[2] == b"" and time.monotonic() - start > 0.28
        body = struct.pack(">iiiib", -1, 8000, 1, 1 << 20, 0) + struct.pack(">i", 1) + text(b"t")
        connection.send(1, 4, body + struct.pack(">iiqi", 1, 0, 1, 1 << 20))
        time.sleep(0.1)
        start = time.monotonic()
        assert produce(other, batch(b"woken"))[0] == 0
        assert b"woken" in connection.answer() and time.monotonic() - start < patient(2)
        assert len(fetch(connection, 0, most=1)[2]) > 60  # the first batch comes whole


def check_acks_none(broker):
    with Connection(broker.port) as connection:
        produce(connection, batch(), acks=0)
        error, offset = produce(connection, batch())  # the next answer is this one's
        assert error == 0 and offset == 3, (error, offset)
        produce(connection, batch(), topic=b"nowhere", acks=0)
        assert connection.closed()


def check_pipelining(broker):
    """Answers come in the order of the requests, also past a fetch that waits."""
    with Connection(broker.port) as connection:
        body = struct.pack(">iiiib", -1, 300, 1, 1 << 20, 0) + struct.pack(">i", 1) + text(b"t")
        connection.send(1, 4, body + struct.pack(">iiqi", 1, 0, 4, 1 << 20), correlation=1)
        for number in range(2, 400):
            connection.send(18, 0, b"", correlation=number)
        for number in range(1, 400):
            frame = connection.read(struct.unpack(">i", connection.read(4))[0])
            assert struct.unpack(">i", frame[:4])[0] == number


def check_garbage(broker):
    frames = [
        struct.pack(">i", 0x7FFFFFFF),
        struct.pack(">i", -1) + b"x" * 100,
        struct.pack(">i", 3) + b"abc",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
        struct.pack(">ihhih", 10, 9999, 0, 7, -1),
        struct.pack(">ihhih", 10, 3, 99, 7, -1),
        struct.pack(">ihhih", 10, 0, 2, 7, -1),
        struct.pack(">ihhihi", 14, 3, 1, 7, -1, 0x7FFFFFFF),
        struct.pack(">i", 200) + bytes(range(200)),
    ]
    for frame in frames:
        with Connection(broker.port) as connection:
            connection.socket.sendall(frame)
            assert connection.closed(), frame[:20]
    with Connection(broker.port) as connection:  # slowly, byte by byte
        frame = struct.pack(">ihhih", 10, 18, 0, 7, -1)
        for byte in frame:
            connection.socket.sendall(bytes([byte]))
            time.sleep(0.002)
        assert connection.answer()[:2] == b"\0\0"


def check_garbage_behind(broker):
    """What cannot be read follows requests whose answers are still waiting for the disk: they find the connection closing."""
    for _ in range(20):
        with Connection(broker.port) as connection:
            frames = b"".join(create_topics_frame(b"t") for _ in range(3))
            connection.socket.sendall(frames + struct.pack(">i", -1))
            time.sleep(0.02)
    with Connection(broker.port) as connection:
        connection.send(18, 0, b"")
        assert connection.answer()[:2] == b"\0\0"


def create_topics_frame(name):
    body = struct.pack(">i", 1) + text(name) + struct.pack(">ihii", 1, 1, 0, 0) + struct.pack(">ib", 1000, 0)
    return struct.pack(">ihhih", 10 + len(body), 19, 4, 7, -1) + body


def make_topic(broker, name):
    with Connection(broker.port) as connection:
        body = struct.pack(">i", 1) + text(name) + struct.pack(">ihii", 1, 1, 0, 0) + struct.pack(">ib", 1000, 0)
        connection.send(19, 4, body)
        answer = connection.answer()
        assert answer[4 + 4 + 2 + len(name):][:2] == b"\0\0", answer


def main():
    os.environ["MALLOC_PERTURB_"] = "165"  # memory that was freed is overwritten: who still uses it falls
    with Broker() as broker:
        make_topic(broker, b"t")
        make_topic(broker, b"s")
        for check in (check_api_versions, check_produce, check_record_errors, check_sequences, check_fetch, check_acks_none, check_pipelining,
                      check_garbage, check_garbage_behind):
            check(broker)
        if "2147483647" not in broker.stderr():
            broker.fail("the refused length is not in the log")
    passed("protocol", "raw requests, errors and garbage")


main()
