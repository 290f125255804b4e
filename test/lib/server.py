"""What end-to-end tests share: a server to start, kill and start again; SQL and HTTP; a PostgreSQL of one's own.

Python's standard library only. All ports are free ones, all directories temporary; only processes started here are ended.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from patience import patient

ROOT = Path(__file__).resolve().parents[2]


def fail(text):
    sys.exit(f"FAILED: {text}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, condition, seconds=30, pause=0.05):
    """Calls condition until it gives something true, and returns that."""
    until = time.monotonic() + patient(seconds)
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > until:
            fail(f"waited {patient(seconds):.0f} s in vain until {what}")
        time.sleep(pause)


def check_sanitizers(stderr):
    """A report of a process that was killed afterwards is a failure too; the exit status does not show it."""
    found = re.search(r"^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error: )", stderr, re.M)
    if found:
        sys.stderr.write(stderr[found.start() :][:12000])
        fail("a sanitizer has reported something")


class Server:
    """`rialto server` on free ports and a temporary directory: with Server(build) as server: ..."""

    def __init__(self, build, *options, script=None):
        self.program = str(Path(build).resolve() / "rialto")
        self.directory = Path(tempfile.mkdtemp(prefix="rialto-e2e-"))
        self.kafka_port, self.http_port = free_port(), free_port()
        self.options = [f"kafka.listen=127.0.0.1:{self.kafka_port}", f"http.listen=127.0.0.1:{self.http_port}", *options]
        self.script = script
        self.process = None
        self.ready_line = ""
        self.log = open(self.directory / "stderr", "ab")

    @property
    def kafka(self):
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def data(self):
        return self.directory / "data"

    def command(self):
        start = [self.program, "run", self.script] if self.script else [self.program, "server"]
        return start + ["--data", str(self.data)] + [word for option in self.options for word in ("--set", option)]

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log)
        self.ready_line = self.process.stdout.readline().decode()
        if not self.ready_line.startswith("ready in "):
            self.fail(f"the server did not start: {self.ready_line!r}")
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def restart(self, pause=0.0):
        """Kills it as a crash would, and starts it again on the same ports."""
        self.kill()
        time.sleep(pause)
        self.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=patient(30))
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.fail("the server did not stop within 30 s of SIGTERM")
        self.process.stdout.close()
        if status != 0:
            self.fail(f"the server ended with status {status}")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stderr(self):
        self.log.flush()
        return (self.directory / "stderr").read_text(errors="replace")

    def fail(self, text):
        sys.stderr.write(self.stderr()[-6000:])
        fail(text)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
            check_sanitizers(self.stderr())
            shutil.rmtree(self.directory)
            return
        sys.stderr.write(self.stderr()[-6000:])
        if self.is_running():
            self.kill()

    # HTTP ---------------------------------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, timeout=patient(30)):
        """(status, body text). Bodies that are no text are sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data=data, method=method, headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get_json(self, path):
        status, text = self.request("GET", path)
        if status != 200:
            self.fail(f"GET {path}: {status} {text}")
        return json.loads(text)

    # SQL -----------------------------------------------------------------------------------------------------------

    def ksql(self, statements, properties=None):
        """Entities of /ksql; a refusal fails the test."""
        status, text = self.request("POST", "/ksql", {"ksql": statements, "streamsProperties": properties or {}})
        if status != 200:
            self.fail(f"{statements}: {status} {text}")
        return json.loads(text)

    def ksql_error(self, statements):
        """(status, error object) of statements that must be refused."""
        status, text = self.request("POST", "/ksql", {"ksql": statements, "streamsProperties": {}})
        if status == 200:
            self.fail(f"not refused: {statements}")
        return status, json.loads(text)

    def query(self, sql, properties=None, timeout=patient(30)):
        """Rows of a pull query, or of a push query with LIMIT: lists of column values."""
        status, text = self.request("POST", "/query-stream", {"sql": sql, "properties": properties or {}}, timeout=timeout)
        if status != 200:
            self.fail(f"{sql}: {status} {text}")
        lines = [json.loads(line) for line in text.splitlines() if line]
        errors = [line for line in lines[1:] if isinstance(line, dict)]
        if errors:
            self.fail(f"{sql}: {errors}")
        return lines[1:]

    # Command line -----------------------------------------------------------------------------------------------------

    def cli(self, *words, check=True, **options):
        """Runs a sub-command; (status, stdout, stderr)."""
        result = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=options.pop("timeout", patient(120)), **options)
        if check and result.returncode != 0:
            self.fail(f"rialto {' '.join(words)}: status {result.returncode}: {result.stderr}")
        return result.returncode, result.stdout, result.stderr


class Postgres:
    """A PostgreSQL server of one's own, through tools/postgres; with Postgres() as pg: ..."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="rialto-e2e-pg-"))
        self.url = ""

    def shell(self, command):
        script = f". {ROOT}/tools/postgres; {command}"
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=patient(120))
        if result.returncode != 0:
            fail(f"{command}: {result.stdout}{result.stderr}")
        return result.stdout

    def start(self):
        self.url = self.shell(f"pg_start {self.directory}/pg; echo $PG_URL").strip()

    def stop(self):
        self.shell(f"pg_stop {self.directory}/pg")

    def restart(self):
        self.shell(f"pg_restart {self.directory}/pg")

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.url)[1])

    def query(self, sql):
        """Rows as lists of texts."""
        result = subprocess.run(["psql", "-X", "-At", "-F", "\x1f", self.url, "-c", sql], capture_output=True, text=True, timeout=patient(60))
        if result.returncode != 0:
            fail(f"{sql}: {result.stderr}")
        return [line.split("\x1f") for line in result.stdout.splitlines()]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        home = os.path.realpath(self.directory / "pg")
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)
