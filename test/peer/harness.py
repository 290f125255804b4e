"""What the client tests share: a broker to start, kill and start again, and the check of what was read.

A test produces COUNT records with a client, has the broker killed (SIGKILL) and restarted in the middle, consumes them in a
group with another kill in the middle, and checks that every record came once and each partition in order. Python's
standard library only; clients bring their own.

A client in another language is a program that is called with ADDRESS COUNT PARTITIONS and prints lines; `converse` follows them:

    pause                                 kill the broker, start it again, answer with an empty line
    record PARTITION OFFSET KEY VALUE     a record was read; in order of arrival
    fact NAME VALUE                       to be compared with what the test wants
    end                                   the last line: it went to its end

What the broker may not serve yet is a feature: a program uses those that PEER_FEATURES names, and each brings facts of its own.

    transactions   COUNT_TXN records committed with a kill in between, as many aborted, as many committed with offset 7 of partition 0
                   for the group "txn-group": facts txnCommitted, txnAborted (both as a reader of committed records sees them), txnOffset
    configs        retention.ms of topic "made" is set, by IncrementalAlterConfigs: fact retention
    records        the records of "plain" before offset 5 of partition 0 are deleted: fact low
    consumer       once more through "plain" with a group of the new protocol: fact newGroup, how many records it got

When PEER_MECHANISM names a SASL mechanism, a program authenticates by it, over TLS, as PEER_USER with PEER_PASSWORD; PEER_CA is the file
of the authority that it trusts (test_sasl.py).
"""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402,F401
from rawkafka import Connection  # noqa: E402
from server import check_sanitizers  # noqa: E402

COUNT = 3000
COUNT_TXN = 50
PARTITIONS = 3

# feature: the API that it needs last, and its facts
FEATURES = {
    "transactions": (28, {"txnCommitted": str(2 * COUNT_TXN), "txnAborted": "0", "txnOffset": "7"}),
    "configs": (44, {"retention": "123456"}),
    "records": (21, {"low": "5"}),
    "consumer": (68, {"newGroup": str(COUNT)}),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A broker on a port of its own and a temporary directory; `with Broker() as broker:`."""

    def __init__(self, *options, program=None):
        self.program = program or os.environ.get("BROKER_PROGRAM")
        if not self.program:
            sys.exit("BROKER_PROGRAM must name the server (build/rialto) or the broker alone (build/rialto_broker)")
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="rialto-peer-")
        self.options = [f"kafka.listen=127.0.0.1:{self.port}", f"num.partitions={PARTITIONS}", *options]
        self.process = None
        self.told = False
        self.log = open(os.path.join(self.directory, "stderr"), "ab")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        data = os.path.join(self.directory, "data")
        command = [self.program, data, *self.options]
        if os.path.basename(self.program) == "rialto":
            command = [self.program, "server", "--data", data, "--set", "http.listen=127.0.0.1:0"]
            command += [word for option in self.options for word in ("--set", option)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        if not re.match(r"ready ", line):
            self.fail("the broker did not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self, pause=0.2):
        """Kills it as a crash would, and starts it again on the same port."""
        self.kill()
        time.sleep(pause)
        self.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=patient(30)) != 0:
            self.fail("the broker did not stop cleanly")

    def stderr(self):
        self.log.flush()
        with open(self.log.name, "rb") as log:
            return log.read().decode(errors="replace")

    def tell(self):
        """Prints what the broker wrote, once."""
        if not self.told:
            sys.stderr.write(self.stderr())
        self.told = True

    def fail(self, text):
        self.tell()
        sys.exit(f"FAILED: {text}")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
            check_sanitizers(self.stderr())
            shutil.rmtree(self.directory)
        elif self.process.poll() is None:
            self.kill()
            self.tell()


def record(number):
    """Key and value of a record: the key decides the partition, the number its place."""
    return f"key-{number % 17}", f"value-{number:06d}"


def check_once_in_order(seen, count=COUNT):
    """`seen`: (partition, offset, key, value) in order of arrival."""
    by_value = {}
    last_offset, last_number = {}, {}
    for partition, offset, key, value in seen:
        number = int(value.split("-")[1])
        if (key, value) != record(number):
            sys.exit(f"FAILED: offset {offset} of partition {partition} holds {key}={value}")
        if value in by_value:
            sys.exit(f"FAILED: {value} came twice: {by_value[value]} and {(partition, offset)}")
        by_value[value] = (partition, offset)
        if offset != last_offset.get(partition, -1) + 1:
            sys.exit(f"FAILED: partition {partition}: offset {offset} after {last_offset.get(partition)}")
        if number <= last_number.get(partition, -1):
            sys.exit(f"FAILED: partition {partition}: record {number} after {last_number[partition]}")
        last_offset[partition], last_number[partition] = offset, number
    if len(by_value) != count:
        missing = [n for n in range(count) if record(n)[1] not in by_value]
        sys.exit(f"FAILED: {len(by_value)} of {count} records came, the first missing is {missing[0]}")


def check_committed(seen, count=COUNT):
    """`seen`: (partition, key, value) in order of arrival; offsets have gaps where transactions have their markers."""
    values, last = set(), {}
    for partition, key, value in seen:
        number = int(value.split("-")[1])
        if (key, value) != record(number):
            sys.exit(f"FAILED: partition {partition} holds {key}={value}")
        if value in values:
            sys.exit(f"FAILED: {value} came twice")
        if number <= last.get(partition, -1):
            sys.exit(f"FAILED: partition {partition}: record {number} after {last[partition]}")
        values.add(value)
        last[partition] = number
    if len(values) != count:
        missing = [n for n in range(count) if record(n)[1] not in values]
        sys.exit(f"FAILED: {len(values)} of {count} records came, the first missing is {missing[0]}")


def apis_of(broker):
    """Keys of the APIs that the broker announces."""
    with Connection(broker.port) as connection:
        connection.send(18, 0, b"")
        return {key for key, _, _ in struct.iter_unpack(">hhh", connection.answer()[6:])}


def converse(broker, command, features=()):
    """Runs a client program and follows what it prints; returns its records and facts."""
    seen, facts, ended = [], {}, False
    command = [*command, broker.address, str(COUNT), str(PARTITIONS)]
    environment = {**os.environ, "PEER_FEATURES": " ".join(features)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as client:
        for line in client.stdout:
            words = line.split()
            if words[:1] == ["pause"]:
                broker.restart()
                client.stdin.write("\n")
                client.stdin.flush()
            elif words[:1] == ["record"]:
                seen.append((int(words[1]), int(words[2]), words[3], words[4]))
            elif words[:1] == ["fact"]:
                facts[words[1]] = line.split(" ", 2)[2].strip()
            elif words[:1] == ["end"]:
                ended = True
            else:
                sys.stderr.write(line)
    if client.returncode != 0 or not ended:
        broker.fail(f"{os.path.basename(command[0])} ended with status {client.returncode}")
    return seen, facts


def served(broker, names):
    """Those of the features that the broker serves; and says which not."""
    apis = apis_of(broker)
    there = [name for name in names if FEATURES[name][0] in apis]
    for name in sorted(set(names) - set(there)):
        print(f"not served yet: {name}")
    return there


def check_program(name, command, wanted, features=(), make_broker=Broker):
    """The whole test of a client program: its records once and in order, its facts as wanted. `features`: those it can use."""
    with make_broker() as broker:
        features = served(broker, features)
        wanted = {**wanted, **{fact: value for feature in features for fact, value in FEATURES[feature][1].items()}}
        seen, facts = converse(broker, command, features)
        check_once_in_order(seen)
        different = {key: (wanted.get(key), facts.get(key)) for key in {**wanted, **facts} if wanted.get(key) != facts.get(key)}
        if different:
            broker.fail(f"wanted and found differ: {different}")
    passed(name, f"{COUNT} records over kills, {len(facts)} facts")


def passed(name, detail):
    print(f"passed: {name}: {detail}")


def full_matrix():
    """True in `make peers`: versions and combinations that are too many for every run."""
    return os.environ.get("PEER_FULL") == "1"
