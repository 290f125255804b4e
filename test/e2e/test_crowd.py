#!/usr/bin/env python3
"""A crowd: everything that the server does, at once, for some seconds; then the numbers must be right and the stop clean.

    test_crowd.py BUILD [SECONDS]

Producers, statements that make and drop queries, pull queries, push queries and live sockets that come and go, connectors, REST, consumer groups. It is
at its best with a program built with a sanitizer: a race or a leak makes the server's status other than 0.
"""
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from rawkafka import Connection, batch, produce  # noqa: E402
from server import Server, fail, wait_until  # noqa: E402

SETUP = ("CREATE STREAM input (n INT, k INT) WITH (kafka_topic='input', value_format='json', partitions=1);"
         "CREATE TABLE sums AS SELECT k, SUM(n) AS total, COUNT(*) AS c FROM input GROUP BY k;")
PAGES = ["/metrics", "/healthz", "/info", "/api/v1/server", "/api/v1/flow", "/api/v1/topics", "/api/v1/topics/input", "/api/v1/topics/input/records", "/api/v1/queries",
         "/api/v1/sources", "/connectors?expand=status"]
UPGRADE = (b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


class Crowd:
    def __init__(self, server, seconds):
        self.server, self.until = server, time.monotonic() + seconds
        self.lock = threading.Lock()
        self.records = 0
        self.done, self.failures = {}, []

    def listen(self, client, seconds):
        """Takes what comes for so long, then hangs up."""
        until = time.monotonic() + seconds
        client.settimeout(0.1)
        while time.monotonic() < until:
            try:
                if not client.recv(65536):
                    return
            except TimeoutError:
                continue

    def ksql(self, sql):
        return self.server.request("POST", "/ksql", {"ksql": sql})

    # Each does one round ---------------------------------------------------------------------------------------------

    def producer(self, chance):
        with Connection(self.server.kafka_port) as connection:
            for _ in range(20):
                error, _ = produce(connection, batch(b'{"n": 1, "k": %d}' % chance.randrange(10)), topic=b"input")
                if error != 0:
                    raise ValueError(f"produce: error {error}")
                with self.lock:
                    self.records += 1

    def inserter(self, chance):
        status, body = self.ksql(f"INSERT INTO input (n, k) VALUES (1, {chance.randrange(10)});")
        if status != 200:
            raise ValueError(f"INSERT: {status} {body}")
        with self.lock:
            self.records += 1

    def definer(self, chance):
        name = f"q{chance.randrange(1 << 40)}"
        for sql in (f"CREATE TABLE {name} AS SELECT k, COUNT(*) AS c FROM input WINDOW TUMBLING (SIZE 1 SECONDS) GROUP BY k;", "SHOW QUERIES; DESCRIBE sums EXTENDED; SHOW TOPICS;",
                    f"DROP TABLE {name} DELETE TOPIC;"):
            status, body = self.ksql(sql)
            if status != 200:
                raise ValueError(f"{sql}: {status} {body}")
            time.sleep(chance.uniform(0, 0.3))

    def puller(self, chance):
        for sql in ("SELECT * FROM sums;", f"SELECT * FROM sums WHERE k = {chance.randrange(10)};"):
            status, body = self.server.request("POST", "/query-stream", {"sql": sql})
            if status != 200:
                raise ValueError(f"{sql}: {status} {body}")

    def pusher(self, chance):
        body = json.dumps({"sql": f"SELECT * FROM {chance.choice(['input', 'sums'])} EMIT CHANGES;", "properties": {"auto.offset.reset": "earliest"}}).encode()
        with socket.create_connection(("127.0.0.1", self.server.http_port), timeout=patient(20)) as client:
            client.sendall(b"POST /query-stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.listen(client, chance.uniform(0, 1))

    def watcher(self, chance):
        messages = [{"sub": 1, "channel": "flow"}, {"sub": 2, "channel": "tail", "args": {"topic": "input"}}, {"sub": 3, "channel": "tail", "args": {"topic": "SUMS", "from": {"0": "0"}}},
                    {"unsub": 2}, {"sub": 9, "channel": "none"}]
        with socket.create_connection(("127.0.0.1", self.server.http_port), timeout=patient(20)) as client:
            client.sendall(UPGRADE)
            client.recv(4096)
            for message in messages:
                data, mask = json.dumps(message).encode(), os.urandom(4)
                client.sendall(bytes([0x81, 0x80 | len(data)]) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))
            self.listen(client, chance.uniform(0, 1.5))

    def reader(self, chance):
        for page in PAGES:
            status, body = self.server.request("GET", page)
            if status != 200:
                raise ValueError(f"{page}: {status} {body}")

    def connector(self, chance):
        """A sink whose database is not there, made, paused, restarted and deleted."""
        config = {"connector.class": "JdbcSink", "topics": "input", "connection.url": "jdbc:postgresql://127.0.0.1:1/x", "retry.backoff.ms": "50"}
        path = f"/connectors/c{chance.randrange(3)}"
        for method, what, body in (("PUT", "/config", config), ("PUT", "/pause", None), ("PUT", "/resume", None), ("POST", "/restart?includeTasks=true", None), ("DELETE", "", None)):
            status, answer = self.server.request(method, path + what, body)
            if status >= 400 and status not in (404, 409):
                raise ValueError(f"{method} {path}{what}: {status} {answer}")

    def group(self, chance):
        subprocess.run(["timeout", "1", "kcat", "-b", self.server.kafka, "-G", f"g{chance.randrange(2)}", "input"], capture_output=True)

    # ------------------------------------------------------------------------------------------------------------------

    def loop(self, number, work):
        chance = random.Random(number)
        while time.monotonic() < self.until and not self.failures:
            try:
                work(chance)
            except (OSError, ValueError, EOFError) as error:
                self.failures.append(f"{work.__name__}: {error!r}")
            self.done[work.__name__] = self.done.get(work.__name__, 0) + 1

    def run(self):
        works = [self.producer, self.producer, self.inserter, self.definer, self.definer, self.puller, self.pusher, self.pusher, self.watcher, self.watcher, self.reader,
                 self.connector, self.group]
        threads = [threading.Thread(target=self.loop, args=pair) for pair in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            self.server.fail("\n".join(self.failures))


def main(build, seconds="8"):
    with Server(build) as server:
        server.ksql(SETUP)
        crowd = Crowd(server, float(seconds))
        crowd.run()
        wait_until(f"{crowd.records} records are counted", lambda: sum(row[2] for row in server.query("SELECT * FROM sums;")) == crowd.records)
        if any(row[1] != row[2] for row in server.query("SELECT * FROM sums;")):
            fail("a sum is not its count")
    print(f"{crowd.records} records, " + ", ".join(f"{name} {count}" for name, count in sorted(crowd.done.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
