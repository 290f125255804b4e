#!/usr/bin/env python3
"""Apache Kafka Connect, distributed mode, with rialto below: a file into a topic and from there into another file, over kills.

The worker keeps its configurations, offsets and states in compacted topics and joins a group of type "connect". No line may be
missing from the topic or from the second file, and their order holds. Connect promises at least once: a worker that loses its group while the broker is
away begins its tasks anew where offsets were last flushed, so lines may be repeated; how many is printed.
PEER_TOOLS_LIBS names the folder of the jars.
"""
import json
import os
import re
import urllib.error
import urllib.request

from harness import Broker, free_port, passed
from jvm import Server, Tools, found, libs_of, wait_for

LINES, TOPIC = 2000, "lines"


def worker_properties(broker, port):
    properties = {
        "bootstrap.servers": broker.address, "group.id": "connect-cluster", "listeners": f"http://127.0.0.1:{port}",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "plugin.discovery": "service_load", "offset.flush.interval.ms": "500", "producer.enable.idempotence": "true",
        "scheduled.rebalance.max.delay.ms": "0", "consumer.auto.offset.reset": "earliest",
    }
    for kind in ("config", "offset", "status"):
        properties[f"{kind}.storage.topic"] = f"worker-{kind}"
        properties[f"{kind}.storage.replication.factor"] = "1"
    return properties


class Rest:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def __call__(self, method, path, body=None):
        """The answer, or None while the worker cannot give it (it starts, or rebalances)."""
        request = urllib.request.Request(self.base + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                text = answer.read()
                return json.loads(text) if text else {}
        except (urllib.error.URLError, ConnectionError):
            return None

    def running(self, name):
        status = self("GET", f"/connectors/{name}/status")
        return status is not None and [task["state"] for task in status["tasks"]] == ["RUNNING"]


def create(rest, name, config):
    wait_for(f"connector {name}", 60, lambda: rest("POST", "/connectors", {"name": name, "config": config}))
    wait_for(f"task of {name}", 60, lambda: rest.running(name))


def source_position(rest):
    """How far into the file the source has committed: after a kill it goes on from there."""
    offsets = (rest("GET", "/connectors/from-file/offsets") or {}).get("offsets")
    return offsets[0]["offset"]["position"] if offsets else None


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def once(lines):
    """Without repeats: a line counts when it is the next."""
    kept = []
    for line in lines:
        if line == f"line-{len(kept):05d}":
            kept.append(line)
    return kept


def append(path, numbers):
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(f"line-{n:05d}\n" for n in numbers))


def check_topics(broker, tools):
    """What the worker made, and what the source wrote."""
    at = ("--bootstrap-server", broker.address)
    _, text = tools("org.apache.kafka.tools.TopicCommand", *at, "--describe")
    for kind, partitions in (("config", 1), ("offset", 25), ("status", 5)):
        if not found(rf"^Topic: worker-{kind}\t.*PartitionCount: {partitions}\t.*cleanup.policy=compact", text):
            broker.fail(f"worker-{kind} is not as a worker makes it:\n{text}")
    _, text = tools("org.apache.kafka.tools.GetOffsetShell", *at, "--topic", TOPIC)
    count = int(re.search(rf"^{TOPIC}:0:(\d+)", text, re.M).group(1))
    _, text = tools("org.apache.kafka.tools.consumer.ConsoleConsumer", *at, "--topic", TOPIC, "--from-beginning", "--max-messages",
                    str(count), "--timeout-ms", "20000")
    written = [line for line in text.splitlines() if line.startswith("line-")]
    if len(written) != count or once(written) != [f"line-{n:05d}" for n in range(LINES)]:
        broker.fail(f"the topic holds {len(written)} of {count} lines, {written[:3]} ... {written[-3:]}")
    return count - LINES


def main():
    libs, port = libs_of(), free_port()
    with Broker("num.partitions=1") as broker:
        worker = Server(libs, "connect", "org.apache.kafka.connect.cli.ConnectDistributed", worker_properties(broker, port))
        with worker:
            source, sink = os.path.join(worker.directory, "in"), os.path.join(worker.directory, "out")
            rest = Rest(port)
            append(source, range(LINES // 4))
            wait_for("the worker", 90, lambda: rest("GET", "/connectors") is not None)
            create(rest, "from-file", {"connector.class": "FileStreamSource", "file": source, "topic": TOPIC, "tasks.max": "1"})
            create(rest, "to-file", {"connector.class": "FileStreamSink", "file": sink, "topics": TOPIC, "tasks.max": "1"})
            for quarter in range(1, 4):
                wait_for("lines", 60, lambda wanted=quarter: len(once(lines_of(sink))) == wanted * LINES // 4)
                append(source, range(quarter * LINES // 4, (quarter + 1) * LINES // 4))
                broker.restart()
            wait_for("all lines", 90, lambda: len(once(lines_of(sink))) == LINES)
            wait_for("the source's offset", 60, lambda: source_position(rest) == os.path.getsize(source))
            worker.kill()  # another worker finds everything in the topics
            worker.start()
            wait_for("the tasks of the second worker", 90, lambda: rest.running("from-file") and rest.running("to-file"))
            repeats = len(lines_of(sink)) - LINES
        with Tools(libs) as tools:
            repeated = check_topics(broker, tools)
    passed("connect", f"{LINES} lines from file to topic to file, three kills of the broker, one of the worker; repeated: {repeated} by the source, "
           f"{repeats} in all")


main()
