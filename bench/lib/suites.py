"""What is measured. A suite is a function (bench) that appends rows to the results; rounds interleave the systems.

A row is a dict: suite, system, case, round, measured values, and other_cpu_s: the CPU time that everything else on the machine took meanwhile. Only one
server is up at any time.
"""
import json
import resource
import shutil
import subprocess
import time

from machine import busy_s, cpu_s, fail, memory_mb, note, reset_peak, run_measured
from report import BARE, BARE_DISK
from servers import Bare, Disk, Kafka, Rialto, engine_command

SETTLE_S = 5
WINDOW = "WINDOW TUMBLING (SIZE 3 SECONDS, GRACE PERIOD 2 SECONDS)"
DECLARE = """CREATE STREAM transactions (k VARCHAR KEY, user_id INT, amount BIGINT, ts BIGINT, merchant VARCHAR, note VARCHAR)
    WITH (KAFKA_TOPIC = 'transactions', VALUE_FORMAT = 'JSON');
CREATE TABLE users (k VARCHAR PRIMARY KEY, user_id INT, name VARCHAR, tier VARCHAR, country VARCHAR)
    WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');"""
INTO = "WITH (KAFKA_TOPIC = '{out}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON', PARTITIONS = 6)"
STATEMENTS = {
    "filter": f"CREATE STREAM {{name}} {INTO} AS SELECT k, user_id, amount, merchant FROM transactions WHERE amount > 50 EMIT CHANGES;",
    "window": f"CREATE TABLE {{name}} {INTO} AS SELECT k, SUM(amount) AS total, COUNT(*) AS n FROM transactions {WINDOW} GROUP BY k EMIT CHANGES;",
    "join": f"CREATE STREAM {{name}} {INTO} AS SELECT t.k AS k, t.user_id AS user_id, t.amount AS amount, t.ts AS ts, t.merchant AS merchant, "
            "u.name AS name, u.tier AS tier FROM transactions t JOIN users u ON t.k = u.k EMIT CHANGES;",
}
ENGINES = [("streams", "at_least_once", "stock"), ("streams", "at_least_once", "tuned"), ("streams", "exactly_once_v2", "stock"),
           ("streams", "exactly_once_v2", "tuned"), ("flink", "at-least-once", "stock"), ("flink", "exactly-once", "stock")]


class Bench:
    """One run: its sizes, its tools and its rows."""

    def __init__(self, work, program, sizes, out):
        self.work, self.program, self.sizes, self.out = work, program, sizes, out

    def rialto(self, durability, disk=None):
        return Rialto(self.program, self.work, durability, disk)

    def add(self, suite, system, case, number, values):
        row = {"suite": suite, "system": system, "case": case, "round": number, **values}
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()

    def load(self, server, mode, topic, *words, pid=True, may_fail=False):
        words = ["-b", server.kafka, *words, *(["-P", server.pid] if pid else [])]
        return self.tool(mode, topic, *words, may_fail=may_fail)

    def tool(self, mode, topic, *words, may_fail=False):
        command = [str(self.work / "load"), mode, "-t", str(topic), *map(str, words)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
        if not lines or (result.returncode != 0 and not may_fail):
            fail(f"{' '.join(command)}: {result.stdout}{result.stderr[-1000:]}")
        return json.loads(lines[-1])

    def disk(self, mode, *words):
        """A row of the disk alone, whose work is the tool's own."""
        row = self.tool(mode, self.work / "run" / "disk", *words)
        return {key: value for key, value in row.items() if not key.startswith("server_")} | {"server_cpu_s_per_m": row["client_cpu_s_per_m"]}

    def create(self, server, topic, partitions):
        configs = [word for config in ["retention.ms=-1", *server.topic_configs] for word in ("-c", config)]
        self.load(server, "create", topic, "-p", partitions, *configs, pid=False)


def start_suite(bench):
    """Time from exec to the first good answer of every face, and memory after five quiet seconds, with an empty data directory."""
    for number in range(1, bench.sizes["start_rounds"] + 1):
        for server in (Kafka(bench.work), bench.rialto("fsync")):
            note(f"start, round {number}: {server.name}")
            with server:
                time.sleep(SETTLE_S)
                bench.add("start", server.name, "start", number, {"ready_ms": server.ready_ms, "idle_rss_mb": memory_mb(server.pid)})


# Name, record bytes, partitions, codec.
THROUGHPUT = [("100 B, 1 partition", 100, 1, "none"), ("100 B, 6 partitions", 100, 6, "none"), ("100 B, 6 partitions, lz4", 100, 6, "lz4"),
              ("1 KiB, 6 partitions", 1024, 6, "none")]


def broker_round(bench, server, number):
    for name, size, partitions, codec in THROUGHPUT:
        count = bench.sizes["records"] // (5 if size > 500 else 1)
        topic = f"t{size}-{partitions}-{codec}"
        bench.create(server, topic, partitions)
        shape = ["-n", count, "-s", size, "-z", codec]
        bench.add("broker", server.name, f"produce {name}", number, bench.load(server, "produce", topic, *shape))
        bench.add("broker", server.name, f"consume {name}", number, bench.load(server, "consume", topic, "-n", count))
        bench.load(server, "delete", topic, pid=False)


def warm_up(bench, server):
    """Kafka's JIT needs some millions of records; the others get the same."""
    bench.create(server, "warm", 6)
    bench.load(server, "produce", "warm", "-n", bench.sizes["warm"], "-s", 100)
    bench.load(server, "consume", "warm", "-n", bench.sizes["warm"])
    bench.load(server, "delete", "warm", pid=False)


def broker_suite(bench):
    """Produce and consume as fast as it goes, one librdkafka client."""
    for number in range(1, bench.sizes["rounds"] + 1):
        for server in (Kafka(bench.work), bench.rialto("os"), bench.rialto("fsync")):
            note(f"broker, round {number}: {server.name}")
            with server:
                warm_up(bench, server)
                broker_round(bench, server, number)


def latency_row(bench, server, rate, number):
    topic = f"l{rate}"
    bench.create(server, topic, 1)
    row = bench.load(server, "latency", topic, "-r", rate, "-d", bench.sizes["latency_s"], "-w", bench.sizes["latency_warm_s"],
                     "-l", 0, "-s", 100, may_fail=True)
    bench.add("latency", server.name, f"{rate:,}/s", number, row)
    bench.load(server, "delete", topic, pid=False)


def latency_servers(bench):
    """Those of every suite; and rialto where a sync costs nothing or a known time, which tells its own part from the disk's."""
    yield from (Kafka(bench.work), bench.rialto("os"), Kafka(bench.work, fsync=True), bench.rialto("fsync"))
    yield from (bench.rialto(durability, Disk(bench.work)) for durability in ("os", "fsync"))
    yield bench.rialto("fsync", Disk(bench.work, sync_us=300))


def disk_row(bench, rate, number):
    """The disk alone: a write and a sync at the same rate."""
    shape = ["-r", rate, "-d", bench.sizes["latency_s"], "-w", bench.sizes["latency_warm_s"]]
    bench.add("latency", BARE_DISK, f"{rate:,}/s", number, bench.disk("sync", *shape))


def latency_suite(bench):
    """From due to delivered, 100 B, one partition, acks=all, no linger."""
    for number in range(1, bench.sizes["rounds"] + 1):
        for rate in bench.sizes["rates"]:
            note(f"latency, round {number}: the disk")
            disk_row(bench, rate, number)
        for server in latency_servers(bench):
            note(f"latency, round {number}: {server.name}")
            with server:
                warm_up(bench, server)
                for rate in bench.sizes["rates"]:
                    latency_row(bench, server, rate, number)


def fill(bench, server):
    for topic, partitions in (("transactions", 6), ("users", 6)):
        bench.create(server, topic, partitions)
        bench.load(server, "data", topic, "-W", topic, "-n", bench.sizes["transactions"])


def check(bench, server, query, topic):
    """What came out is compared with what must come out; a wrong result stops the run."""
    result = bench.load(server, "check", topic, "-q", query, "-n", bench.sizes["transactions"], pid=False, may_fail=True)
    if not result["right"]:
        fail(f"{server.name}, {query}: the result is wrong: {result}")
    return {"output_records": result["output_records"], "results": result["results"]}


def rialto_query(bench, server, query, number, topic):
    count = bench.sizes["transactions"]
    name = topic.replace("-", "_")
    reset_peak(server.pid)
    idle_mb, before, busy, begin = memory_mb(server.pid), cpu_s(server.pid), busy_s(), time.monotonic()
    server.sql(STATEMENTS[query].format(name=name, out=topic))
    settled = bench.load(server, "settle", topic)
    # CPU to the end of the quiet second: the state that is written after the last output belongs to the query, as close() does to a job.
    seconds, used = settled["last_clock_s"] - begin, cpu_s(server.pid) - before
    values = {"records": count, "seconds": seconds, "records_per_s": count / seconds, "cpu_s_per_m": used * 1e6 / count,
              "cpu_to_last_output_s_per_m": (settled["server_cpu_at_last_s"] - before) * 1e6 / count, "broker_cpu_s_per_m": 0,
              "all_cpu_s_per_m": used * 1e6 / count, "peak_mb": memory_mb(server.pid, "VmHWM"), "idle_mb": idle_mb,
              "other_cpu_s": busy_s() - busy - used}
    queries = [row["id"] for row in server.sql("SHOW QUERIES;")[0]["queries"]]
    server.sql(" ".join(f"TERMINATE {query_id};" for query_id in queries))
    bench.add("sql", "rialto", query, number, {**values, **check(bench, server, query, topic)})


def engine_query(bench, server, engine, guarantee, config, query, number):
    count, topic = bench.sizes["transactions"], f"out-{engine}-{query}-{number}-{int(time.time())}"
    bench.create(server, topic, 6)
    command, state = engine_command(bench.work, engine, query, server.kafka, guarantee, config, topic)
    before, busy = cpu_s(server.pid), busy_s()
    with open(bench.work / "engine.log", "wb") as log:
        status, out, _, engine_s, peak_mb = run_measured(command, stderr=log)
    broker_s = cpu_s(server.pid) - before
    other_s = busy_s() - busy - broker_s - engine_s
    shutil.rmtree(state, ignore_errors=True)
    if status != 0:
        fail(f"{engine}, {query} ended with {status}; see {bench.work}/engine.log")
    seconds = json.loads([line for line in out.splitlines() if line.startswith("{")][-1])["seconds"]
    values = {"records": count, "seconds": seconds, "records_per_s": count / seconds, "cpu_s_per_m": engine_s * 1e6 / count,
              "broker_cpu_s_per_m": broker_s * 1e6 / count, "all_cpu_s_per_m": (engine_s + broker_s) * 1e6 / count, "peak_mb": peak_mb,
              "other_cpu_s": other_s}
    bench.add("sql", f"{engine} {guarantee.replace('_', '-').replace('-v2', '')} {config}", query, number,
              {**values, **check(bench, server, query, topic)})
    bench.load(server, "delete", topic, pid=False, may_fail=True)


def bare_row(bench, number):
    """The bare work on the same bytes, beside every round."""
    out = subprocess.run([str(bench.work / "bare"), str(bench.sizes["transactions"]), "3"], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        row = json.loads(line)
        bench.add("sql", BARE, row["case"], number, {"cpu_s_per_m": row["cpu_s_per_m"], "all_cpu_s_per_m": row["cpu_s_per_m"],
                                                            "records": row["records"]})


def sql_suite(bench):
    """The three queries to the end of the same transactions: rialto on its own log, the engines on Kafka."""
    for number in range(1, bench.sizes["rounds"] + 1):
        note(f"sql, round {number}: the bare work")
        bare_row(bench, number)
        note(f"sql, round {number}: rialto")
        with bench.rialto("fsync") as server:
            fill(bench, server)
            server.sql(DECLARE)
            for query in STATEMENTS:
                rialto_query(bench, server, query, number, f"out-{query}")
        with Kafka(bench.work) as server:
            fill(bench, server)
            for engine, guarantee, config in ENGINES:
                for query in STATEMENTS:
                    note(f"sql, round {number}: {engine} {guarantee} {config}: {query}")
                    engine_query(bench, server, engine, guarantee, config, query, number)


# Prepared batches: name, records in a batch, the load tool's words for what they are. Letters at random stay as long under lz4; JSON
# is half as long.
PREPARED = [
    ("100 B x 100", 100, ["-z", "none"]),
    ("100 B x 100, lz4", 100, ["-z", "lz4"]),
    ("JSON x 100, lz4", 100, ["-z", "lz4", "-j"]),
    ("100 B x 1", 1, ["-z", "none"]),
]
RAW_PARTITIONS = 6
RAW_CONNECTIONS = [6, 24]  # a producer a partition, and four


def raw_cases(bench):
    """Name, topic, records, connections, and the load tool's words for it."""
    for connections in RAW_CONNECTIONS:
        for number, (name, batch, what) in enumerate(PREPARED):
            count = bench.sizes["records"] // (1 if batch > 1 else 25)
            shape = ["-p", RAW_PARTITIONS, "-T", connections, "-s", 100, "-R", batch, *what, "-n", count]
            yield f"{name}, {connections} connections", f"r{number}-{connections}", count, connections, shape


def raw_round(bench, server, number):
    for name, topic, count, connections, shape in raw_cases(bench):
        bench.create(server, topic, RAW_PARTITIONS)
        bench.add("raw", server.name, f"produce {name}", number, bench.load(server, "replay", topic, *shape))
        if connections == RAW_PARTITIONS:
            bench.add("raw", server.name, f"fetch {name}", number, bench.load(server, "drain", topic, "-p", RAW_PARTITIONS, "-T", RAW_PARTITIONS, "-n", count))
        bench.load(server, "delete", topic, pid=False)


def raw_suite(bench):
    """The servers without a client library: prepared batches in, bytes out; and the least work that produce can be."""
    for number in range(1, bench.sizes["rounds"] + 1):
        for server in (Kafka(bench.work), bench.rialto("os"), Kafka(bench.work, fsync=True), bench.rialto("fsync")):
            note(f"raw, round {number}: {server.name}")
            with server:
                warm_up(bench, server)
                raw_round(bench, server, number)
        note(f"raw, round {number}: the bare work")
        with Bare(bench.work) as server:
            for name, _, _, _, shape in raw_cases(bench):
                bench.add("raw", BARE, f"produce {name}", number, bench.load(server, "replay", "bare", *shape))
        note(f"raw, round {number}: the disk")
        for name, _, _, connections, shape in raw_cases(bench):
            depth = 5 * connections // RAW_PARTITIONS  # what is under way in a partition shares a sync
            words = [*shape, "-T", RAW_PARTITIONS, "-D", depth]
            bench.add("raw", BARE_DISK, f"produce {name}", number, bench.disk("grow", *words))


CROWD = {"topics": 20, "partitions": 500, "groups": 5000, "idle": 20_000, "talking": 1000, "rate": 2000}


def crowd_sizes():
    """Connections as many as descriptors allow beside the partitions that are written to; the load tool has the same limit."""
    spare = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 2000 - CROWD["talking"] - 1000  # log.files.max and some room
    return min(CROWD["idle"], spare)


def crowd_suite(bench):
    """Many partitions, groups and connections at once, then kill -9 and a start. rialto alone: Kafka holds three files a partition."""
    for number in range(1, bench.sizes["rounds"] + 1):
        for durability in ("os", "fsync"):
            note(f"crowd, round {number}: rialto-{durability}")
            with bench.rialto(durability) as server:
                crowd_round(bench, server, number)


def crowd_round(bench, server, number):
    for topic in range(CROWD["topics"]):
        bench.create(server, f"crowd-{topic}", CROWD["partitions"])
    shape = ["-p", CROWD["partitions"], "-T", CROWD["talking"], "-d", bench.sizes["latency_s"], "-s", 100]
    for topic in range(CROWD["topics"]):  # each partition is written to: the first append makes its directory
        bench.load(server, "crowd", f"crowd-{topic}", "-p", CROWD["partitions"], "-T", CROWD["partitions"], "-d", 1, "-r", CROWD["rate"])
    bench.add("crowd", server.name, "groups", number,
              bench.load(server, "groups", "-", "-n", CROWD["groups"], "-T", 500, "-r", CROWD["rate"], "-d", bench.sizes["latency_s"]))
    bench.add("crowd", server.name, "produce beside idle connections", number,
              bench.load(server, "crowd", "crowd-0", "-C", crowd_sizes(), "-r", CROWD["rate"], *shape))
    bench.add("crowd", server.name, "start after kill -9", number, {"ready_ms": server.kill_and_start(), "server_rss_mb": memory_mb(server.pid)})


SUITES = {"start": start_suite, "broker": broker_suite, "raw": raw_suite, "latency": latency_suite, "crowd": crowd_suite, "sql": sql_suite}
