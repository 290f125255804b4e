#!/usr/bin/env python3
"""A topic's log as clients see it: DeleteRecords, compaction, compression.type, flush.messages; also across a kill; a bit that
flips on the disk, and a file that cannot be read."""
import os
import re
import struct
import sys
import time
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import (Connection, batch, batches, create_topic, delete_records, fetch, list_offset,  # noqa: E402
                      produce)

EARLIEST = -2


def wait_for(what, condition, seconds=30):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.05)
    sys.exit(f"FAILED: {what} did not happen within {seconds} s")


def check_delete_records(broker):
    with Connection(broker.port) as connection:
        assert create_topic(connection, b"t") == 0
        assert create_topic(connection, b"compacted", cleanup_policy="compact") == 0
        for number in range(10):
            assert produce(connection, batch(b"%d" % number))[0] == 0
        cases = [
            # offset, low watermark, error: the reference's section 5.6
            (4, 4, 0),
            (2, 4, 0),   # below the start: nothing happens
            (11, -1, 1),  # past the high watermark
            (-2, -1, 1),
            (4, 4, 0),
        ]
        for offset, watermark, error in cases:
            assert delete_records(connection, offset) == (watermark, error), offset
        assert delete_records(connection, 6, version=0) == (6, 0)
        assert delete_records(connection, 0, topic=b"compacted") == (-1, 44)
        assert delete_records(connection, 0, topic=b"__consumer_offsets") == (-1, 17)
        assert delete_records(connection, 0, topic=b"nowhere") == (-1, 3)
        assert delete_records(connection, 0, partition=7) == (-1, 3)
        assert fetch(connection, 5)[0] == 1
        assert list_offset(connection, EARLIEST) == (0, -1, 6)
    broker.restart()  # durable before it was answered
    with Connection(broker.port) as connection:
        assert list_offset(connection, EARLIEST) == (0, -1, 6)
        assert fetch(connection, 5)[0] == 1 and fetch(connection, 6)[0] == 0
        assert delete_records(connection, -1) == (10, 0)
        assert fetch(connection, 10)[:2] == (0, 10)
        assert produce(connection, batch(b"after")) == (0, 10)


def values(connection, topic):
    """{key: last value} and the number of records, over all that a fetch from offset 0 on gives."""
    last, count, offset = {}, 0, 0
    while True:
        error, watermark, data = fetch(connection, offset, topic=topic)
        assert error == 0, error
        before = offset
        for base, end, attributes, record in batches(data):
            offset = end + 1
            if not record or attributes & 0x20:
                continue
            key = record[4 + 1:][:record[4] // 2].decode()  # short keys and values: one byte of length each
            rest = record[4 + 1 + len(key):]
            last[key] = (base, rest[1:1 + rest[0] // 2].decode())
            count += 1
        if offset == before:
            return last, count


def send_keys(connection, topic, first, count):
    for number in range(first, first + count):
        error, offset = produce(connection, batch(b"%d" % number, key=b"k%d" % (number % 7)), topic=topic)
        assert (error, offset) == (0, number), (error, offset)


def check_compaction(broker):
    settings = dict(cleanup_policy="compact", segment_bytes=2048, min_cleanable_dirty_ratio="0.01")
    with Connection(broker.port) as connection:
        assert create_topic(connection, b"keys", **settings) == 0
        assert produce(connection, batch(b"v"), topic=b"keys")[0] == 87  # a record without key
        send_keys(connection, b"keys", 0, 700)
        wait_for("compaction", lambda: values(connection, b"keys")[1] < 100)
        last, _ = values(connection, b"keys")
        assert last == {f"k{n % 7}": (n, str(n)) for n in range(693, 700)}, last
        size = sum(path.stat().st_size for path in Path(broker.directory).glob("data/log/keys-0/*.log"))
        assert size < 20000, size
    for round_number in range(5):  # a kill in the middle of whatever it does
        with Connection(broker.port) as connection:
            send_keys(connection, b"keys", 700 + round_number * 200, 200)
        broker.restart(pause=0)
        with Connection(broker.port) as connection:
            last, _ = values(connection, b"keys")
            end = 900 + round_number * 200
            assert last == {f"k{n % 7}": (n, str(n)) for n in range(end - 7, end)}, last


def check_damage(broker):
    """One bit on the disk: compaction says where, copies nothing of it, and the topic goes on."""
    with Connection(broker.port) as connection:
        assert create_topic(connection, b"bits", cleanup_policy="compact", segment_bytes=2048,
                            min_cleanable_dirty_ratio="0.01", min_compaction_lag_ms=2000) == 0
        send_keys(connection, b"bits", 0, 60)
        path = Path(broker.directory) / "data/log/bits-0/00000000000000000000.log"
        data = bytearray(path.read_bytes())
        place = 12 + struct.unpack(">i", data[8:12])[0]  # the second batch
        with open(path, "r+b") as file:
            file.seek(place + 70)
            file.write(bytes([data[place + 70] ^ 4]))
        wait_for("the report", lambda: "compaction_stopped" in broker.stderr())
        line = re.search(r".*compaction_stopped.*", broker.stderr()).group()
        assert "segment 0" in line and f"position {place}" in line and "topic=bits" in line, line
        time.sleep(0.5)
        assert broker.stderr().count("compaction_stopped") == 1
        send_keys(connection, b"bits", 60, 5)
        assert fetch(connection, 60, topic=b"bits")[0] == 0


def flip(path, place):
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 4]))


def check_rot(broker):
    """A bit on the disk, in a topic that nobody compacts: a cold fetch gives what is before it, then CORRUPT_MESSAGE; what is behind it
    and other partitions go on. The place is told once, by the fetch or by the scrub."""
    CORRUPT_MESSAGE = 2
    with Connection(broker.port) as connection:
        for topic in (b"rotten", b"sound", b"asleep"):
            assert create_topic(connection, topic) == 0
            for number in range(9):
                assert produce(connection, batch(b"%d" % number * 50), topic=topic)[0] == 0
    paths = {topic: Path(broker.directory) / "data/log" / f"{topic}-0" / f"{0:020d}.log" for topic in ("rotten", "asleep")}
    size = 12 + struct.unpack(">i", paths["rotten"].read_bytes()[8:12])[0]
    broker.restart()
    said = len(broker.stderr())
    flip(paths["rotten"], 5 * size + 70)
    with Connection(broker.port) as connection:
        # What the start has read, and what was appended, is believed until the next check of retention.
        wait_for("the refusal", lambda: fetch(connection, 5, topic=b"rotten")[0] == CORRUPT_MESSAGE)
        for _ in range(3):
            error, _, records = fetch(connection, 0, topic=b"rotten")[:3]
            assert error == 0 and [b[0] for b in batches(records)] == [0, 1, 2, 3, 4], records
            assert fetch(connection, 5, topic=b"rotten")[0] == CORRUPT_MESSAGE
            error, _, records = fetch(connection, 6, topic=b"rotten")[:3]
            assert error == 0 and [b[0] for b in batches(records)] == [6, 7, 8]
            assert fetch(connection, 0, topic=b"sound")[0] == 0
        assert produce(connection, batch(b"after"), topic=b"rotten") == (0, 9)
    lines = [line for line in broker.stderr()[said:].splitlines() if "ERROR log damaged log=rotten-0" in line]
    assert len(lines) == 1, lines
    assert f"file={paths['rotten']} position={5 * size} " in lines[0], lines
    flip(paths["asleep"], 7 * size + 70)
    wait_for("the scrub's report", lambda: "log=asleep-0" in broker.stderr()[said:])
    wait_for("the scrub's sum", lambda: "scrub_found_damage topic=asleep partition=0 places=1" in broker.stderr()[said:])
    assert f"file={paths['asleep']} position={7 * size} " in broker.stderr()[said:]


def check_compression(broker):
    with Connection(broker.port) as connection:
        for codec, name in enumerate(["uncompressed", "gzip", "snappy", "lz4", "zstd"]):
            topic = b"codec-" + name.encode()
            assert create_topic(connection, topic, compression_type=name) == 0
            assert produce(connection, batch(b"x" * 60), topic=topic)[0] == 0
            assert fetch(connection, 0, topic=topic)[0] == (76 if name == "zstd" else 0)  # zstd needs Fetch 10
            path = Path(broker.directory) / "data/log" / f"{topic.decode()}-0" / f"{0:020d}.log"
            [(base, last, attributes, record)] = batches(path.read_bytes())
            assert (base, last, attributes & 7) == (0, 0, codec), (name, attributes)
            if name == "snappy":
                assert record[:8] == b"\x82SNAPPY\0"
        assert create_topic(connection, b"wrong", compression_type="brotli") == 40
        assert create_topic(connection, b"wrong", compression_gzip_level="0") == 40
        assert create_topic(connection, b"small", segment_bytes=1024) == 0
        assert produce(connection, batch(b"x" * 60), topic=b"small")[0] == 0
        assert produce(connection, batch(b"x" * 2000, crc=None), topic=b"small")[0] == 18


def check_unreadable(broker):
    """A file that cannot be read takes its partition off, says so once, and nothing else; whole again, it serves again."""
    STORAGE = 56
    with Connection(broker.port) as connection:
        for topic in (b"dark", b"bright"):
            assert create_topic(connection, topic) == 0
            assert produce(connection, batch(b"one"), topic=topic) == (0, 0)
    path = Path(broker.directory) / "data/log/dark-0" / f"{0:020d}.log"
    broker.kill()
    path.rename(path.with_suffix(".kept"))
    path.mkdir()  # whatever is tried with it fails
    said = len(broker.stderr())
    broker.start()
    with Connection(broker.port) as connection:
        for _ in range(3):
            assert produce(connection, batch(b"x"), topic=b"dark")[0] == STORAGE
            for offset in (0, 1, 99):  # no offset is out of a range that nobody knows
                assert fetch(connection, offset, topic=b"dark")[0] == STORAGE
            assert list_offset(connection, EARLIEST, topic=b"dark")[0] == STORAGE
            assert list_offset(connection, -1, topic=b"dark")[0] == STORAGE
            assert delete_records(connection, 0, topic=b"dark")[1] == STORAGE
        assert produce(connection, batch(b"two"), topic=b"bright") == (0, 1)
        assert fetch(connection, 0, topic=b"bright")[:2] == (0, 2)
    lines = [line for line in broker.stderr()[said:].splitlines() if "dark" in line and " INFO " not in line]
    assert len(lines) == 1 and "offline" in lines[0] and f"{0:020d}.log" in lines[0], lines
    broker.kill()
    path.rmdir()
    path.with_suffix(".kept").rename(path)
    broker.start()
    with Connection(broker.port) as connection:
        assert fetch(connection, 0, topic=b"dark")[:2] == (0, 1)
        assert produce(connection, batch(b"two"), topic=b"dark") == (0, 1)


def check_producers(broker):
    """A producer is remembered for producer.id.expiration.ms, which can change while the server runs."""
    def send_ninth():
        return produce(connection, batch(pid=7, epoch=0, seq=9), topic=b"sequences")[0]
    with Connection(broker.port) as connection:
        assert create_topic(connection, b"sequences") == 0
        assert produce(connection, batch(pid=7, epoch=0, seq=0), topic=b"sequences")[0] == 0
        assert send_ninth() == 45  # OUT_OF_ORDER_SEQUENCE_NUMBER
        row = {"Name": "producer.id.expiration.ms", "ConfigOperation": 0, "Value": "1"}
        answer = call(connection, "IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 4, "ResourceName": "1", "Configs": [row]}],
                                                                "ValidateOnly": False})
        assert answer["Responses"][0]["ErrorCode"] == 0, answer
        wait_for("a producer is forgotten", lambda: send_ninth() == 0)  # of one that is not known any sequence is a start


def syncs(broker):
    """Calls of fdatasync, by the broker's own count of what is durable: written bytes in the kernel's account."""
    with open(f"/proc/{broker.process.pid}/io") as file:
        return int(re.search(r"^write_bytes: (\d+)", file.read(), re.M).group(1))


def check_flush():
    """flush.messages=1 makes records durable before the answer where durability=os would not."""
    with Broker("durability=os") as broker, Connection(broker.port) as connection:
        assert create_topic(connection, b"flushed", flush_messages=1) == 0
        assert produce(connection, batch(b"x"), topic=b"flushed", acks=1)[0] == 0
        for number in range(20):
            before = syncs(broker)
            assert produce(connection, batch(b"%d" % number), topic=b"flushed", acks=1)[0] == 0
            assert syncs(broker) > before or not os.path.exists("/proc/self/io")


def main():
    with Broker("log.cleaner.backoff.ms=50", "log.retention.check.interval.ms=100", "log.scrub.interval.ms=200") as broker:
        for check in (check_delete_records, check_compaction, check_damage, check_rot, check_compression,
                      check_producers, check_unreadable):
            check(broker)
    check_flush()
    passed("topic_log", "DeleteRecords, compaction with kills and damage, compression.type, flush.messages, producers that are forgotten, bad files")


main()
