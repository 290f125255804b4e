#!/usr/bin/env python3
"""Source tables, what stops a DROP, and the headers of pull and push queries, on a server that is killed in between.

    test_source_table.py BUILD
"""
import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from server import Server, fail, wait_until  # noqa: E402


def check(what, condition, seen=""):
    if not condition:
        fail(f"not so: {what}; seen: {seen}")


def rows_v1(server, sql, properties=None):
    """Elements of /query: header, rows, final message."""
    status, text = server.request("POST", "/query", {"ksql": sql, "streamsProperties": properties or {}})
    check(f"{sql} is answered", status == 200, text)
    return json.loads(text)


def test_source_table(server):
    server.ksql("CREATE TABLE writer (k INT PRIMARY KEY, v STRING) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=3);")
    answer = server.ksql("CREATE SOURCE TABLE t (k INT PRIMARY KEY, v STRING) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');")
    query_id = answer[0]["commandStatus"]["queryId"]
    check("the source table has a query", query_id.startswith("CST_T_"), answer)
    server.ksql("".join(f"INSERT INTO writer VALUES ({n}, 'v{n}');" for n in range(20)) + "INSERT INTO writer VALUES (3, 'again');")
    wanted = sorted([n, "again" if n == 3 else f"v{n}"] for n in range(20))
    wait_until("the source table has the rows", lambda: sorted(server.query("SELECT * FROM t;")) == wanted)
    check("rows by key", server.query("SELECT v FROM t WHERE k = 3;") == [["again"]])
    server.restart()
    wait_until("the rows are there after a crash", lambda: sorted(server.query("SELECT * FROM t;")) == wanted)
    queries = server.ksql("SHOW QUERIES;")[0]["queries"]
    check("its query has the same id, and no sink", [(q["id"], q["sinks"]) for q in queries] == [(query_id, [])], queries)
    for refused in ("INSERT INTO t VALUES (1, 'x');", "DROP TABLE t DELETE TOPIC;", "ALTER TABLE t ADD w INT;",
                    "CREATE OR REPLACE TABLE t (k INT PRIMARY KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"):
        check("a source table is read-only", "source table" in server.ksql_error(refused)[1]["message"]
              or "read-only" in server.ksql_error(refused)[1]["message"], refused)


def test_drop(server):
    server.ksql("CREATE TABLE made AS SELECT k, v FROM t;")
    check("what was made out of it is its constraint",
          server.ksql("DESCRIBE t;")[0]["sourceDescription"]["sourceConstraints"] == ["MADE"])
    message = server.ksql_error("DROP TABLE t;")[1]["message"]
    check("it stops the DROP", "The following streams and/or tables read from this source: [MADE]." in message, message)
    server.ksql("DROP TABLE made; DROP TABLE t;")
    check("the query went with its table", server.ksql("SHOW QUERIES;")[0]["queries"] == [])
    server.restart()
    check("and stays away", server.ksql("SHOW QUERIES;")[0]["queries"] == [])


def test_headers(server):
    server.ksql("CREATE STREAM s (k STRING KEY, v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
    server.ksql("CREATE TABLE w AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k;")
    server.ksql("CREATE STREAM copy AS SELECT * FROM s;")
    push = []
    tap = {"auto.offset.reset": "latest", "ksql.query.push.v2.enabled": "true"}
    reader = threading.Thread(target=lambda: push.extend(rows_v1(server, "SELECT * FROM copy EMIT CHANGES LIMIT 2;", tap)))
    reader.start()
    transient = "SCALABLE_PUSH_QUERY"
    wait_until("the push query runs", lambda: transient in server.request("GET", "/api/v1/queries")[1])
    server.ksql("INSERT INTO s (rowtime, k, v) VALUES (1000, 'a', 1); INSERT INTO s (rowtime, v) VALUES (1000, 2); "
                "INSERT INTO s (rowtime, k, v) VALUES (1001, 'a', 3);")
    reader.join(30)
    check("a tap passes over null keys and ends at LIMIT",
          [e["row"]["columns"] for e in push[1:-1]] == [["a", 1], ["a", 3]] and push[-1] == {"finalMessage": "Limit Reached"}, push)
    check("its id says what it is", push[0]["header"]["queryId"].startswith(transient), push[0])
    wait_until("the window is counted", lambda: server.query("SELECT n FROM w WHERE k = 'a';") == [[2]])
    pull = rows_v1(server, "SELECT * FROM w WHERE k = 'a';")
    check("bounds of a window are key columns", pull[0]["header"]["schema"] ==
          "`K` STRING KEY, `WINDOWSTART` BIGINT KEY, `WINDOWEND` BIGINT KEY, `N` BIGINT", pull)
    stream = rows_v1(server, "SELECT v FROM s;")
    check("a pull query over a stream says when it has ended",
          [e["row"]["columns"] for e in stream[1:-1]] == [[1], [2], [3]] and stream[-1] == {"finalMessage": "Query Completed"}, stream)


def main():
    with Server(sys.argv[1]) as server:
        test_source_table(server)
        test_drop(server)
        test_headers(server)
    print("passed")


main()
