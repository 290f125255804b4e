#!/usr/bin/env python3
"""Statements that take their time, and how others fare meanwhile.

    test_statements.py BUILD

ASSERT TOPIC waits up to its time-out and holds nobody: statements of others are answered meanwhile, and what is behind it in its own request
runs in the world as it is then.
"""
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
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
        check_stop(server)
        server.start()


if __name__ == "__main__":
    main(sys.argv[1])
