#!/usr/bin/env python3
"""Streams groups (KIP-1071) with Kafka Streams itself, `group.protocol=streams`: word count with exactly_once_v2 and a standby of each
store, in two processes of two threads, after the application has run with the classic protocol for a while. One process is killed, and so
is the broker, twice; every count comes once. Then all that kafka-streams-groups can do. PEER_TOOLS_LIBS names the folder of the jars.
"""
import re
import tempfile
from pathlib import Path

from harness import Broker, passed
from jvm import Tools, found, libs_of, wait_for
from wordcount import AT, LINES, Application, check_counts, make_topics, produce, seen

OPTIONS = ["group.streams.min.session.timeout.ms=1000", "group.streams.session.timeout.ms=6000",
           "group.streams.min.heartbeat.interval.ms=100", "group.streams.heartbeat.interval.ms=500",
           "group.streams.initial.rebalance.delay.ms=500"]
GROUP, INTERNAL = "word-count", ("word-count-counts-repartition", "word-count-counts-changelog")


class Groups:
    """kafka-streams-groups"""

    def __init__(self, tools, address):
        self.tools, self.address = tools, address

    def __call__(self, *words):
        _, text = self.tools("org.apache.kafka.tools.streams.StreamsGroupCommand", AT, self.address, *words)
        return text

    def is_stable(self, members):
        """All tasks are where they shall be: active and standby ones of so many members. The state is asked after the members, which may still move then."""
        text = self("--describe", "--group", GROUP, "--members", "--verbose")
        rows = [row for row in text.splitlines() if row.startswith(GROUP)]
        arrived = all(tasks_of(row, role) == tasks_of(row, f"TARGET-{role}") for row in rows for role in ("ACTIVE", "STANDBY"))
        return len(rows) == members and arrived and found(rf"^{GROUP}\s.*\sStable\s", self("--describe", "--group", GROUP, "--state")) and text


def run_classic(tools, address, application):
    """Its offsets and its state stay when it has ended; members of the classic protocol are out some time later."""
    application.start()
    wait_for("the first counts", 120, lambda: seen(tools, address, LINES // 2))
    application.stop()
    wait_for("an empty classic group", 60, lambda: found(rf"^{GROUP}\s.*Empty", tools(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", AT, address, "--describe", "--group", GROUP, "--state")[1]))


def run(broker, tools, groups, classic, first, second):
    address = broker.address
    produce(tools, address, range(LINES // 3))
    run_classic(tools, address, classic)
    first.start()
    second.start()
    members = wait_for("four members", 120, lambda: groups.is_stable(4))
    produce(tools, address, range(LINES // 3, 2 * LINES // 3))
    second.kill()
    broker.restart()
    produce(tools, address, range(2 * LINES // 3, LINES))
    second.start()
    broker.restart()
    return members, wait_for("all counts", 180, lambda: seen(tools, address, 3 * LINES))


def tasks_of(text, role):
    """What members have in a role, sorted, of "ACTIVE: 0:[0,1]; 1:[2]; STANDBY: ..."."""
    return sorted(f"{subtopology}_{partition}" for part in re.findall(rf"(?<!-){role}: ((?:\d+:\[[\d,]+\]; )+)", text)
                  for subtopology, partitions in re.findall(r"(\d+):\[([\d,]+)\]", part) for partition in partitions.split(","))


def new_offsets(text):
    """Of partitions that have records: a producer without keys need not have met all."""
    return set(re.findall(r"^word-count\s+words-in\s+[012]\s+(\d+)", text, re.MULTILINE))


def check_running(broker, tools, groups, members):
    want = broker_fail_unless(broker)
    want(tasks_of(members, "ACTIVE") == ["0_0", "0_1", "0_2", "1_0", "1_1", "1_2"], members)
    want(tasks_of(members, "STANDBY") == ["1_0", "1_1", "1_2"], members)
    want(found(r"^word-count", groups("--list")), "the group is not listed")
    listed = groups("--list", "--state")
    want(found(r"^word-count\s+(Stable|Reconciling|Assigning)", listed), listed)
    offsets = groups("--describe", "--group", GROUP, "--offsets")
    want(len(re.findall(r"^word-count\s+(words-in|word-count-counts-repartition)\s+[012]\s", offsets, re.MULTILINE)) == 6, offsets)
    _, kept = tools("org.apache.kafka.tools.TopicCommand", AT, broker.address, "--list")
    want(all(topic in kept.split() for topic in INTERNAL), kept)
    stored = next(Path(broker.directory).rglob("__consumer_offsets-0/00000000000000000000.log"))
    _, records = tools("org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder", "--files", str(stored))
    want({"17", "19", "20", "21", "22", "23"} <= set(re.findall(r'key: {"type":"(\d+)"', records)), records[-2000:])
    refused = groups("--delete", "--group", GROUP)
    want(found(r"(?i)not empty|non.?empty", refused), refused)
    refused = groups("--reset-offsets", "--group", GROUP, "--to-earliest", "--all-input-topics", "--execute")
    want(found(r"(?i)inactive|not empty|current state", refused), refused)


def check_stopped(broker, tools, groups):
    want = broker_fail_unless(broker)
    wait_for("an empty group", 60, lambda: found(rf"^{GROUP}\s.*Empty", groups("--describe", "--group", GROUP, "--state")))
    planned = groups("--reset-offsets", "--group", GROUP, "--to-earliest", "--all-input-topics", "--dry-run")
    want(new_offsets(planned) == {"0"}, planned)
    done = groups("--reset-offsets", "--group", GROUP, "--to-earliest", "--all-input-topics", "--execute")
    want(new_offsets(done) == {"0"}, done)
    deleted = groups("--delete", "--group", GROUP, "--delete-all-internal-topics")
    want(found(r"(?i)deletion of .*successful|successful", deleted), deleted)
    want(not found(r"^word-count", groups("--list")), "the group is still there")
    _, kept = tools("org.apache.kafka.tools.TopicCommand", AT, broker.address, "--list")
    want(not any(topic in kept.split() for topic in INTERNAL), kept)


def broker_fail_unless(broker):
    return lambda good, text: good or broker.fail(text)


def main():
    libs = libs_of()
    with Broker(*OPTIONS) as broker, Tools(libs) as tools, tempfile.TemporaryDirectory(prefix="rialto-streams-") as one, \
            tempfile.TemporaryDirectory(prefix="rialto-streams-") as other:
        groups = Groups(tools, broker.address)
        make_topics(tools, broker.address)
        tools("kafka.admin.ConfigCommand", AT, broker.address, "--alter", "--entity-type", "groups", "--entity-name", GROUP,
              "--add-config", "streams.num.standby.replicas=1")
        classic = Application(libs, broker.address, one, "exactly_once_v2")
        first, second = (Application(libs, broker.address, state, "exactly_once_v2", "group.protocol=streams") for state in (one, other))
        try:
            members, rows = run(broker, tools, groups, classic, first, second)
            check_running(broker, tools, groups, members)
        except SystemExit:
            print(first.said()[-4000:], second.said()[-4000:] if second.process else "")
            raise
        finally:
            for application in (classic, first, second):
                if application.process is not None:
                    application.stop()
        check_counts(broker, rows)
        check_stopped(broker, tools, groups)
    passed("streams_groups", f"group.protocol=streams: word count of {LINES} lines, exactly_once_v2, standbys, kills of both; kafka-streams-groups")


main()
