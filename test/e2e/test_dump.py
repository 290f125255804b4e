#!/usr/bin/env python3
"""`rialto dump`: all that a server has stored, and what went over a connection, can be read; damage is named; nothing is written.

    test_dump.py BUILD

The capture is made here: a proxy writes down what kcat and the server say to each other, and the test makes TCP packets of it, some twice,
some late, one missing.
"""
import base64
import hashlib
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import Server, fail, wait_until  # noqa: E402

SQL = ("CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='s', value_format='json', partitions=2);"
       "CREATE TABLE t WITH (kafka_topic='t') AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;")
CLIENT, SERVER = bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1])
PORT = 40000


# A capture --------------------------------------------------------------------------------------------------------------------


class Proxy(threading.Thread):
    """Passes one connection on and keeps (from_client, bytes) in order."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = target
        self.said = []
        self.lock = threading.Lock()

    def pass_on(self, source, sink, from_client):
        while data := source.recv(65536):
            with self.lock:
                self.said.append((from_client, data))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.target))
        back = threading.Thread(target=self.pass_on, args=(server, client, False), daemon=True)
        back.start()
        self.pass_on(client, server, True)
        back.join()


def packet(from_client, seq, flags, data, port):
    """An Ethernet frame with IPv4 and TCP; checksums are left out, as captures of a machine's own packets have them."""
    source, target = (PORT, port) if from_client else (port, PORT)
    tcp = struct.pack(">HHIIBBHHH", source, target, seq, 0, 5 << 4, flags, 65535, 0, 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, CLIENT, SERVER) + tcp
    return b"\0" * 12 + b"\x08\0" + ip


def capture(said, port, lose=-1):
    """said as a pcap; packet `lose` of the client is missing. Client segments are cut in two, swapped, and the first comes twice."""
    packets = [packet(True, 999, 2, b"", port), packet(False, 1999, 18, b"", port)]
    seqs = {True: 1000, False: 2000}
    sent = 0
    for from_client, data in said:
        half = len(data) // 2 if from_client else len(data)
        pieces = []
        for piece in (data[:half], data[half:]):
            if piece:
                pieces.append(packet(from_client, seqs[from_client], 24, piece, port))
                seqs[from_client] += len(piece)
        if from_client:
            pieces = list(reversed(pieces)) + pieces[:1]
            if sent == lose:
                pieces = []
            sent += 1
        packets += pieces
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for i, one in enumerate(packets):
        out += struct.pack("<IIII", 1700000000, i, len(one), len(one)) + one
    return out


def talk(server):
    """Kafka requests by hand through the proxy: ApiVersions, Produce, Fetch, an unknown version."""
    from rawkafka import Connection, batch, fetch, produce
    proxy = Proxy(server.kafka_port)
    proxy.start()
    with Connection(proxy.port) as connection:
        connection.send(18, 0, b"")
        connection.answer()
        error, offset = produce(connection, batch(b"seen in the capture"), topic=b"raw")
        if error != 0 or offset != 0:
            fail(f"produce: error {error}, offset {offset}")
        fetch(connection, 0, topic=b"raw")
    proxy.join()
    return proxy.said


def dump_wire(server, directory, bytes_, *options, status=0):
    path = directory / "capture"
    path.write_bytes(bytes_)
    got, out, err = server.cli("dump", "wire", str(path), "--json", *options, check=False)
    if got != status:
        fail(f"dump wire: status {got}: {err}")
    return [json.loads(line) for line in out.splitlines()]


def check_wire(server, directory):
    said = talk(server)
    items = dump_wire(server, directory, capture(said, 9092))
    seen = [(item["what"], item["api"], item["correlation_id"]) for item in items]
    wanted = [(what, api, 7) for api in ("ApiVersions", "Produce", "Fetch") for what in ("request", "response")]
    if seen != wanted:
        fail(f"a whole capture: {seen}")
    record = items[2]["body"]["TopicData"][0]["PartitionData"][0]["Records"][0]
    if record["check"] != "ok" or record["records"][0]["value"] != "seen in the capture":
        fail(f"the produced batch: {record}")
    fetched = items[5]["body"]["Responses"][0]["Partitions"][0]["Records"][0]
    if fetched["records"][0]["value"] != "seen in the capture" or items[3]["body"]["Responses"][0]["PartitionResponses"][0]["BaseOffset"] != 0:
        fail(f"responses: {items[3]} {items[5]}")
    if (items[0]["from"], items[0]["to"]) != (f"127.0.0.1:{PORT}", "127.0.0.1:9092") or items[1]["from"] != "127.0.0.1:9092":
        fail(f"the ends of the connection: {items[0]} {items[1]}")
    # Another port: the side that opened the connection is the client.
    if len(dump_wire(server, directory, capture(said, 7777))) != 6:
        fail("a server at another port")
    # The packets of the produce request are missing: its answer and what follows are found again.
    broken = dump_wire(server, directory, capture(said, 9092, lose=1), status=1)
    kinds = [(item["what"], item.get("api")) for item in broken]
    if ("request", "Fetch") not in kinds or ("response", "Fetch") not in kinds or ("request", "Produce") in kinds:
        fail(f"a capture with a gap: {kinds}")
    stream = b"".join(data for from_client, data in said if from_client)
    if [item["api"] for item in dump_wire(server, directory, stream)] != ["ApiVersions", "Produce", "Fetch"]:
        fail("the client's bytes alone")
    if [item["api"] for item in dump_wire(server, directory, stream.hex().encode())] != ["ApiVersions", "Produce", "Fetch"]:
        fail("the client's bytes as hex")
    check_bare_tokens(server, directory)
    print("wire: a capture, one with a gap, raw bytes, hex, bare tokens")


def check_bare_tokens(server, directory):
    """SaslHandshake version 0: tokens without header, on both sides, which are no damage and no secret's place."""
    def frame(body):
        return struct.pack(">i", len(body)) + body
    handshake = frame(struct.pack(">hhihh5s", 17, 0, 7, -1, 5, b"PLAIN"))
    said = [(True, handshake), (False, frame(struct.pack(">ihih5s", 7, 0, 1, 5, b"PLAIN"))), (True, frame(b"\0alice\0alice-Wort")), (False, frame(b"")),
            (True, frame(struct.pack(">hhih", 18, 0, 8, -1))), (False, frame(struct.pack(">ihi", 8, 0, 0)))]
    items = dump_wire(server, directory, capture(said, 9092))
    seen = [(item["what"], item.get("api"), item.get("bytes")) for item in items]
    wanted = [("request", "SaslHandshake", 17), ("response", "SaslHandshake", 17), ("sasl_token", None, 17), ("sasl_token", None, 0),
              ("request", "ApiVersions", 10), ("response", "ApiVersions", 10)]
    if seen != wanted or "Wort" in json.dumps(items):
        fail(f"bare tokens: {items}")


# Files ---------------------------------------------------------------------------------------------------------------------------


def digest(directory):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.rglob("*")) if path.is_file()}


def dump(server, *words, status=0):
    """Items of a dump; its text form must have as many lines."""
    got, out, err = server.cli("dump", *words, "--json", check=False)
    text = server.cli("dump", *words, check=False)
    if got != status or text[0] != status:
        fail(f"dump {words}: status {got} and {text[0]}, {status} expected: {err}")
    items = [json.loads(line) for line in out.splitlines()]
    if len(text[1].splitlines()) != len(items):
        fail(f"dump {words}: {len(items)} items, {len(text[1].splitlines())} lines")
    return items


def records(items, kind):
    return [(item["key"], item["value"]) for item in items if item.get("type") == kind]


def check_files(server, data):
    before = digest(data)
    values = [item["value"] for part in (0, 1) for item in dump(server, "log", f"{data}/log/s-{part}", "-r") if item["what"] == "record"]
    if sorted(json.loads(value)["n"] for value in values) != list(range(500)):
        fail(f"dump log: {len(values)} records")
    topics = {key["Name"] for key, _ in records(dump(server, "topic", str(data)), "Topic")}
    if not {"s", "t", "raw", "__consumer_offsets"} <= topics:
        fail(f"dump topic: {topics}")
    offsets = [(key["topic"], value["offset"]) for key, value in records(dump(server, "group", str(data)), "OffsetCommit") if key["group"] == "readers"]
    if sum(dict(offsets).values() if len(dict(offsets)) == 1 else [offset for _, offset in offsets[-2:]]) < 250:
        fail(f"dump group: {offsets}")
    txns = records(dump(server, "txn", str(data)), "TransactionLog")
    if not txns or txns[0][0]["TransactionalId"] != "rialto-engine":
        fail(f"dump txn: {txns[:1]}")
    statements = [item["value"]["statement"] for item in dump(server, "plan", str(data)) if item["what"] == "record"]
    if [statement.split()[1] for statement in statements] != ["STREAM", "TABLE"]:
        fail(f"dump plan: {statements}")
    state = dump(server, "state", str(data))
    positions = {item["name"]: item["value"] for item in state if item["what"] == "number"}
    if sum(value for name, value in positions.items() if "source.pos/s/" in name) != 500:
        fail(f"dump state: {positions}")
    if len({item["key"] if isinstance(item["key"], str) else item["key"]["b64"] for item in state if item["what"] == "row"}) != 7:
        fail("dump state: not seven keys")
    for kind in ("index", "timeindex"):
        for path in data.glob(f"log/*/*.{kind}"):
            if any(item["check"] != "ok" for item in dump(server, kind, str(path))):
                fail(f"{path}: an entry does not fit")
    if any(item["check"] != "ok" for path in data.glob("log/*/checkpoint") for item in dump(server, "checkpoint", str(path)) if item["what"] == "checkpoint"):
        fail("a checkpoint does not fit")
    if digest(data) != before:
        fail("a dump has written something")
    print("files: log, topic, group, txn, plan, state, indexes, checkpoints")


def check_damage(server, data):
    """A byte of a batch, and one of the journal: what follows is still told."""
    copy = Path(tempfile.mkdtemp(prefix="rialto-e2e-dump-"))
    segment = copy / "00000000000000000000.log"
    shutil.copy(data / "log/s-0/00000000000000000000.log", segment)
    batches = [item for item in dump(server, "log", str(segment)) if item["what"] == "batch"]
    for name in ("00000000000000000000.cleaned", "00000000000000000000.log.deleted"):
        shutil.copy(segment, copy / name)
        if dump(server, "log", str(copy / name)) != batches + [item for item in dump(server, "log", str(segment)) if item["what"] != "batch"]:
            fail(f"{name} is not told as the segment")
    damaged = bytearray(segment.read_bytes())
    damaged[batches[1]["at"] + 16] ^= 0xFF  # the magic number
    segment.write_bytes(damaged)
    after = dump(server, "log", str(segment), status=1)
    if [item["at"] for item in after] != [item["at"] for item in batches] or after[1]["what"] != "damaged" or after[1]["bytes"] != batches[1]["bytes"]:
        fail(f"a damaged batch: {after[:4]}")
    journal = copy / "journal"
    shutil.copy(data / "state/journal", journal)
    entries = [item for item in dump(server, "state", str(journal)) if item["what"] == "entry"]
    damaged = bytearray(journal.read_bytes())
    damaged[entries[1]["at"] + 30] ^= 0xFF
    journal.write_bytes(damaged)
    after = [item for item in dump(server, "state", str(journal), status=1) if item["what"] in ("entry", "damaged")]
    if [item["at"] for item in after] != [item["at"] for item in entries] or after[1]["what"] != "damaged":
        fail(f"a damaged entry: {after[:3]}")
    shutil.rmtree(copy)
    print("damage: named, and stepped over")


def check_wal(server, data):
    """What was produced lies in the write-ahead log, under the topic's id, also after a kill; after a clean stop there is none."""
    server.cli("topic", "create", "w", "-b", server.kafka)
    sent = 0

    def entries():
        return [item for item in dump(server, "wal", str(data)) if item["what"] == "entry"]

    def last_is_there():
        nonlocal sent
        server.cli("produce", "w", "-b", server.kafka, input=f"{sent}\n")
        sent += 1
        return any((data / "wal").glob("*.wal")) and any(item["end_offset"] == sent and item["base_offset"] == sent - 1 for item in entries())

    wait_until("a record is in the write-ahead log", last_is_there)
    server.kill()
    ids = {item["topic_id"] for item in entries() if item["end_offset"] == sent and item["partition"] == 0 and item["base_offset"] == sent - 1}
    known = {base64.urlsafe_b64decode(value["TopicId"] + "==").hex() for key, value in records(dump(server, "topic", str(data)), "Topic") if key["Name"] == "w"}
    if not known & ids:
        fail(f"dump wal: topic {known} is not among {ids}")
    items = dump(server, "wal", *map(str, sorted((data / "wal").glob("*.wal"))))
    if items[0]["what"] != "header" or items[0]["check"] != "ok" or not {"header", "frame", "entry", "spare"} >= {item["what"] for item in items}:
        fail(f"dump wal: {items[:2]}")
    server.start()
    got = server.cli("consume", "w", "-e", "-o", "beginning", "-b", server.kafka)[1].split()
    if got != [str(n) for n in range(sent)]:
        fail(f"after a kill: {got}, {sent} were sent")


def main(build):
    directory = Path(tempfile.mkdtemp(prefix="rialto-e2e-dump-"))
    with Server(build) as server:
        server.ksql(SQL)
        lines = "".join(f'k{i % 7}:{{"n":{i}}}\n' for i in range(500))
        for part in range(5):
            server.cli("produce", "s", "-K:", "-b", server.kafka, input="".join(lines.splitlines(True)[part * 100 : part * 100 + 100]))
        wait_until("all are counted", lambda: sum(row[1] for row in server.query("SELECT * FROM t;")) == 500)
        server.cli("consume", "s", "-G", "readers", "-e", "-o", "beginning", "-b", server.kafka)
        server.cli("topic", "create", "raw", "-b", server.kafka)
        check_wire(server, directory)
        check_wal(server, server.data)
        server.process.terminate()
        server.process.wait(timeout=patient(30))
        dump(server, "wal", str(server.data), status=1)
        check_files(server, server.data)
        check_damage(server, server.data)
        server.start()
    shutil.rmtree(directory)


if __name__ == "__main__":
    main(sys.argv[1])
