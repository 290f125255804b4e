"""Kafka's protocol by hand: frames and record batches, for tests that must send what no client would; and the requests that most
of them need. Messages come from kafkaspec, which sends them over a Connection.

Python's standard library only. Numbers are big endian; a batch is one record of format 2.
"""
import socket
import struct
import time

from kafkaspec import call, send
from patience import patient


class Connection:
    """A connection to the Kafka port of this machine."""

    def __init__(self, port, client_id="c"):
        self.socket, self.client_id = socket.create_connection(("127.0.0.1", port), timeout=patient(60)), client_id.encode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, key, version, body, correlation=7, flexible=False):
        head = struct.pack(">hhi", key, version, correlation) + text(self.client_id) + (b"\0" if flexible else b"")
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def answer(self):
        """The body after the correlation id."""
        frame = self.read(struct.unpack(">i", self.read(4))[0])
        assert frame[:4] == b"\0\0\0\7", frame
        return frame[4:]

    def closed(self):
        """Waits until the other side has closed; False when it says something instead."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(number):
    number, out = number * 2 if number >= 0 else -number * 2 - 1, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def record(number, key, value, later=0):
    """Of a batch: the record with this number, so many ms later than its base."""
    body = b"\0" + varint(later) + varint(number) + (b"\1" if key is None else varint(len(key)) + key)
    body += (b"\1" if value is None else varint(len(value)) + value) + b"\0"
    return varint(len(body)) + body


def batch(value=b"v", base=0, magic=2, attributes=0, pid=-1, epoch=-1, seq=-1, count=None, crc=None, timestamp=None,
          key=None, records=None):
    """Of one record, or of records (key, value, ms after timestamp)."""
    records = records or [(key, value, 0)]
    count = len(records) if count is None else count
    stamp = int(time.time() * 1000) if timestamp is None else timestamp
    last = stamp + max(later for _, _, later in records)
    tail = struct.pack(">hiqqqhii", attributes, count - 1, stamp, last, pid, epoch, seq, count)
    tail += b"".join(record(number, *one) for number, one in enumerate(records))
    crc = crc32c(tail) if crc is None else crc
    return struct.pack(">qiibI", base, len(tail) + 9, -1, magic, crc) + tail


def text(word):
    return struct.pack(">h", len(word)) + word


def produce(connection, records, topic=b"t", partition=0, acks=-1, version=7):
    """(error, base offset) of a produce of one batch."""
    data = [dict(Name=topic, PartitionData=[dict(Index=partition, Records=records)])]
    fields = dict(Acks=acks, TimeoutMs=1000, TopicData=data)
    if acks == 0:
        return send(connection, "Produce", version, fields)
    part = call(connection, "Produce", version, fields)["Responses"][0]["PartitionResponses"][0]
    return part["ErrorCode"], part["BaseOffset"]


def batches(data):
    """(base offset, last offset, attributes, record bytes) of every whole batch."""
    while len(data) >= 61 and len(data) >= 12 + struct.unpack(">i", data[8:12])[0]:
        base, length = struct.unpack(">qi", data[:12])
        attributes, delta = struct.unpack(">hi", data[21:27])
        yield base, base + delta, attributes, data[61:12 + length]
        data = data[12 + length:]


def create_topic(connection, name, **configs):
    """Error of a CreateTopics of one topic with one partition; configs with _ for the dots of their names."""
    rows = [dict(Name=config.replace("_", "."), Value=str(value)) for config, value in configs.items()]
    topic = dict(Name=name, NumPartitions=1, ReplicationFactor=1, Configs=rows)
    return call(connection, "CreateTopics", 4, Topics=[topic], timeoutMs=10000)["Topics"][0]["ErrorCode"]


def delete_records(connection, offset, topic=b"t", partition=0, version=1):
    """(low watermark, error) of a DeleteRecords of one partition."""
    asked = [dict(Name=topic, Partitions=[dict(PartitionIndex=partition, Offset=offset)])]
    part = call(connection, "DeleteRecords", version, Topics=asked, TimeoutMs=10000)["Topics"][0]["Partitions"][0]
    return part["LowWatermark"], part["ErrorCode"]


def list_offset(connection, timestamp, topic=b"t", partition=0):
    """(error, timestamp, offset)"""
    asked = [dict(Name=topic, Partitions=[dict(PartitionIndex=partition, Timestamp=timestamp)])]
    part = call(connection, "ListOffsets", 1, ReplicaId=-1, Topics=asked)["Topics"][0]["Partitions"][0]
    return part["ErrorCode"], part["Timestamp"], part["Offset"]


def fetch(connection, offset, wait=0, least=1, topic=b"t", most=1 << 20, isolation=0):
    """(error, high watermark, records) of partition 0, without a session."""
    asked = [dict(Topic=topic, Partitions=[dict(Partition=0, FetchOffset=offset, PartitionMaxBytes=most)])]
    answer = call(connection, "Fetch", 4, MaxWaitMs=wait, MinBytes=least, MaxBytes=most, IsolationLevel=isolation, Topics=asked)
    part = answer["Responses"][0]["Partitions"][0]
    return part["ErrorCode"], part["HighWatermark"], part["Records"] or b""
