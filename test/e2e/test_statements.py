#!/usr/bin/env python3
"""Statements that take their time, and how others fare meanwhile; PRINT.

    test_statements.py BUILD

ASSERT TOPIC waits up to its time-out and holds nobody: statements of others are answered meanwhile, and what is behind it in its own request
runs in the world as it is then. PRINT shows a topic's records as they come, with the formats that they may have.
"""
import http.client
import json
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from rawkafka import Connection, crc32c, produce, varint  # noqa: E402
from server import Server, fail, wait_until  # noqa: E402


class Later(threading.Thread):
    """A request to /ksql whose answer is looked at later."""

    def __init__(self, server, sql):
        super().__init__(daemon=True)
        self.server, self.sql, self.answer = server, sql, None
        self.start()

    def run(self):
        try:
            status, text = self.server.request("POST", "/ksql", {"ksql": self.sql, "streamsProperties": {}})
            self.answer = status, json.loads(text)
        except OSError as error:  # the server has stopped
            self.answer = 0, str(error)

    def result(self):
        self.join(patient(30))
        if self.answer is None:
            fail(f"no answer: {self.sql}")
        return self.answer


def check_assert(server):
    """The topic is made after the assertion began to wait."""
    late = Later(server, "DEFINE t = 'late'; ASSERT TOPIC '${t}' WITH (PARTITIONS = 3) TIMEOUT 60 SECONDS; "
                         "CREATE STREAM late_s (n INT) WITH (kafka_topic='${t}', value_format='json'); DEFINE t = 'other';")
    time.sleep(0.3)
    started = time.monotonic()
    for _ in range(5):
        server.ksql("SHOW TOPICS;")
    if time.monotonic() - started > patient(2):
        fail(f"five statements took {time.monotonic() - started:.1f} s beside one that waits")
    if late.answer is not None:
        fail(f"an assertion of a topic that is not there: {late.answer}")
    server.ksql("CREATE STREAM maker (n INT) WITH (kafka_topic='late', value_format='json', partitions=3);")
    status, entities = late.result()
    kinds = [entity["@type"] for entity in entities]
    if status != 200 or kinds != ["assert_topic", "currentStatus"] or not entities[0]["exists"] or entities[0]["topicName"] != "late":
        fail(f"the assertion holds now: {status} {entities}")
    names = {entry["name"] for entry in server.ksql("SHOW STREAMS;")[0]["streams"]}
    if not {"MAKER", "LATE_S"} <= names:
        fail(f"what is behind the assertion did not run: {names}")


def check_refusals(server):
    started = time.monotonic()
    status, error = server.ksql_error("ASSERT TOPIC nowhere TIMEOUT 1 SECOND; CREATE STREAM never (n INT) WITH (kafka_topic='late', value_format='json');")
    if status != 417 or error["error_code"] != 41700 or "nowhere" not in error["message"] or time.monotonic() - started < 0.9:
        fail(f"an assertion that never holds: {status} {error} after {time.monotonic() - started:.1f} s")
    status, error = server.ksql_error("ASSERT TOPIC late WITH (PARTITIONS = 7) TIMEOUT 0 SECONDS;")
    if status != 417 or "expected 7 got 3" not in error["message"]:
        fail(f"another number of partitions: {status} {error}")
    status, entities = Later(server, "ASSERT NOT EXISTS TOPIC nowhere; ASSERT TOPIC late;").result()
    if status != 200 or [entity["exists"] for entity in entities] != [False, True]:
        fail(f"assertions that hold: {status} {entities}")
    # What is behind the assertion is looked at when it holds: by then the name is taken.
    late = Later(server, "ASSERT TOPIC second TIMEOUT 60 SECONDS; CREATE STREAM taken (n INT) WITH (kafka_topic='second', value_format='json', partitions=1);")
    time.sleep(0.2)
    server.ksql("CREATE STREAM taken (n INT) WITH (kafka_topic='second', value_format='json', partitions=1);")
    status, error = late.result()
    if status != 400 or error["error_code"] != 40001 or [entity["@type"] for entity in error["entities"]] != ["assert_topic"]:
        fail(f"a name that was taken meanwhile: {status} {error}")
    names = {entry["name"] for entry in server.ksql("SHOW STREAMS;")[0]["streams"]}
    if "NEVER" in names:
        fail("a statement ran behind an assertion that failed")


def check_ids(server):
    """Pull queries that begin in one millisecond have different ids."""
    server.ksql("CREATE STREAM ids (k STRING KEY, n INT) WITH (kafka_topic='ids', value_format='json', partitions=1);"
                "CREATE TABLE counts AS SELECT k, COUNT(*) AS c FROM ids GROUP BY k;")
    ids, lock = [], threading.Lock()

    def ask():
        for _ in range(25):
            _, text = server.request("POST", "/query-stream", {"sql": "SELECT * FROM counts;", "properties": {}})
            with lock:
                ids.append(json.loads(text.splitlines()[0])["queryId"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(set(ids)) != 200:
        fail(f"{len(ids)} pull queries, {len(set(ids))} ids")


def keyed(key, value, timestamp):
    """A batch of one record with key and value (None: null) as bytes."""
    def sized(data):
        return b"\1" if data is None else varint(len(data)) + data
    record = b"\0\0\0" + sized(key) + sized(value) + b"\0"
    records = varint(len(record)) + record
    tail = struct.pack(">hiqqqhii", 0, 0, timestamp, timestamp, -1, -1, -1, 1) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def put(server, topic, *records):
    for key, value in records:
        with Connection(server.kafka_port) as connection:
            error, _ = produce(connection, keyed(key, value, 1647618802989), topic=topic.encode())
        if error != 0:
            fail(f"{topic}: error {error}")


def printed(server, statement, path="/query"):
    body = {"ksql": statement, "streamsProperties": {}} if path == "/query" else {"sql": statement, "properties": {}}
    status, text = server.request("POST", path, body)
    if status != 200:
        fail(f"{statement}: {status} {text}")
    return text.splitlines()


def expect_lines(what, got, wanted):
    if got != wanted:
        fail(f"{what}:\n  got    {got}\n  wanted {wanted}")


def check_print(server):
    """Lines as the language's reference shows them."""
    time_text = "rowtime: 2022/03/18 15:53:22.989 Z"
    for topic in ("shown", "numbers", "windows", "mixed", "live"):
        server.cli("topic", "create", topic, "--config", "retention.ms=-1", "-b", server.kafka)  # the records are old
    put(server, "shown", (b"18", b'{"ordertime": 1497014222380}'), (b"x", None), (None, b'{"a":[1, 2]}'))
    expect_lines("one record", printed(server, "PRINT 'shown' FROM BEGINNING LIMIT 1;")[2:],
                 [time_text + ', key: 18, value: {"ordertime":1497014222380}, partition: 0'])
    expect_lines("nulls", printed(server, "PRINT shown FROM BEGINNING LIMIT 3;"), [
        "Key format: KAFKA_STRING", "Value format: JSON or KAFKA_STRING",
        time_text + ', key: 18, value: {"ordertime":1497014222380}, partition: 0',
        time_text + ", key: x, value: <null>, partition: 0", time_text + ', key: <null>, value: {"a":[1,2]}, partition: 0'])
    put(server, "numbers", *((struct.pack(">i", i), struct.pack(">q", -i)) for i in range(1, 8)))
    expect_lines("every third", printed(server, "PRINT numbers FROM BEGINNING INTERVAL 3 LIMIT 2;"), [
        "Key format: KAFKA_INT or KAFKA_STRING", "Value format: KAFKA_BIGINT or KAFKA_DOUBLE",
        time_text + ", key: 1, value: -1, partition: 0", time_text + ", key: 4, value: -4, partition: 0"])
    put(server, "windows", (b"Id" + struct.pack(">q", 1557183880000), b"a"), (b"Id" + struct.pack(">q", 1557183883000), b"b"))
    lines = printed(server, "PRINT windows FROM BEGINNING LIMIT 2;")
    if "TUMBLING(KAFKA_STRING)" not in lines[0] or "HOPPING(KAFKA_STRING)" not in lines[0] or "SESSION" in lines[0]:
        fail(f"windowed keys: {lines[0]}")
    expect_lines("windowed keys", lines[2:], [time_text + ", key: [Id@1557183880000/-], value: a, partition: 0",
                                              time_text + ", key: [Id@1557183883000/-], value: b, partition: 0"])
    put(server, "mixed", (b"k", b"\xff\0a"))
    expect_lines("bytes", printed(server, "PRINT mixed FROM BEGINNING LIMIT 1;"),
                 ["Key format: KAFKA_STRING", "Value format: UNRECOGNISED_BYTES", time_text + r", key: k, value: \xFF\x00a, partition: 0"])
    expect_lines("records only", printed(server, "PRINT mixed FROM BEGINNING LIMIT 1;", "/query-stream"),
                 [time_text + r", key: k, value: \xFF\x00a, partition: 0"])
    out = server.cli("sql", "-e", "PRINT shown FROM BEGINNING LIMIT 1;", server.http)[1]
    if 'key: 18, value: {"ordertime":1497014222380}' not in out:
        fail(f"in the shell: {out}")
    status, text = server.request("POST", "/query", {"ksql": "PRINT SHOWN;", "streamsProperties": {}})
    error = json.loads(text)
    if status != 400 or not error["message"].startswith("Could not find topic 'SHOWN'") or not error["message"].endswith("Did you mean:\n\tshown"):
        fail(f"an unknown topic: {status} {text}")
    print("PRINT: formats, nulls, windows, bytes, INTERVAL, LIMIT")


def check_live(server):
    """Without FROM BEGINNING: only what comes now; formats again when the guess narrows; the client goes away, and it ends."""
    put(server, "live", (b"old", b"old"))
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=patient(30))
    connection.request("POST", "/query", json.dumps({"ksql": "PRINT live;"}), {"Content-Type": "application/json"})
    answer = connection.getresponse()  # the head comes at once: from here on it listens
    put(server, "live", (b"1", b"1"))
    expect_lines("live", [answer.readline().decode().strip() for _ in range(3)], [
        "Key format: JSON or KAFKA_STRING", "Value format: JSON or KAFKA_STRING",
        "rowtime: 2022/03/18 15:53:22.989 Z, key: 1, value: 1, partition: 0"])
    put(server, "live", (b"word", b"two words"))
    expect_lines("narrowed", [answer.readline().decode().strip() for _ in range(3)], [
        "Key format: KAFKA_STRING", "Value format: KAFKA_STRING",
        "rowtime: 2022/03/18 15:53:22.989 Z, key: word, value: two words, partition: 0"])

    def threads():
        found = []
        for path in Path(f"/proc/{server.process.pid}/task").glob("*/comm"):
            try:
                found += [path] if path.read_text() == "print\n" else []
            except OSError:
                continue  # it has ended meanwhile
        return found
    if len(threads()) != 1:
        fail(f"{len(threads())} threads print")
    answer.close()
    connection.close()
    wait_until("its thread is gone", lambda: not threads())
    # Much, read slowly: the server waits and loses nothing.
    data = subprocess.run([server.program, "produce", "live", "-b", server.kafka], input="".join(f"{i:05} {'x' * 1000}\n" for i in range(20000)), text=True,
                          capture_output=True, timeout=patient(60))
    if data.returncode != 0:
        fail(data.stderr)
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=patient(60))
    connection.request("POST", "/query", json.dumps({"ksql": "PRINT live FROM BEGINNING LIMIT 20003;"}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    time.sleep(0.5)
    numbers = [line.split(b"value: ")[1][:5] for line in answer.read().splitlines() if b"xxxx" in line]
    if numbers != [b"%05d" % i for i in range(20000)]:
        fail(f"{len(numbers)} of 20000 lines, or in another order")
    print("PRINT: live, narrowed, given up, slow")


def check_stop(server):
    """A server that stops does not wait for assertions."""
    waits = Later(server, "ASSERT TOPIC nowhere TIMEOUT 10 MINUTES;")
    time.sleep(0.3)
    started = time.monotonic()
    server.stop()
    if time.monotonic() - started > patient(10):
        fail(f"the stop took {time.monotonic() - started:.1f} s")
    waits.result()


def main(build):
    with Server(build) as server:
        check_assert(server)
        print("ASSERT TOPIC waits and holds nobody")
        check_refusals(server)
        print("assertions that fail, and what is behind them")
        check_ids(server)
        print("ids of pull queries")
        check_print(server)
        check_live(server)
        check_stop(server)
        server.start()


if __name__ == "__main__":
    main(sys.argv[1])
