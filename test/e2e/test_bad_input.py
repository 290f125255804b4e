#!/usr/bin/env python3
"""Bad input from all sides: the answer is a clear error, the server lives, and what was acknowledged is there.

    test_bad_input.py BUILD

Bytes that are no requests, batches that are none, clients that never end their sentence, SQL and JSON of any size and depth, a second
server on the same directory, directories that cannot be written, disks that are full and get room again. One stream of acknowledged records
runs through all parts; after each of them they are all read back. Random choices have a fixed seed.
"""
import gzip
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from rawkafka import Connection, batch, crc32c, fetch, produce, text, varint  # noqa: E402
from server import Server, fail, free_port, wait_until  # noqa: E402

CHANCE = random.Random(14)
MIB = 1 << 20
MEMORY_MAX = 300 * MIB  # what the server may grow by while it is sent nonsense
HTTP_STARTS = [b"", b"GET ", b"GET /info HTTP/1.1\r\n", b"POST /ksql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n", b"POST /ksql HTTP/1.1\r\nHost: localhost\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
               b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"]
TABLE = ("CREATE STREAM ledger (k STRING KEY, n INT) WITH (kafka_topic='ledger', value_format='json', partitions=1);"
         "CREATE TABLE sums WITH (kafka_topic='sums') AS SELECT k, SUM(n) AS total, COUNT(*) AS c FROM ledger GROUP BY k;")


# The records that must never be lost -----------------------------------------------------------------------------------------


class Ledger:
    """Acknowledged records {"n": i} of one topic, and the table that counts and sums them."""

    def __init__(self, server):
        self.server = server
        self.acknowledged = 0
        server.ksql(TABLE)

    def add(self, count=5):
        for _ in range(count):
            with Connection(self.server.kafka_port) as connection:
                error, offset = produce(connection, keyed(b"a", b'{"n": %d}' % self.acknowledged), topic=b"ledger")
            if error != 0 or offset != self.acknowledged:
                self.server.fail(f"record {self.acknowledged} was not taken: error {error}, offset {offset}")
            self.acknowledged += 1

    def check(self, what):
        """All is there, in order, once; a new record is taken; the table counts it."""
        if not self.server.is_running():
            self.server.fail(f"{what}: the server is gone")
        self.add(1)
        out = subprocess.run(["kcat", "-C", "-b", self.server.kafka, "-t", "ledger", "-e", "-q", "-o", "beginning", "-f", "%s\n"], capture_output=True,
                             timeout=patient(60), text=True, check=True).stdout
        numbers = [json.loads(line)["n"] for line in out.splitlines()]
        if numbers != list(range(self.acknowledged)):
            self.server.fail(f"{what}: {self.acknowledged} records were acknowledged, there are {numbers}")
        wanted = [["a", sum(numbers), len(numbers)]]
        wait_until(f"{what}: the table has {wanted}", lambda: self.server.query("SELECT * FROM sums;") == wanted, seconds=60)
        print(f"{what}: {self.acknowledged} records are there")


def keyed(key, value):
    """A batch of one record with a key."""
    record = b"\0\0\0" + varint(len(key)) + key + varint(len(value)) + value + b"\0"
    return wrap(varint(len(record)) + record)


def wrap(records, attributes=0, count=1):
    """Bytes of records, compressed or not, as a batch with the right checksum."""
    stamp = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", attributes, count - 1, stamp, stamp, -1, -1, -1, count) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def memory(server):
    """Resident bytes of the server, which must not have run away; sanitizers use memory as they like."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_sanitized(server):
    return any(name in Path(f"/proc/{server.process.pid}/maps").read_text() for name in ("libasan", "libtsan"))


def throw(port, data, linger=0.0):
    """Sends bytes, takes what comes for a moment, goes away."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patient(20)) as client:
            client.sendall(data)
            client.settimeout(linger or 0.01)
            client.recv(65536)
    except (TimeoutError, ConnectionResetError, BrokenPipeError):
        pass


# The Kafka port --------------------------------------------------------------------------------------------------------------


def frame(data):
    return struct.pack(">i", len(data)) + data


def head(key, version):
    """Header of a request that has a flexible one or not: the extra byte is part of the nonsense that follows."""
    return struct.pack(">hhih", key, version, 7, 1) + b"c"


def api_ranges(server):
    with Connection(server.kafka_port) as connection:
        connection.send(18, 0, b"")
        return list(struct.iter_unpack(">hhh", connection.answer()[6:]))


def lengths(server, _):
    """Lengths that lie: the connection is closed at once, and no memory is taken for them."""
    before = memory(server)
    held = []
    for length in (0x7FFFFFFF, -1, -0x80000000, 0x10000000, 100 * MIB + 1):
        for _ in range(20):
            connection = Connection(server.kafka_port)
            connection.socket.sendall(struct.pack(">i", length) + b"\0" * 64)
            held.append(connection)
    refused = [connection.closed() for connection in held]
    if not all(refused):
        server.fail(f"{refused.count(False)} of {len(refused)} connections with absurd lengths live on")
    for _ in range(50):  # a length that is allowed, and nothing after it
        held.append(Connection(server.kafka_port))
        held[-1].socket.sendall(struct.pack(">i", 90 * MIB) + head(0, 7))
    grown = memory(server) - before
    if grown > 60 * MIB and not is_sanitized(server):
        server.fail(f"announced lengths alone took {grown >> 20} MiB")
    for connection in held:
        connection.socket.close()


def bodies(server, _):
    """Each API in its versions with bodies of zeros, ones, great counts, and noise."""
    count = 0
    for key, low, high in api_ranges(server):
        for version in sorted({low, (low + high) // 2, high}):
            noise = [CHANCE.randbytes(CHANCE.randrange(1, 200)) for _ in range(6)]
            for body in [b"", b"\0" * 40, b"\xff" * 40, b"\x7f" * 40, b"\0\x7f\xff\xff\xff" * 8, b"\xff\xff\xff\xff\x0f" * 8, *noise]:
                throw(server.kafka_port, frame(head(key, version) + body), 0.002)
                count += 1
    return f"{count} bodies"


def mutations(server, _):
    """Whole requests with some bytes changed, in one connection each."""
    body = struct.pack(">hhi", -1, -1, 1000) + struct.pack(">i", 1) + text(b"junk") + struct.pack(">iii", 1, 0, 70) + batch()
    ask = struct.pack(">iiiib", -1, 10, 0, MIB, 0) + struct.pack(">i", 1) + text(b"ledger") + struct.pack(">iiqi", 1, 0, 0, MIB)
    join = text(b"group") + struct.pack(">ii", 6000, 6000) + text(b"") + text(b"consumer") + struct.pack(">i", 1) + text(b"range") + struct.pack(">i", 4) + b"meta"
    for good in (head(0, 7) + body, head(1, 4) + ask, head(11, 2) + join):
        for _ in range(150):
            data = bytearray(good)
            for _ in range(CHANCE.randrange(1, 6)):
                data[CHANCE.randrange(2, len(data))] = CHANCE.choice([0, 1, 0x7F, 0x80, 0xFF, CHANCE.randrange(256)])
            if CHANCE.random() < 0.3:
                data = data[: CHANCE.randrange(3, len(data))]
            throw(server.kafka_port, frame(bytes(data)), 0.002)
    return "450 requests"


def batches(server, ledger):
    """Batches that are none are refused with a code; nothing of them is in the log."""
    good = keyed(b"a", b'{"n": 1}')
    bomb = gzip.compress(b"\0" * (400 * MIB))
    bad = {
        "flipped bit in the records": (bytes(good[:-2]) + bytes([good[-2] ^ 1]) + good[-1:], 2),
        "compressed noise": (wrap(CHANCE.randbytes(300), attributes=1), 87),
        "unknown codec": (wrap(b"\0" * 20, attributes=5), 87),
        "zstd that is none": (wrap(b"\x28\xb5\x2f\xfd" + CHANCE.randbytes(50), attributes=4), 87),
        "more records than it says": (wrap(good[61:] * 2, count=1), 87),
        "fewer records than it says": (wrap(good[61:], count=1000000), 87),
        "a record that ends outside": (wrap(varint(500) + good[62:]), 87),
        "a key that ends outside": (wrap(varint(10) + b"\0\0\0" + varint(1 << 30) + b"abcdef"), 87),
        "a million headers": (wrap(varint(9) + b"\0\0\0\1\1" + varint(1000000)[:4]), 87),
        "400 MiB in 400 KiB": (wrap(bomb, attributes=1), None),
    }
    before = memory(server)
    with Connection(server.kafka_port) as connection:
        for what, (data, wanted) in bad.items():
            error, offset = produce(connection, data, topic=b"ledger")
            if error == 0 or offset != -1 or (wanted is not None and error not in (wanted, 2, 76)):
                server.fail(f"{what}: error {error}, offset {offset}")
        error, watermark, _ = fetch(connection, 0, topic=b"ledger")
        if (error, watermark) != (0, ledger.acknowledged):
            server.fail(f"after refused batches the log ends at {watermark} instead of {ledger.acknowledged}")
    if memory(server) - before > MEMORY_MAX and not is_sanitized(server):
        server.fail(f"bad batches took {(memory(server) - before) >> 20} MiB")
    return f"{len(bad)} batches refused"


def noise(server, _):
    """Random bytes on every port, bare and behind the beginnings of real requests."""
    before = memory(server)
    for _ in range(120):
        size = CHANCE.choice([1, 4, 20, 300, 4000, 70000])
        throw(server.kafka_port, CHANCE.randbytes(size))
        throw(server.kafka_port, frame(CHANCE.randbytes(size)))
        for port in server.http_ports:
            throw(port, CHANCE.choice(HTTP_STARTS) + CHANCE.randbytes(size))
    if memory(server) - before > MEMORY_MAX and not is_sanitized(server):
        server.fail(f"noise took {(memory(server) - before) >> 20} MiB")
    return "random bytes"


# Slow clients ----------------------------------------------------------------------------------------------------------------


def slow(server, ledger):
    """Two hundred clients that begin a sentence: the others are served as before, and each in the end is hung up on."""
    begun = time.monotonic()
    clients = []
    for i in range(200):
        client = socket.create_connection(("127.0.0.1", [server.kafka_port, *server.http_ports][i % 3]), timeout=patient(40))
        client.sendall([frame(head(3, 1) + b"\0")[:-1], b"GET /info HTTP/1.1\r\nHost: loc", b"POST /ksql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"][i % 3])
        clients.append(client)
    for i in range(5):
        started = time.monotonic()
        ledger.add(1)
        server.get_json("/info")
        if time.monotonic() - started > patient(3):
            server.fail(f"beside slow clients a request took {time.monotonic() - started:.1f} s")
        for client in clients:  # a byte now and then does not help
            try:
                client.sendall(b"a")
            except (BrokenPipeError, ConnectionResetError):
                pass
        time.sleep(0.2)
    heads = [client for i, client in enumerate(clients) if i % 3 == 1]
    for client in heads:
        try:
            answer = client.recv(4096)
            if answer and b" 408 " not in answer:
                server.fail(f"a head that never ends was answered {answer[:100]}")
        except ConnectionResetError:
            pass
        except TimeoutError:
            server.fail(f"a head that never ends still waits after {time.monotonic() - begun:.0f} s")
    for client in clients:
        client.close()
    return f"{len(heads)} heads ended after {time.monotonic() - begun:.0f} s"


# SQL and JSON -----------------------------------------------------------------------------------------------------------------


def refused(server, what, path, body, statuses=(400,)):
    """A refusal with a message in JSON; the message."""
    status, answer = server.request("POST", path, body)
    try:
        message = json.loads(answer)["message"]
    except (ValueError, KeyError, TypeError):
        server.fail(f"{what}: {status}, no error object: {answer[:300]}")
    if status not in statuses or not message:
        server.fail(f"{what}: {status} {message[:300]}")
    if len(answer) > 64 * 1024 and len(answer) > 3 * len(body if isinstance(body, bytes) else json.dumps(body)):
        server.fail(f"{what}: an error of {len(answer)} bytes")
    return message


def broken_json(server, _):
    """Bodies that are no JSON, not the right JSON, too deep or too large, on each route that takes one."""
    texts = [b"", b"{", b"[1,2", b"nul", b'{"ksql": "SHOW TOPICS;"', b'{"ksql" "x"}', b'{"ksql": 5}', b'{"ksql": null}', b'"x"', b"[]", b"1e999999", b"{\"a\": \"\\ud800\"}",
             b'{"ksql": "\xff\xfe"}', b'{"ksql": "SHOW TOPICS;", "streamsProperties": 7}', b'{"ksql": "SHOW TOPICS;", "streamsProperties": {"a": [1]}}', b"\0" * 100,
             b'{"a":' * 100000 + b"1" + b"}" * 100000, b"[" * 1000000, b'{"name": "x"}', b'{"name": "x", "config": []}', b'{"name": 5, "config": {}}']
    for path in ("/ksql", "/query", "/query-stream", "/close-query", "/connectors"):
        for data in texts:
            refused(server, f"{path} {data[:40]}", path, data, (400, 404, 413, 422))
    status, answer = server.request("PUT", "/connectors/x/config", b"[" * 5000)
    if status != 400:
        server.fail(f"deep configuration: {status} {answer[:200]}")
    return f"{5 * len(texts)} bodies"


BROKEN_SQL = ["", ";", "SELEKT 1;", "SELECT", "SELECT * FROM nowhere EMIT CHANGES;", "SELECT nothing FROM ledger EMIT CHANGES;", "CREATE STREAM;",
              "CREATE STREAM x (a INT) WITH (kafka_topic=);", "CREATE STREAM x (a INT, a INT) WITH (kafka_topic='x', value_format='json', partitions=1);",
              "CREATE STREAM x (a NOSUCH) WITH (kafka_topic='x', value_format='json');", "CREATE STREAM x WITH (kafka_topic='x', value_format='nosuch', partitions=1);",
              "CREATE TABLE t AS SELECT n, COUNT(*) FROM ledger GROUP BY nothing;", "SELECT 'open FROM ledger;", "SELECT \"open FROM ledger;", "SELECT `open FROM ledger;",
              "/* open", "SELECT 1 +;", "SELECT ((1) FROM ledger;", "DROP STREAM nowhere;", "TERMINATE nowhere;", "INSERT INTO ledger (k) VALUES (1, 2);",
              "INSERT INTO ledger VALUES ('a');", "SELECT NOSUCH(n) FROM ledger EMIT CHANGES;", "DESCRIBE nowhere;", "EXPLAIN nowhere;", "\0\1\2", "é€😀;",
              "SELECT 99999999999999999999999999999999999999999 FROM ledger EMIT CHANGES;", "SELECT ${nothing} FROM ledger;", "RUN SCRIPT 'x';", "EXIT;"]


def deep(depth):
    """Expressions and types that are nested, each in another way."""
    return {
        "parentheses": f"SELECT {'(' * depth}1{')' * depth} FROM ledger EMIT CHANGES;",
        "open parentheses": f"SELECT {'(' * depth}",
        "NOT": f"SELECT * FROM ledger WHERE {'NOT ' * depth} true EMIT CHANGES;",
        "minus": f"SELECT {'- ' * depth} n FROM ledger EMIT CHANGES;",
        "sums to the left": f"SELECT {'n + ' * depth} n FROM ledger EMIT CHANGES;",
        "ANDs": f"SELECT * FROM ledger WHERE {'n = 1 AND ' * depth} n = 2 EMIT CHANGES;",
        "calls": f"SELECT {'ABS(' * depth}n{')' * depth} FROM ledger EMIT CHANGES;",
        "CASEs": f"SELECT {'CASE WHEN true THEN ' * depth}1{' END' * depth} FROM ledger EMIT CHANGES;",
        "CASTs": f"SELECT {'CAST(' * depth}n{' AS INT)' * depth} FROM ledger EMIT CHANGES;",
        "arrays": f"SELECT {'ARRAY[' * depth}n{']' * depth} FROM ledger EMIT CHANGES;",
        "subscripts": f"SELECT n{'[1]' * depth} FROM ledger EMIT CHANGES;",
        "dereferences": f"SELECT n{'->a' * depth} FROM ledger EMIT CHANGES;",
        "types": f"CREATE STREAM d (a {'ARRAY<' * depth}INT{'>' * depth}) WITH (kafka_topic='d', value_format='json', partitions=1);",
        "struct types": f"CREATE STREAM d (a {'STRUCT<b ' * depth}INT{'>' * depth}) WITH (kafka_topic='d', value_format='json', partitions=1);",
        "lambdas": f"SELECT {'TRANSFORM(ARRAY[1], x => ' * depth}x{')' * depth} FROM ledger EMIT CHANGES;",
        "comments": f"{'/* ' * depth} SELECT",
        "joins": "SELECT * FROM ledger " + " ".join(f"JOIN ledger WITHIN 1 DAY ON a = {i}" for i in range(min(depth, 20000))) + " EMIT CHANGES;",
    }


def broken_sql(server, _):
    """Statements that are wrong, large or deep: a refusal that names the cause, and a server that is not hurt."""
    for sql in BROKEN_SQL:
        for path, body in (("/ksql", {"ksql": sql}), ("/query-stream", {"sql": sql}), ("/query", {"ksql": sql})):
            if path == "/ksql" and sql in ("", ";"):
                continue  # no statements: nothing to do
            refused(server, f"{path} {sql!r}", path, body, (400, 404, 501))
    count = 0
    for depth in (5000, 60000):
        for what, sql in deep(depth).items():
            refused(server, f"{depth} {what}", "/ksql", {"ksql": sql}, (400, 413, 501))
            count += 1
    return f"{count} deep statements"


def large_sql(server, _):
    """Statements of 1 MB, most of them right but for their size."""
    million = 1000000
    wide = ", ".join(f"c{i} INT" for i in range(million // 12))
    cases = {
        "a literal": f"SELECT '{'x' * million}' FROM ledger;",
        "a name": f"SELECT {'x' * million} FROM ledger EMIT CHANGES;",
        "a topic": f"CREATE STREAM big (a INT) WITH (kafka_topic='{'x' * million}', value_format='json', partitions=1);",
        "blanks": " " * million + "SELECT",
        "a comment": f"-- {'x' * million}\nSELEKT;",
        "a list": f"SELECT * FROM ledger WHERE n IN ({', '.join(['1'] * (million // 4))}) AND nothing = 1 EMIT CHANGES;",
        "columns of a query": f"SELECT {', '.join(['n'] * (million // 3))} FROM ledger EMIT CHANGES;",
        "digits": f"SELECT {'9' * million} FROM ledger EMIT CHANGES;",
        "statements": "SHOW TOPIKS;" * (million // 12),
        "columns, one of them twice": f"CREATE STREAM big ({wide}, c1 INT) WITH (kafka_topic='big', value_format='json', partitions=1);",
    }
    for what, sql in cases.items():
        started = time.monotonic()
        refused(server, f"1 MB: {what}", "/ksql", {"ksql": sql}, (400, 413, 501))
        if time.monotonic() - started > patient(10):
            server.fail(f"1 MB: {what} took {time.monotonic() - started:.1f} s")
    value = "x" * 900000
    server.ksql("CREATE STREAM large (v STRING) WITH (kafka_topic='large', value_format='json', partitions=1);")
    server.ksql(f"INSERT INTO large (v) VALUES ('{value}');")
    rows = wait_until("the large row is there", lambda: server.query("SELECT LEN(v) FROM large EMIT CHANGES LIMIT 1;", {"auto.offset.reset": "earliest"}))
    if rows != [[900000]]:
        server.fail(f"a row of 900,000 characters: {rows}")
    refused(server, "a body of 5 MB", "/ksql", {"ksql": "x" * 5 * million}, (413,))
    return f"{len(cases)} statements of 1 MB"


def bad_records(server, ledger):
    """Records that are no JSON, or deep JSON, in a topic that a query reads: they are skipped and said, the others counted."""
    server.ksql("CREATE STREAM muddy (k STRING KEY, n INT, a ARRAY<INT>) WITH (kafka_topic='muddy', value_format='json', partitions=1);"
                "CREATE TABLE clear AS SELECT k, SUM(n) AS total FROM muddy GROUP BY k;")
    values = [b"", b"{", b"nul", b'{"n": "x"}', b'{"n": [', b'{"a": ' + b"[" * 200000 + b"]" * 200000 + b"}", b"[" * 900000,
              b'{"x":' * 50000 + b"1" + b"}" * 50000, b"\xff\xfe\xfd", CHANCE.randbytes(1000), b'{"n": {"b": 1}}', b'{"n": 1e99999999999999}', b'{"n": -1e999999999, "n": "x"}', b"5", b'"text"', b"[1, 2]"]
    with Connection(server.kafka_port) as connection:
        for i, value in enumerate(values):
            for data in (keyed(b"k", value), keyed(b"k", b'{"n": %d}' % (i + 1))):
                error, _ = produce(connection, data, topic=b"muddy")
                if error != 0:
                    server.fail(f"record {value[:30]}: error {error}")
    total = sum(range(1, len(values) + 1))
    got = []

    def summed():
        got[:] = server.query("SELECT total FROM clear WHERE k = 'k';")
        return got == [[total]]
    wait_until(f"the good ones make {total}, {got} at first", summed)
    if "record_failed" not in server.stderr():
        server.fail("nothing is said of the records that could not be read")
    return f"{len(values)} bad records"


# Directories and disks ----------------------------------------------------------------------------------------------------------


def second(server, _):
    """A second server on the same directory, and one on the same port: status 1 and a sentence; the first does not notice."""
    command = [server.program, "server", "--set", "http.listen=127.0.0.1:0"]
    same_directory = subprocess.run([*command, "--data", str(server.data), "--set", "kafka.listen=127.0.0.1:0"], capture_output=True, text=True, timeout=patient(60))
    if same_directory.returncode != 1 or f"in use by another process with id {server.process.pid}" not in same_directory.stderr:
        server.fail(f"a second server on the directory: {same_directory.returncode} {same_directory.stderr}")
    other = server.directory / "other"
    same_port = subprocess.run([*command, "--data", str(other), "--set", f"kafka.listen={server.kafka}"], capture_output=True, text=True, timeout=patient(60))
    if same_port.returncode != 1 or server.kafka not in same_port.stderr or "in use" not in same_port.stderr:
        server.fail(f"a second server on the port: {same_port.returncode} {same_port.stderr}")


def no_directory(server, _):
    """Places that cannot be a data directory."""
    (server.directory / "file").write_text("x")
    for place in (server.directory / "file", server.directory / "file/below", Path("/proc/nowhere")):
        result = subprocess.run([server.program, "server", "--data", str(place), "--set", "kafka.listen=127.0.0.1:0", "--set", "http.listen=127.0.0.1:0"],
                                capture_output=True, text=True, timeout=patient(60))
        if result.returncode != 1 or str(place) not in result.stderr or result.stderr.count("\n") != 1:
            server.fail(f"data directory {place}: {result.returncode} {result.stderr}")


class Disk:
    """A small file system of one's own, in a mount namespace that one sleeping process keeps: with Disk(MIB) as disk."""

    def __init__(self, mib):
        self.point = Path("/mnt")
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = f"mount -t tmpfs -o size={mib}m tmpfs {self.point} && echo mounted && exec sleep 3600"
        self.keeper = subprocess.Popen(["unshare", *rights, "--mount", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.works = self.keeper.stdout.readline() == "mounted\n"

    @property
    def enter(self):
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", *users, "--mount", "--target", str(self.keeper.pid)]

    def run(self, *command):
        return subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=patient(60))

    def remount(self, option):
        if (result := self.run("mount", "-o", f"remount,{option}", str(self.point))).returncode != 0:
            fail(f"remount {option}: {result.stderr}")

    def fill(self, left_kib):
        """Takes all room but so much."""
        self.run("sh", "-c", f"room=$(df -k --output=avail {self.point} | tail -n 1); head -c $(((room - {left_kib}) * 1024)) /dev/zero >> {self.point}/filler")

    def free(self):
        self.run("rm", "-f", f"{self.point}/filler")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.keeper.kill()
        self.keeper.communicate()


class DiskServer(Server):
    """A server whose data directory lies on a Disk."""

    def __init__(self, build, disk, *options):
        super().__init__(build, *options)
        self.disk = disk
        self.http_ports = [self.http_port]

    @property
    def data(self):
        return self.disk.point / "data"

    def command(self):
        return [*self.disk.enter, *super().command()]


def errors_until_full(server, topic, value, most):
    """Produces until an error comes; (acknowledged records, error)."""
    with Connection(server.kafka_port) as connection:
        for count in range(most):
            error, _ = produce(connection, batch(value), topic=topic)
            if error != 0:
                return count, error
    return most, 0


def count_of(server, topic):
    out = subprocess.run(["kcat", "-C", "-b", server.kafka, "-t", topic, "-e", "-q", "-o", "beginning", "-f", "%o\n"], capture_output=True, timeout=patient(60), text=True, check=True).stdout
    offsets = [int(line) for line in out.splitlines()]
    if offsets != list(range(len(offsets))):
        server.fail(f"{topic}: offsets {offsets}")
    return len(offsets)


def check_kept(server, what, topic, acknowledged):
    """All acknowledged records are there; of the refused ones at most the last may be."""
    there = count_of(server, topic)
    if there < acknowledged:
        server.fail(f"{what}: {acknowledged} records of {topic} were acknowledged, {there} are there")
    return there


def streams_until_full(server):
    """Declares streams until a statement is refused for want of room; the names of those that were taken."""
    names = []
    while len(names) < 200:
        name = f"LATE{len(names)}"
        status, body = server.request("POST", "/ksql", {"ksql": f"CREATE STREAM {name} (a INT) WITH (kafka_topic='late', value_format='json', partitions=1);"})
        if status != 200:
            message = json.loads(body)["message"]
            if status not in (503, 507) and status < 500 or not any(word in message for word in ("space", "disk")):
                server.fail(f"a statement on a full disk: {status} {body}")
            return names
        names.append(name)
    return server.fail("two hundred statements were taken on a full disk")


def check_streams(server, what, names):
    entities = server.ksql("SHOW STREAMS;")
    there = {stream["name"] for stream in entities[0]["streams"]}
    if not there >= set(names):
        server.fail(f"{what}: streams {sorted(set(names) - there)} are gone")


def full_disk(server, ledger, disk):
    """The disk is full while records, statements and queries come: each gets an error; with room all goes on by itself."""
    value = CHANCE.randbytes(20000)
    server.ksql("CREATE STREAM heap (v BYTES) WITH (kafka_topic='heap', value_format='kafka', partitions=1);")
    disk.fill(300)
    acknowledged, error = errors_until_full(server, b"heap", value, 1000)
    if error != 56:  # KAFKA_STORAGE_ERROR: clients try again
        server.fail(f"after {acknowledged} records a full disk gives error {error}")
    disk.fill(0)
    streams = streams_until_full(server)
    kept = check_kept(server, "while the disk is full", "heap", acknowledged)
    if server.get_json("/info")["KsqlServerInfo"]["serverStatus"] != "RUNNING":
        server.fail("the server does not answer while the disk is full")
    if not any(word in server.stderr() for word in ("No space left", "no space", "disk")):
        server.fail("the server says nothing of the full disk")
    disk.free()

    def healed():
        with Connection(server.kafka_port) as connection:
            return produce(connection, batch(value), topic=b"heap")[0] == 0
    wait_until("records are taken again", healed)
    if count_of(server, "heap") < kept + 1:
        server.fail("the record after the full disk is not there")
    wait_until("statements are taken again", lambda: server.request("POST", "/ksql", {
        "ksql": "CREATE STREAM after (a INT) WITH (kafka_topic='after', value_format='json', partitions=1);"})[0] == 200)
    ledger.check("a full disk that got room again")
    kept = count_of(server, "heap")
    server.restart()
    check_streams(server, "after a full disk and a kill", [*streams, "AFTER"])
    if count_of(server, "heap") != kept:
        server.fail("a kill after the full disk changed the topic")
    ledger.check("the same after a kill")


def full_start(server, ledger, disk):
    """Killed on a full disk and started there: it starts, or says why; with room all is there."""
    acknowledged = count_of(server, "heap")
    disk.fill(40)
    more, _ = errors_until_full(server, b"heap", CHANCE.randbytes(9000), 100)
    server.kill()
    disk.fill(0)
    process = subprocess.run(["timeout", "-s", "TERM", "4", *server.command()], capture_output=True, text=True, timeout=patient(60))
    if not process.stdout.startswith("ready in ") and ("space" not in process.stderr or process.returncode != 1):
        server.fail(f"a start on a full disk: {process.returncode} {process.stdout} {process.stderr[-1000:]}")
    disk.free()
    server.start()
    check_kept(server, "after a start on a full disk", "heap", acknowledged + more)
    ledger.check("a kill and a start on a full disk")


def read_only(server, ledger, disk):
    """A directory that cannot be written: a sentence at the start; at run time errors until it can."""
    server.stop()
    disk.remount("ro")
    result = subprocess.run(server.command(), capture_output=True, text=True, timeout=patient(60))
    if result.returncode != 1 or "Read-only file system" not in result.stderr or str(server.data) not in result.stderr:
        server.fail(f"a start on a read-only directory: {result.returncode} {result.stderr}")
    disk.remount("rw")
    server.start()
    ledger.check("a start after a read-only directory")


def run_disk(build):
    with Disk(24) as disk:
        if not disk.works:
            return run_limited(build)
        with DiskServer(build, disk) as server:
            ledger = Ledger(server)
            ledger.add()
            full_disk(server, ledger, disk)
            full_start(server, ledger, disk)
            read_only(server, ledger, disk)


class LimitedServer(Server):
    """A server whose files may not grow past a limit, where nobody may mount: writes fail as on a full disk."""

    def command(self):
        return ["env", "--ignore-signal=XFSZ", *super().command()]

    def limit(self, size):
        subprocess.run(["prlimit", "--pid", str(self.process.pid), f"--fsize={size}:unlimited"], check=True)


def run_limited(build):
    with LimitedServer(build) as server:
        ledger = Ledger(server)
        ledger.add()
        server.ksql("CREATE STREAM heap (v BYTES) WITH (kafka_topic='heap', value_format='kafka', partitions=1);")
        server.limit(100000)
        acknowledged, error = errors_until_full(server, b"heap", CHANCE.randbytes(20000), 100)
        if error != 56:
            server.fail(f"after {acknowledged} records a file that may not grow gives error {error}")
        check_kept(server, "while files may not grow", "heap", acknowledged)
        server.limit("unlimited")
        ledger.check("files that may grow again")
        check_kept(server, "files that may grow again", "heap", acknowledged)


# -----------------------------------------------------------------------------------------------------------------------------

PARTS = [lengths, bodies, mutations, batches, noise, broken_json, broken_sql, large_sql, bad_records, second, no_directory, slow]


def run_requests(build, parts):
    server = Server(build)
    server.http_ports = [server.http_port, free_port()]
    server.options.append(f"http.listen=127.0.0.1:{server.http_ports[0]},127.0.0.1:{server.http_ports[1]}")
    with server:
        ledger = Ledger(server)
        ledger.add()
        for part in parts:
            said = part(server, ledger)
            ledger.check(f"{part.__name__} ({said})" if said else part.__name__)
        server.restart()
        ledger.check("a kill after all this")


if __name__ == "__main__":
    chosen = [part for part in PARTS if part.__name__ in sys.argv[2:]] or PARTS
    run_requests(sys.argv[1], chosen)
    if chosen == PARTS or "disk" in sys.argv[2:]:
        run_disk(sys.argv[1])
