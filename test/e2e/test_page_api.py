"""The page's own API, /metrics, /healthz and the embedded files, over HTTP as scripts use them."""
import gzip
import json
import os
import socket
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import Server, fail, wait_until  # noqa: E402


def check(what, condition, seen=""):
    if not condition:
        fail(f"not so: {what}; seen: {seen}")


def test_records(server):
    """Pages of records, newest first: every record once, none lost, whatever the page size."""
    rows = ", ".join
    server.ksql("CREATE STREAM s (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=3);")
    server.ksql("".join(f"INSERT INTO s (k, n) VALUES ('k{n % 7}', {n});" for n in range(40)))
    for limit in (1, 7, 40, 1000):
        seen, before, pages = [], "", 0
        while True:
            answer = server.get_json(f"/api/v1/topics/s/records?limit={limit}" + (f"&before={before}" if before else ""))
            seen += [(record["p"], record["o"]) for record in answer["records"]]
            check("a page is not larger than asked", len(answer["records"]) <= limit)
            pages += 1
            if not answer["more"] or not answer["records"]:
                break
            before = answer["before"]
        check(f"pages of {limit} give each record once", len(seen) == 40 and len(set(seen)) == 40, rows(map(str, seen)))
    values = [json.loads(r["v"]["json"])["N"] for r in server.get_json("/api/v1/topics/s/records?from=beginning&limit=1000")["records"]]
    check("from the beginning gives all", sorted(values) == list(range(40)), values)
    part = server.get_json("/api/v1/topics/s/records?partition=1&limit=1000")["records"]
    offsets = [int(r["o"]) for r in part]
    check("one partition, newest first", {r["p"] for r in part} == {1} and offsets == sorted(offsets, reverse=True), offsets)
    check("no record is newer than now", server.get_json("/api/v1/topics/s/records?from=time:99999999999999")["records"] == [])


def test_window_keys(server):
    server.ksql("CREATE TABLE w AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k;", {"auto.offset.reset": "earliest"})
    record = wait_until("the table's topic has a record", lambda: server.get_json("/api/v1/topics/W/records?limit=1")["records"])[0]
    start, end = record["k"]["window"]
    check("a windowed key is text and window", record["k"]["text"].startswith("k") and end - start == 3600000 and start % 3600000 == 0, record)


def test_bytes(server):
    server.ksql("CREATE STREAM b (v BYTES) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='KAFKA', PARTITIONS=1);")
    server.ksql("INSERT INTO b (v) VALUES (TO_BYTES('00ff41', 'hex'));")
    value = server.get_json("/api/v1/topics/b/records")["records"][0]["v"]
    check("three bytes", value["size"] == 3 and json.loads(value.get("json", '""')) in ("AP9B", ""), value)


def test_refusals(server):
    for path, status in (("topics/none", 404), ("topics/none/records", 404), ("queries/none", 404), ("topics/s/records?limit=0", 400),
                         ("topics/s/records?limit=1001", 400), ("topics/s/records?partition=3", 400), ("topics/s/records?from=soon", 400),
                         ("topics/s/records?before=9:1", 400), ("live", 426)):
        got, text = server.request("GET", f"/api/v1/{path}")
        check(f"{path} is refused with {status} and a reason", got == status and json.loads(text)["message"], f"{got} {text}")


def test_pictures(server):
    flow = server.get_json("/api/v1/flow")
    nodes = {node["id"] for node in flow["graph"]["nodes"]}
    edges = {edge["id"] for edge in flow["graph"]["edges"]}
    query = next(iter(server.get_json("/api/v1/queries")["items"]))
    check("the query stands between its topics", {"topic:s", "topic:W", f"query:{query['id']}"} <= nodes, nodes)
    check("edges join them", {f"topic:s>query:{query['id']}", f"query:{query['id']}>topic:W"} <= edges, edges)
    check("without a second picture there is no rate", flow["figures"]["nodes"]["topic:s"]["in"] is None)
    check("internal topics are hidden, and shown when asked for", len(server.get_json("/api/v1/flow?internal=1")["graph"]["nodes"]) == len(nodes) + flow["graph"]["hidden"])
    wait_until("all input is counted", lambda: server.get_json(f"/api/v1/queries/{query['id']}")["rows_in"] == "40")
    check("the plan is there", "AGGREGATE" in server.get_json(f"/api/v1/queries/{query['id']}")["plan_text"])
    kinds = {(hit["kind"], hit["name"]) for hit in server.get_json("/api/v1/search?q=w")["items"]}
    check("search finds table and topic", {("table", "W"), ("topic", "W")} <= kinds, kinds)
    check("search for nothing known", server.get_json("/api/v1/search?q=zzzzz")["items"] == [])


class LiveSocket:
    """As much of a websocket client as the page's socket needs: text frames both ways."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.http_port), timeout=patient(10))
        self.socket.sendall(f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{server.http_port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        head = self.file.readline()
        check("the socket is accepted", b" 101 " in head, head)
        while self.file.readline().strip():
            pass

    def send(self, message):
        data, mask = json.dumps(message).encode(), os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def take(self):
        first, length = self.file.read(2)
        if length >= 126:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
        body = self.file.read(length)
        return json.loads(body) if first == 0x81 else self.take()

    def take_where(self, wanted):
        while True:
            frame = self.take()
            if wanted(frame):
                return frame

    def close(self):
        self.file.close()
        self.socket.close()


def test_live(server):
    live = LiveSocket(server)
    live.send({"sub": 1, "channel": "flow"})
    graph = live.take()
    check("first the graph", graph["sub"] == 1 and graph["kind"] == "graph" and graph["data"]["nodes"], graph)
    check("then its figures", live.take()["kind"] == "figures")
    rates = live.take_where(lambda frame: frame.get("kind") == "figures" and frame["data"]["nodes"]["topic:s"]["in"] is not None)
    check("an idle topic has a measured rate of zero", rates["data"]["nodes"]["topic:s"]["in"] == 0, rates)
    live.send({"sub": 2, "channel": "tail", "args": {"topic": "s", "from": {"0": "0", "1": "0", "2": "0"}}})
    offsets = set()
    while len(offsets) < 40:
        frame = live.take_where(lambda frame: frame["sub"] == 2)
        offsets |= {(record["p"], record["o"]) for record in frame["data"]["records"]}
    server.ksql("INSERT INTO s (k, n) VALUES ('new', 99);")
    frame = live.take_where(lambda frame: frame["sub"] == 2)
    check("a new record comes", frame["data"]["records"][0]["k"]["text"] == "new", frame)
    live.send({"unsub": 2})
    for bad in ({"sub": 3, "channel": "tail", "args": {"topic": "none"}}, {"sub": 3, "channel": "x"}, {"sub": 3, "channel": "tail", "args": {}}):
        live.send(bad)
        end = live.take_where(lambda frame: frame["sub"] == 3)
        check("what cannot be is refused with a reason", end["end"] == "error" and end["error"]["message"], end)
    server.ksql("CREATE STREAM later (k VARCHAR KEY) WITH (KAFKA_TOPIC='later', VALUE_FORMAT='JSON', PARTITIONS=1);")
    live.take_where(lambda frame: frame.get("kind") == "graph" and any(node["id"] == "topic:later" for node in frame["data"]["nodes"]))
    live.close()


def test_metrics(server):
    status, text = server.request("GET", "/healthz")
    check("healthz", (status, text) == (200, "ok\n"), text)
    status, text = server.request("GET", "/metrics")
    check("metrics count the records", 'rialto_topic_appended_records_total{topic="s"} 40\n' in text, text[:500])


def test_page(server):
    status, text = server.request("GET", "/ui/any/place?x=1")
    check("every address under /ui/ is the page", status == 200 and ("Caldrop" in text or "without its page" in text), text)
    if "without its page" in text:
        return
    path = text.split('src="/ui/assets/index-')[1].split('"')[0]
    request = urllib.request.Request(f"{server.http}/ui/assets/index-{path}", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        body, headers = answer.read(), answer.headers
    check("assets are packed and kept", headers["content-encoding"] == "gzip" and "immutable" in headers["cache-control"] and len(gzip.decompress(body)) > len(body))
    check("the policy forbids foreign scripts", "default-src 'none'" in headers["content-security-policy"])
    check("an unchanged file is not sent again", server.request("GET", f"/ui/assets/index-{path}", headers={"If-None-Match": headers["etag"], "Accept-Encoding": "gzip"})[0] == 304)
    check("files that are not there are not the page", server.request("GET", "/ui/assets/old-123.js")[0] == 404)


def main():
    with Server(sys.argv[1]) as server:
        test_records(server)
        test_window_keys(server)
        test_bytes(server)
        test_refusals(server)
        test_pictures(server)
        test_metrics(server)
        test_live(server)
        left_open = LiveSocket(server)  # the server's stop must not wait for it
        left_open.send({"sub": 1, "channel": "tail", "args": {"topic": "s"}})
        test_page(server)
    print("passed")


main()
