#!/usr/bin/env python3
"""Kafka Streams' word count with exactly_once_v2: the broker is killed, and so is the application, in the middle.

No record cache, so a word that came n times gives the counts 1 to n, each once and in order, to whoever reads what is committed. Without
transactions on the broker the application runs at_least_once, and only the broker is killed. PEER_TOOLS_LIBS names the folder of the jars.
"""
import os
import re
import subprocess
import tempfile

from harness import Broker, passed
from jvm import HERE, Tools, apis_of, java, libs_of, wait_for

LINES, WORDS = 1200, ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch"]
AT = "--bootstrap-server"


def line(number):
    """Three words, by arithmetic."""
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (1, 2, 3))


def wanted_counts():
    counts = dict.fromkeys(WORDS, 0)
    for number in range(LINES):
        for word in line(number).split():
            counts[word] += 1
    return counts


class Application:
    def __init__(self, libs, address, state, guarantee):
        self.command = java(libs, os.path.join(HERE, "java", "src", "PeerStreams.java"), address, state, guarantee)
        self.output = os.path.join(state, "output")
        self.process = None

    def start(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output, stderr=output)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()


def produce(tools, address, numbers):
    tools("org.apache.kafka.tools.ConsoleProducer", AT, address, "--topic", "words-in",
          stdin="".join(line(n) + "\n" for n in numbers))


def committed(tools, address, limit):
    """(word, count) of all that is committed, by word in order."""
    _, text = tools("org.apache.kafka.tools.consumer.ConsoleConsumer", AT, address, "--topic", "words-out", "--from-beginning",
                    "--isolation-level", "read_committed", "--max-messages", str(limit), "--timeout-ms", "3000",
                    "--formatter-property", "print.key=true", "--formatter-property",
                    "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer")
    rows = {word: [] for word in WORDS}
    for word, count in re.findall(r"^(\w+)\t(\d+)$", text, re.MULTILINE):
        rows[word].append(int(count))
    return rows


def run(broker, tools, application, kill_application):
    def seen(share):
        rows = committed(tools, broker.address, 3 * LINES + 1)
        return sum(len(set(counts)) for counts in rows.values()) >= share and rows

    produce(tools, broker.address, range(LINES // 3))
    application.start()
    wait_for("the first counts", 120, lambda: seen(LINES // 2))
    produce(tools, broker.address, range(LINES // 3, 2 * LINES // 3))
    broker.restart()
    if kill_application:
        application.kill()
        application.start()
    produce(tools, broker.address, range(2 * LINES // 3, LINES))
    broker.restart()
    return wait_for("all counts", 180, lambda: seen(3 * LINES))


def main():
    libs = libs_of()
    with Broker() as broker, Tools(libs) as tools, tempfile.TemporaryDirectory(prefix="rialto-streams-") as state:
        exactly_once = "EndTxn" in apis_of(tools, broker.address)
        for topic in ("words-in", "words-out"):
            tools("org.apache.kafka.tools.TopicCommand", AT, broker.address, "--create", "--topic", topic, "--partitions", "3")
        application = Application(libs, broker.address, state, "exactly_once_v2" if exactly_once else "at_least_once")
        try:
            rows = run(broker, tools, application, kill_application=exactly_once)
        except SystemExit:
            with open(application.output, encoding="utf-8", errors="replace") as output:
                print(output.read()[-6000:])
            raise
        finally:
            application.stop()
        for word, count in wanted_counts().items():
            found = rows[word] if exactly_once else sorted(set(rows[word]))
            if found != list(range(1, count + 1)):
                broker.fail(f"{word}: wanted the counts 1 to {count}, found {len(found)}: {found[:5]} ... {found[-5:]}")
    passed("streams", f"word count of {LINES} lines, {'exactly_once_v2, kills of both' if exactly_once else 'at_least_once, kills'}")


main()
