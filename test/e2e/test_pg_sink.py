#!/usr/bin/env python3
"""Connect's REST API and the PostgreSQL sink, against a real PostgreSQL.

    test_pg_sink.py BUILD

Each part makes a connector by REST, produces records (kcat), and compares the table with what was produced: tables made from
schemas and from plain JSON, upsert, deletes, poisoned records, the database stopped and started, the server killed.
"""
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import ROOT, Postgres, Server, fail, wait_until  # noqa: E402


# Helpers -------------------------------------------------------------------------------------------------------------------


def produce(server, topic, lines, *options):
    """Lines "key|value"; an empty value is a tombstone with -Z."""
    text = "".join(line + "\n" for line in lines).encode()
    for _ in range(40):  # the server may be down at the moment
        result = subprocess.run(["kcat", "-P", "-b", server.kafka, "-t", topic, "-K", "|", "-Z", "-X", "enable.idempotence=true", *options],
                                input=text, capture_output=True, timeout=patient(60))
        if result.returncode == 0:
            return
        time.sleep(0.2)
    fail(f"kcat: {result.stderr.decode()}")


def consume(server, topic):
    """(key, value, headers) of all records."""
    out = subprocess.run(["kcat", "-C", "-b", server.kafka, "-t", topic, "-e", "-q", "-o", "beginning", "-f", r"%k\x1f%s\x1f%h\x1e"],
                         capture_output=True, timeout=patient(60), check=True).stdout.decode()
    return [record.split("\x1f") for record in out.split("\x1e")[:-1]]


def create(server, name, pg, **config):
    config = {"connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "connection.user": "rialto",
              "connection.url": f"jdbc:postgresql://127.0.0.1:{pg.port}/postgres", "auto.create": "true", "retry.backoff.ms": "500",
              "key.converter": "org.apache.kafka.connect.storage.StringConverter",
              "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
              **{key.replace("_", "."): value for key, value in config.items()}}
    status, text = server.request("POST", "/connectors", {"name": name, "config": config})
    if status != 201:
        server.fail(f"connector {name}: {status} {text}")
    return json.loads(text)


def status_of(server, name):
    return server.get_json(f"/connectors/{name}/status")


def wait_for_state(server, name, state, task=True):
    def reached():
        status = status_of(server, name)
        return [t["state"] for t in status["tasks"]] == [state] * len(status["tasks"]) and (status["tasks"] or not task)
    wait_until(f"{name} is {state}: {status_of(server, name)}", reached)


def rows(pg, sql):
    """Rows of a query; none while the table is not there."""
    if pg.query(f"SELECT to_regclass('{sql.split(' FROM ')[1].split()[0]}') IS NULL")[0][0] == "t":
        return []
    return pg.query(sql)


def expect_rows(pg, sql, wanted, seconds=30):
    last = []

    def same():
        last[:] = [rows(pg, sql)]
        return last[0] == wanted
    until = time.monotonic() + patient(seconds)
    while not same():
        if time.monotonic() > until:
            fail(f"{sql}:\n  got    {last[0]}\n  wanted {wanted}")
        time.sleep(0.05)


# Parts ----------------------------------------------------------------------------------------------------------------------


def rest(server, pg):
    """Every answer of the REST API in its form."""
    if server.get_json("/connectors") != []:
        fail("there are connectors already")
    info = create(server, "rest", pg, topics="rest", tasks_max="2")
    if info["type"] != "sink" or info["config"]["name"] != "rest" or info["tasks"] != [{"connector": "rest", "task": 0}, {"connector": "rest", "task": 1}]:
        fail(f"info {info}")
    if server.get_json("/connectors/rest") != info or server.get_json("/connectors/rest/config") != info["config"]:
        fail("info or config differ")
    wait_for_state(server, "rest", "RUNNING")
    status = status_of(server, "rest")
    if status["connector"]["state"] != "RUNNING" or status["type"] != "sink" or set(status["tasks"][0]) != {"id", "state", "worker_id"}:
        fail(f"status {status}")
    expanded = server.get_json("/connectors?expand=status&expand=info")
    if expanded != {"rest": {"status": status, "info": info}}:
        fail(f"expanded {expanded}")
    errors = [
        ("POST", "/connectors", {"name": "rest", "config": info["config"]}, 409, "Connector rest already exists"),
        ("POST", "/connectors", {"name": "x", "config": {"topics": "a"}}, 400, 'Connector config {"topics":"a","name":"x"} contains no connector type'),
        ("PUT", "/connectors/y/config", {"name": "x", "connector.class": "JdbcSink"}, 400,
         "Connector name configuration (x) doesn't match connector name in the URL (y)"),
        ("GET", "/connectors/none", None, 404, "Connector none not found"),
        ("GET", "/connectors/none/status", None, 404, "No status found for connector none"),
        ("GET", "/connectors/rest/tasks/7/status", None, 404, "Unknown task: rest-7"),
        ("DELETE", "/connectors/none", None, 404, "Connector none not found"),
        ("PUT", "/connector-plugins/None/config/validate", {}, 404, "Unknown plugin None."),
    ]
    for method, path, body, code, message in errors:
        status, text = server.request(method, path, body)
        if status != code or json.loads(text) != {"error_code": code, "message": message}:
            fail(f"{method} {path}: {status} {text}")
    status, text = server.request("POST", "/connectors", {"name": "x", "config": {"connector.class": "JdbcSink", "tasks.max": 0, "transforms": "t"}})
    message = json.loads(text)["message"]
    for part in ["contains the following 5 error(s):", "Invalid value 0 for configuration tasks.max: Value must be at least 1",
                 "Must configure one of topics or topics.regex", 'Missing required configuration "connection.url" which has no default value.', "transforms"]:
        if status != 400 or part not in message:
            fail(f"validation: {status} {message}: lacks {part}")
    status, text = server.request("PUT", "/connector-plugins/JdbcSinkConnector/config/validate", {"name": "v", "connector.class": "JdbcSink", "topics": "a"})
    answer = json.loads(text)
    url = [c for c in answer["configs"] if c["definition"]["name"] == "connection.url"][0]
    if status != 200 or answer["error_count"] != 1 or len(url["value"]["errors"]) != 1 or url["definition"]["required"] is not True:
        fail(f"validate: {status} {text[:2000]}")
    if server.request("POST", "/connectors", b"x", {"Content-Type": "text/plain"})[0] != 415:
        fail("a body that is not JSON by its type is taken")
    for path, code, state in [("pause", 202, "PAUSED"), ("resume", 202, "RUNNING")]:
        if server.request("PUT", f"/connectors/rest/{path}")[0] != code:
            fail(path)
        wait_for_state(server, "rest", state)
    if server.request("PUT", "/connectors/rest/stop")[0] != 204 or status_of(server, "rest")["tasks"] != []:
        fail(f"stop: {status_of(server, 'rest')}")
    server.request("PUT", "/connectors/rest/resume")
    wait_for_state(server, "rest", "RUNNING")
    if server.request("POST", "/connectors/rest/restart")[0] != 204 or server.request("POST", "/connectors/rest/restart?includeTasks=true")[0] != 202:
        fail("restart")
    if server.request("POST", "/connectors/rest/tasks/1/restart")[0] != 204:
        fail("restart of a task")
    wait_for_state(server, "rest", "RUNNING")
    status, text = server.request("PATCH", "/connectors/rest/config", {"tasks.max": "1", "batch.size": None})
    if status != 200 or len(json.loads(text)["tasks"]) != 1:
        fail(f"patch: {status} {text}")
    if "PostgresSink" not in [plugin["class"] for plugin in server.get_json("/connector-plugins")]:
        fail("the plugin is not listed")
    names = server.ksql("SHOW CONNECTORS;")[0]["connectors"]
    if [c["name"] for c in names] != ["rest"]:
        fail(f"SHOW CONNECTORS: {names}")
    if server.request("DELETE", "/connectors/rest")[0] != 204 or server.get_json("/connectors") != []:
        fail("delete")
    print("REST API")


def with_schema(server, pg):
    """A table from a schema: every type; a column added by a later schema."""
    logical = "org.apache.kafka.connect.data."
    fields = [("i8", "int8"), ("i32", "int32"), ("i64", "int64"), ("f", "float"), ("d", "double"), ("b", "boolean"), ("s", "string"), ("by", "bytes")]
    schema = {"type": "struct", "optional": False, "fields": [{"field": name, "type": kind, "optional": True} for name, kind in fields] + [
        {"field": "dec", "type": "bytes", "name": logical + "Decimal", "parameters": {"scale": "2"}, "optional": True},
        {"field": "day", "type": "int32", "name": logical + "Date", "optional": True},
        {"field": "at", "type": "int64", "name": logical + "Timestamp", "optional": True},
        {"field": "list", "type": "array", "items": {"type": "int32"}, "optional": True},
        {"field": "nested", "type": "struct", "optional": True, "fields": [{"field": "x", "type": "int32"}, {"field": "y", "type": "string", "optional": True}]}]}
    payload = {"i8": -7, "i32": 2147483647, "i64": 9007199254740993, "f": 1.5, "d": 0.1, "b": True, "s": "it's \"quoted\", {braced} \\ and ü",
               "by": "AP8=", "dec": "MDk=", "day": 18262, "at": 1577836800123, "list": [1, 2], "nested": {"x": 1, "y": None}}
    null = {name: None for name in payload}
    create(server, "schema", pg, topics="schema", value_converter_schemas_enable="true", pk_mode="kafka", auto_evolve="true")
    produce(server, "schema", ["k|" + json.dumps({"schema": schema, "payload": value}) for value in (payload, null)])
    columns = ", ".join(name if name != "at" else '"at"' for name in payload)
    expect_rows(pg, f"SELECT {columns} FROM schema ORDER BY __connect_offset", [
        ["-7", "2147483647", "9007199254740993", "1.5", "0.1", "t", "it's \"quoted\", {braced} \\ and ü", "\\x00ff", "123.45", "2020-01-01",
         "2020-01-01 00:00:00.123", "{1,2}", '{"x": 1, "y": null}'], [""] * len(payload)])
    schema["fields"].append({"field": "more", "type": "int16", "optional": True})
    produce(server, "schema", ["k|" + json.dumps({"schema": schema, "payload": {**payload, "more": 5}})])
    expect_rows(pg, "SELECT more FROM schema ORDER BY __connect_offset", [[""], [""], ["5"]])
    types = dict(pg.query("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'schema'"))
    wanted = {"i8": "smallint", "i32": "integer", "i64": "bigint", "f": "real", "d": "double precision", "b": "boolean", "s": "text", "by": "bytea",
              "dec": "numeric", "day": "date", "at": "timestamp without time zone", "list": "ARRAY", "nested": "jsonb", "more": "smallint",
              "__connect_topic": "text", "__connect_partition": "integer", "__connect_offset": "bigint"}
    if types != wanted:
        fail(f"column types {types}")
    print("types, auto.create, auto.evolve")


def upsert_and_delete(server, pg):
    """The table is the last value of each key; also when a key comes many times in one batch, deletes between."""
    chance, state, lines = random.Random(3), {}, []
    for i in range(5000):
        key = f"k{chance.randrange(200)}"
        if chance.random() < 0.2:
            state.pop(key, None)
            lines.append(f"{key}|")
        else:
            state[key] = i
            lines.append(f"{key}|" + json.dumps({"n": i, "text": f"t{i}", "more": {"list": [i]}}))
    produce(server, "keyed", lines)
    create(server, "keyed", pg, topics="keyed", insert_mode="upsert", pk_mode="record_key", pk_fields="id", delete_enabled="true")
    expect_rows(pg, "SELECT id, n, more->'list'->>0 FROM keyed ORDER BY id", [[key, str(n), str(n)] for key, n in sorted(state.items())])
    print("upsert and delete")


def poison(server, pg):
    """Records that cannot be read or written go to the dead letter topic, each once; all others arrive in order."""
    pg.query("CREATE TABLE poison (id text PRIMARY KEY, n int CHECK (n <> 13), name varchar(5), at timestamptz)")
    bad = {"b1": ("{broken", "VALUE_CONVERTER"), "b2": ('{"n": 13}', "TASK_PUT"), "b3": ('{"n": 99999999999}', "TASK_PUT"),
           "b4": ('{"n": 1, "name": "too long"}', "TASK_PUT"), "b5": ('{"n": 1, "name": "a\\u0000b"}', "TASK_PUT"), "b6": ('{"n": "many"}', "TASK_PUT"),
           "b7": ('{"n": 1, "nowhere": 2}', "TASK_PUT"), "b8": ("[1]", "TASK_PUT"), "b9": ("7", "TASK_PUT")}
    lines = [f"g{i:04}|" + json.dumps({"n": i + 100, "name": "ok", "at": 1577836800123 + i}) for i in range(1000)]
    for place, (key, (value, _)) in zip([0, 17, 18, 500, 600, 601, 602, 1007, 1008], bad.items()):
        lines.insert(place, f"{key}|{value}")
    produce(server, "poison", lines)
    create(server, "poison", pg, topics="poison", pk_mode="record_key", pk_fields="id", errors_tolerance="all", auto_create="false",
           errors_deadletterqueue_topic_name="poison-dlq", errors_deadletterqueue_context_headers_enable="true")
    expect_rows(pg, "SELECT count(*), sum(n), max(at AT TIME ZONE 'UTC') FROM poison", [["1000", str(sum(range(100, 1100))), "2020-01-01 00:00:01.122"]])
    dead = {key: (value, dict(h.split("=", 1) for h in headers.split(",") if "=" in h)) for key, value, headers in consume(server, "poison-dlq")}
    if len(consume(server, "poison-dlq")) != len(bad) or set(dead) != set(bad):
        fail(f"dead letters {dead}")
    for key, (value, stage) in bad.items():
        got, headers = dead[key]
        if got != value or headers["__connect.errors.stage"] != stage or headers["__connect.errors.topic"] != "poison" or not headers["__connect.errors.exception.message"]:
            fail(f"dead letter {key}: {dead[key]}")
    wait_for_state(server, "poison", "RUNNING")
    print("poisoned records")


def failing(server, pg):
    """Without tolerance a bad record fails the task, with the cause as trace; after a repair a restart goes on."""
    pg.query("CREATE TABLE strict (id text PRIMARY KEY, n int CHECK (n < 10))")
    produce(server, "strict", ['a|{"n": 1}', 'b|{"n": 20}', 'c|{"n": 3}'])
    create(server, "strict", pg, topics="strict", pk_mode="record_key", pk_fields="id")
    wait_for_state(server, "strict", "FAILED")
    trace = status_of(server, "strict")["tasks"][0]["trace"]
    if "check constraint" not in trace or "offset 1" not in trace:
        fail(f"trace {trace}")
    pg.query("ALTER TABLE strict DROP CONSTRAINT strict_n_check")
    server.request("POST", "/connectors/strict/restart?includeTasks=true&onlyFailed=true")
    expect_rows(pg, "SELECT id, n FROM strict ORDER BY id", [["a", "1"], ["b", "20"], ["c", "3"]])
    print("a failed task and its restart")


def exactly_once(server, pg):
    """Plain inserts into a table without key, while the database restarts and the server is killed: each record once."""
    count, parts = 20000, 20
    create(server, "once", pg, topics="once", tasks_max="2", consumer_override_max_poll_records="500")

    def load():
        for part in range(parts):
            produce(server, "once", [f"k{i}|" + json.dumps({"n": i}) for i in range(part * count // parts, (part + 1) * count // parts)])
    loader = threading.Thread(target=load)
    loader.start()
    chance = random.Random(11)
    for turn in range(6):
        time.sleep(chance.uniform(0.1, 0.6))
        if turn % 3 == 1:
            pg.stop()
            time.sleep(0.5)
            pg.restart()
        else:
            server.restart()
    loader.join()
    expect_rows(pg, "SELECT count(distinct n) FROM once", [[str(count)]], seconds=60)
    total = pg.query("SELECT count(*), min(n), max(n) FROM once")[0]
    # The load itself may repeat a part after a kill (a new producer each time); what is in the topic is what must be in the table.
    in_topic = len(consume(server, "once"))
    expect_rows(pg, "SELECT count(*) FROM once", [[str(in_topic)]], seconds=60)
    if total[1:] != ["0", str(count - 1)]:
        fail(f"exactly once: {total}")
    wait_for_state(server, "once", "RUNNING")
    offsets = wait_until("offsets are committed", lambda: server.get_json("/connectors/once/offsets")["offsets"])
    if offsets[0]["partition"]["kafka_topic"] != "once":
        fail(f"offsets {offsets}")
    print(f"exactly once: {in_topic} records over kills and restarts")


def demo(build):
    """examples/transactions/sink.json: windows of SQL in PostgreSQL."""
    with Postgres() as pg, Server(build, script=str(ROOT / "examples/transactions/pipeline.sql")) as server:
        sink = (ROOT / "examples/transactions/sink.json").read_text().replace("@HOST@", "127.0.0.1").replace("@PORT@", str(pg.port)).replace("@USER@", "rialto")
        status, text = server.request("POST", "/connectors", sink.encode())
        if status != 201:
            server.fail(f"sink.json: {status} {text}")
        server.cli("datagen", "--schema", "transactions", "--topic", "transactions", "--count", "2000", "--seed", "5", "--brokers", server.kafka)
        wait_until("all payments are in PostgreSQL",
                   lambda: rows(pg, "SELECT sum(payments) FROM window_transactions") == [["2000"]])
        pulled = server.query("SELECT user_id, WINDOWSTART, payments, total FROM window_transactions;")
        wanted = sorted([row[0], str(row[1]), str(row[2]), str(row[3])] for row in pulled)
        expect_rows(pg, "SELECT user_id, (extract(epoch from window_start) * 1000)::bigint, payments, total FROM window_transactions ORDER BY 1, 2", wanted)
    print("the demo's sink")


if __name__ == "__main__":
    with Postgres() as pg, Server(sys.argv[1]) as server:
        for part in (rest, with_schema, upsert_and_delete, poison, failing, exactly_once):
            part(server, pg)
    demo(sys.argv[1])
