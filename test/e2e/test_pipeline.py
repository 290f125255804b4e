#!/usr/bin/env python3
"""The transactions pipeline, whole: N records through topic, SQL, look-ups, push query; numbers by arithmetic.

    test_pipeline.py BUILD

Ten users pay ten times the leading digit of their id (0 counts as 10). However the records fall into windows: per user the sum
over all windows is count x amount, and all counts together are N. The same must be seen in the topic (kcat), by a pull query
and by a push query from the start and, through the sink, in PostgreSQL; also when the server was killed (SIGKILL) ten times
during the load and PostgreSQL was stopped and started.
"""
import json
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import PATIENCE, patient  # noqa: E402
from server import ROOT, Postgres, Server, fail, wait_until  # noqa: E402

N = 10000
PIPELINE = str(ROOT / "examples/transactions/pipeline.sql")


def amount_of(user):
    digit = int(user[0])
    return 10 * (digit if digit else 10)


def check_windows(what, windows):
    """windows: {(user, start): (payments, total)}"""
    payments = sum(count for count, _ in windows.values())
    if payments != N:
        fail(f"{what}: {payments} payments, {N} expected")
    for (user, start), (count, total) in windows.items():
        if start % 3000 != 0:
            fail(f"{what}: window of {user} starts at {start}")
        if total != count * amount_of(user):
            fail(f"{what}: {user} at {start}: {count} payments make {total}")
    if len({user for user, _ in windows}) != 10:
        fail(f"{what}: not ten users")
    return windows


def from_pull(server):
    rows = server.query("SELECT user_id, WINDOWSTART, payments, total FROM window_transactions;")
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def from_topic(server):
    """The last value of each key, read with kcat: key bytes are the user id and the window start, 8 bytes big endian."""
    out = subprocess.run(["kcat", "-C", "-b", server.kafka, "-t", "window_transactions", "-e", "-q", "-o", "beginning",
                          "-X", "isolation.level=read_committed", "-f", "%K %S %k%s"], capture_output=True, timeout=patient(60), check=True).stdout
    windows = {}
    while out:
        key_size, value_size, rest = out.split(b" ", 2)
        key, value = rest[: int(key_size)], json.loads(rest[int(key_size) : int(key_size) + int(value_size)])
        out = rest[int(key_size) + int(value_size) :]
        windows[(key[:-8].decode(), struct.unpack(">q", key[-8:])[0])] = (value["PAYMENTS"], value["TOTAL"])
    return windows


def from_push(server, wanted):
    """A push query from the start, until it has shown the wanted final rows."""
    sql = "SELECT user_id, WINDOWSTART, payments, total FROM window_transactions EMIT CHANGES;"
    body = json.dumps({"sql": sql, "properties": {"auto.offset.reset": "earliest"}})
    curl = subprocess.Popen(["curl", "-sN", "-X", "POST", "-d", body, server.http + "/query-stream"], stdout=subprocess.PIPE)
    windows = {}
    until = time.monotonic() + patient(60)
    try:
        header = json.loads(curl.stdout.readline())
        if header["columnNames"] != ["USER_ID", "WINDOWSTART", "PAYMENTS", "TOTAL"]:
            fail(f"push query: header {header}")
        while windows != wanted:
            row = json.loads(curl.stdout.readline())
            windows[(row[0], row[1])] = (row[2], row[3])
            if time.monotonic() > until:
                fail("push query: the final rows did not come within 60 s")
    finally:
        curl.kill()
        curl.wait()
        curl.stdout.close()
    return windows


def datagen(server, *options):
    return subprocess.Popen([server.program, "datagen", "--schema", "transactions", "--topic", "transactions", "--count", str(N), "--parallel", "10",
                             "--seed", "7", "--brokers", server.kafka, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(load):
    _, stderr = load.communicate(timeout=patient(120))
    if load.returncode != 0:
        fail(f"datagen: status {load.returncode}: {stderr.decode()}")


def wait_for_all(server):
    """A pull query shows what is counted, the topic what is committed too, which comes a moment later."""
    for what, read in (("counted", from_pull), ("committed", from_topic)):
        wait_until(f"{N} payments are {what}", lambda: sum(count for count, _ in read(server).values()) >= N, seconds=60, pause=0.2)


def check_everywhere(server):
    windows = check_windows("pull query", from_pull(server))
    if check_windows("topic", from_topic(server)) != windows:
        fail("topic and pull query differ")
    check_windows("push query", from_push(server, windows))
    return windows


def run_plain(build):
    with Server(build, script=PIPELINE) as server:
        finish(datagen(server))
        wait_for_all(server)
        windows = check_everywhere(server)
        server.restart()
        if from_pull(server) != windows:
            fail("after a restart the table has changed")
    print(f"{N} payments, {len(windows)} windows: topic, pull and push agree")


def create_sink(server, pg):
    config = (ROOT / "examples/transactions/sink.json").read_text()
    for name, value in {"@HOST@": "127.0.0.1", "@PORT@": str(pg.port), "@USER@": "rialto"}.items():
        config = config.replace(name, value)
    status, text = server.request("POST", "/connectors", config.encode())
    if status != 201:
        fail(f"sink: {status} {text}")


def from_postgres(pg):
    """window_start comes as a timestamp in UTC."""
    sql = "SELECT user_id, (extract(epoch FROM window_start) * 1000)::bigint, payments, total FROM window_transactions"
    return {(row[0], int(row[1])): (int(row[2]), int(row[3])) for row in pg.query(sql)}


def run_with_kills(build):
    chance = random.Random(20)
    with Postgres() as pg, Server(build, script=PIPELINE) as server:
        create_sink(server, pg)
        load = datagen(server, "--rate", str(int(1000 / PATIENCE)))  # ten seconds, more where starts are slow
        wait_until("the load has begun", lambda: from_pull(server))
        for kill in range(10):
            time.sleep(chance.uniform(0.02, 0.4))
            if load.poll() is not None:
                finish(load)
                fail("the load ended before the tenth kill")
            server.restart()
            if kill == 3:
                pg.stop()
            if kill == 6:
                pg.restart()
        finish(load)
        wait_for_all(server)
        windows = check_everywhere(server)
        wait_until("PostgreSQL has the same rows", lambda: from_postgres(pg) == windows, seconds=60, pause=0.2)
    print("the same after ten kills during the load, and in PostgreSQL, which was away for a while")


if __name__ == "__main__":
    run_plain(sys.argv[1])
    run_with_kills(sys.argv[1])
