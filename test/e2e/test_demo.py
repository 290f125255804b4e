#!/usr/bin/env python3
"""tools/demo as `make demo` runs it, with and without the PostgreSQL sink, in a directory of its own.

    test_demo.py BUILD

The demo says that it is ready, windowed rows arrive on its output, `tools/demo_data` sends records and says the rate reached,
and all of them arrive: in the table and, with the sink, in PostgreSQL. Ctrl-C (SIGINT to the process group, as a terminal
sends it) ends it with status 0, and nothing that it started is left.
"""
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import ROOT, fail, wait_until  # noqa: E402

RECORDS = 1000
PORTS = [9092, 8080, 8081, 8083, 8088]


def free_offset():
    """A distance by which all ports of the demo can be moved at once."""
    for offset in range(10000 + os.getpid() % 5000, 40000, 97):
        probes = []
        try:
            for port in PORTS:
                probe = socket.socket()
                probes.append(probe)
                probe.bind(("127.0.0.1", port + offset))
            return offset
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    return fail("no free ports")


class Demo:
    """tools/demo in a copy of what it needs, its output read by a thread."""

    def __init__(self, build, *options):
        self.directory = Path(tempfile.mkdtemp(prefix="rialto-e2e-demo-"))
        for name in ("tools", "examples"):
            shutil.copytree(ROOT / name, self.directory / name)
        (self.directory / "build").mkdir()
        os.symlink(Path(build).resolve() / "rialto", self.directory / "build/rialto")
        self.env = {**os.environ, "PORT_OFFSET": str(free_offset()), "RATE": "200", "TERM": "dumb"}
        self.options = options
        self.output = ""

    def start(self):
        self.terminal, slave = pty.openpty()
        self.process = subprocess.Popen([str(self.directory / "tools/demo"), *self.options], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                        cwd=self.directory, env=self.env, start_new_session=True)
        os.close(slave)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        try:
            while data := os.read(self.terminal, 65536):
                self.output += data.decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            pass  # the last writer has closed it
        os.close(self.terminal)

    def wait_for(self, what, pattern, seconds=60):
        def seen():
            if self.process.poll() is not None:
                self.fail(f"the demo ended with status {self.process.returncode} before {what}")
            return re.search(pattern, self.output, re.M)
        return wait_until(what, seen, seconds=seconds)

    def variables(self):
        lines = (self.directory / "build/demo/demo.env").read_text().split()
        return dict(line.split("=", 1) for line in lines)

    def run(self, *command, check=True):
        result = subprocess.run(command, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=patient(120))
        if check and result.returncode != 0:
            self.fail(f"{command}: status {result.returncode}: {result.stdout}{result.stderr}")
        return result

    def left(self):
        """Processes of the demo's session that still run."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue  # it has ended meanwhile
            if int(session) == self.process.pid and state != "Z":
                found.append(path.parent.name)
        return found

    def interrupt(self):
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            status = self.process.wait(timeout=patient(60))
        except subprocess.TimeoutExpired:
            self.fail("the demo did not end within 60 s of Ctrl-C")
        if status != 0:
            self.fail(f"after Ctrl-C the demo ended with status {status}")
        wait_until("all processes of the demo are gone", lambda: not self.left())
        self.reader.join()

    def fail(self, text):
        sys.stderr.write(self.output[-3000:])
        for name in ("server.log", "datagen.log"):
            path = self.directory / "build/demo" / name
            if path.exists():
                sys.stderr.write(f"--- {name}\n{path.read_text(errors='replace')[-3000:]}")
        fail(text)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=patient(60))
        postgres = self.directory / "build/demo/postgres"
        if postgres.is_symlink():
            shutil.rmtree(os.path.realpath(postgres), ignore_errors=True)
        if kind is None:
            shutil.rmtree(self.directory)


def sent_by_datagen(demo):
    """Payments that the table holds, over all windows."""
    out = demo.run("build/rialto", "sql", "-e", "SELECT payments FROM window_transactions;", demo.variables()["HTTP"]).stdout
    return sum(int(line) for line in out.split())


def check_data(demo):
    """make data: a line with count and rate, and as many payments more in the table."""
    before = sent_by_datagen(demo)
    result = demo.run("tools/demo_data", str(RECORDS))
    rate = re.search(r"^1,000 records to transactions in [\d.]+ s \([\d,]+/s\), acknowledged$", result.stderr, re.M)
    if not rate:
        demo.fail(f"demo_data said: {result.stdout}{result.stderr}")
    wait_until("the table holds the records of demo_data", lambda: sent_by_datagen(demo) >= before + RECORDS)
    print(rate[0])


def postgres_rows(demo):
    result = demo.run("psql", "-X", "-At", demo.variables()["PG_URL"], "-c",
                      "SELECT count(*), coalesce(sum(payments), 0), count(*) FILTER (WHERE total <> payments * "
                      "CASE left(user_id, 1) WHEN '0' THEN 100 ELSE 10 * left(user_id, 1)::int END) FROM window_transactions", check=False)
    return [int(cell) for cell in result.stdout.split("|")] if result.returncode == 0 else [0, 0, 0]


def check_postgres(demo):
    def arrived():
        rows, payments, wrong = postgres_rows(demo)
        if wrong != 0:
            demo.fail(f"{wrong} of {rows} rows in PostgreSQL have a total that is not count times amount")
        return payments >= RECORDS
    wait_until("the rows are in PostgreSQL", arrived, seconds=60, pause=0.3)
    print(f"PostgreSQL: {postgres_rows(demo)[0]} windows")


def check_stopped(demo, variables):
    if (demo.directory / "build/demo/demo.env").exists():
        demo.fail("demo.env is still there after the end")
    port = int(variables["KAFKA"].rpartition(":")[2])
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            demo.fail(f"port {port} still answers after the end")
    postgres = demo.directory / "build/demo/postgres/data/postmaster.pid"
    if postgres.exists():
        demo.fail("PostgreSQL still runs after the end")


def run(build, *options):
    with Demo(build, *options) as demo:
        demo.wait_for("the ready line", r"^ready in \d+ ms .*kafka=127\.0\.0\.1:\d+ http=\S+")
        demo.wait_for("the page's address", r"^caldrop +http://127\.0\.0\.1:\d+/ui/$")
        demo.wait_for("windowed rows", r"^[0-9]\S* +\d{13} +\d{13} +\d+ +\d+$")
        variables = demo.variables()
        second = demo.run("tools/demo", check=False)
        if second.returncode != 1 or "one is running already" not in second.stderr:
            demo.fail(f"a second demo: status {second.returncode}, {second.stderr}")
        check_data(demo)
        if options:
            check_postgres(demo)
        time.sleep(0.5)
        demo.interrupt()
        check_stopped(demo, variables)
    print(f"demo {' '.join(options)}: rows, data and a clean end")


if __name__ == "__main__":
    run(sys.argv[1])
    run(sys.argv[1], "--sink", "postgres")
