"""The page's own API, /metrics, /healthz and the embedded files, over HTTP as scripts use them."""
import gzip
import json
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
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
        test_page(server)
    print("passed")


main()
