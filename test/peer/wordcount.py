"""Kafka Streams' word count as full_streams.py and full_streams_groups.py run it: lines by arithmetic, what must come of them, and the
application in a process of its own (java/src/PeerStreams.java).

No record cache, so a word that came n times gives the counts 1 to n, each once and in order, to whoever reads what is committed.
"""
import os
import re
import subprocess

from jvm import HERE, java

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
    """One process; more of its configs as NAME=VALUE."""

    def __init__(self, libs, address, state, guarantee, *configs):
        self.command = java(libs, os.path.join(HERE, "java", "src", "PeerStreams.java"), address, state, guarantee, *configs)
        self.output = os.path.join(state, "output")
        self.process = None

    def start(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output, stderr=output)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Once or more often."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()

    def said(self):
        with open(self.output, encoding="utf-8", errors="replace") as output:
            return output.read()


def make_topics(tools, address):
    for topic in ("words-in", "words-out"):
        tools("org.apache.kafka.tools.TopicCommand", AT, address, "--create", "--topic", topic, "--partitions", "3")


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


def seen(tools, address, share):
    """What is committed, once so many different counts are."""
    rows = committed(tools, address, 3 * LINES + 1)
    return sum(len(set(counts)) for counts in rows.values()) >= share and rows


def check_counts(broker, rows, exactly_once=True):
    for word, count in wanted_counts().items():
        counts = rows[word] if exactly_once else sorted(set(rows[word]))
        if counts != list(range(1, count + 1)):
            broker.fail(f"{word}: wanted the counts 1 to {count}, found {len(counts)}: {counts[:5]} ... {counts[-5:]}")
