"""Kafka's protocol by hand: frames, record batches, Produce and Fetch, for tests that must send what no client would.

Python's standard library only. Numbers are big endian; a batch is one record of format 2.
"""
import socket
import struct
import time

from patience import patient


class Connection:
    """A connection to the Kafka port of this machine."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patient(20))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, key, version, body, correlation=7, flexible=False):
        head = struct.pack(">hhih", key, version, correlation, 1) + b"c" + (b"\0" if flexible else b"")
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
    number, out = number * 2, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def batch(value=b"v", base=0, magic=2, attributes=0, pid=-1, epoch=-1, seq=-1, count=1, crc=None, timestamp=None,
          key=None):
    record = b"\0\0\0" + (b"\1" if key is None else varint(len(key)) + key)
    record += (b"\1" if value is None else varint(len(value)) + value) + b"\0"
    record = varint(len(record)) + record
    stamp = int(time.time() * 1000) if timestamp is None else timestamp
    tail = struct.pack(">hiqqqhii", attributes, count - 1, stamp, stamp, pid, epoch, seq, count) + record
    crc = crc32c(tail) if crc is None else crc
    return struct.pack(">qiibI", base, len(tail) + 9, -1, magic, crc) + tail


def text(word):
    return struct.pack(">h", len(word)) + word


def produce(connection, records, topic=b"t", partition=0, acks=-1, version=7):
    """(error, base offset) of a produce of one batch, version 3 to 7."""
    body = struct.pack(">hhi", -1, acks, 1000) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    connection.send(0, version, body)
    if acks == 0:
        return None
    answer = connection.answer()
    return struct.unpack(">hq", answer[4 + 2 + len(topic) + 4 + 4:][:10])


def batches(data):
    """(base offset, last offset, attributes, record bytes) of every whole batch."""
    while len(data) >= 61 and len(data) >= 12 + struct.unpack(">i", data[8:12])[0]:
        base, length = struct.unpack(">qi", data[:12])
        attributes, delta = struct.unpack(">hi", data[21:27])
        yield base, base + delta, attributes, data[61:12 + length]
        data = data[12 + length:]


def create_topic(connection, name, **configs):
    """Error of a CreateTopics of one topic with one partition; configs with _ for the dots of their names."""
    body = struct.pack(">i", 1) + text(name) + struct.pack(">ihi", 1, 1, 0) + struct.pack(">i", len(configs))
    for config, value in configs.items():
        body += text(config.replace("_", ".").encode()) + text(str(value).encode())
    connection.send(19, 4, body + struct.pack(">ib", 10000, 0))
    return struct.unpack(">h", connection.answer()[4 + 4 + 2 + len(name):][:2])[0]


def delete_records(connection, offset, topic=b"t", partition=0, version=1):
    """(low watermark, error) of a DeleteRecords of one partition, version 0 or 1."""
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, offset, 10000)
    connection.send(21, version, body)
    return struct.unpack(">qh", connection.answer()[4 + 4 + 2 + len(topic) + 4 + 4:][:10])


def list_offset(connection, timestamp, topic=b"t", partition=0):
    """(error, timestamp, offset), version 1."""
    body = struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, timestamp)
    connection.send(2, 1, body)
    return struct.unpack(">hqq", connection.answer()[4 + 2 + len(topic) + 4 + 4:][:18])


def fetch(connection, offset, wait=0, least=1, topic=b"t", most=1 << 20, isolation=0):
    """(error, high watermark, records) of partition 0, version 4."""
    body = struct.pack(">iiiib", -1, wait, least, most, isolation) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">iiqi", 1, 0, offset, most)
    connection.send(1, 4, body)
    rest = connection.answer()[4 + 4 + 2 + len(topic) + 4 + 4:]
    error, watermark, _, aborted = struct.unpack(">hqqi", rest[:22])
    size = struct.unpack(">i", rest[22 + max(aborted, 0) * 16:][:4])[0]
    return error, watermark, rest[26 + max(aborted, 0) * 16:][:max(size, 0)]
