#!/usr/bin/env python3
"""Share groups of the Java client 4.x (KIP-932): implicit and explicit acknowledgement, release, reject and renewal, locks that end,
members that share a partition, aborted transactions, kills in between, and what administrators do with groups and offsets.
PEER_JAVA_LIBS names its jars.

Expected values follow from KIP-932 and were found on an Apache Kafka 4.3.1 too, but for start offsets: it writes them one change late.
"""
import os
import subprocess
import sys

from harness import Broker, converse, passed

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "ShareClient.java")
WANTED = {
    "implicit": "[0*1, 1*1, 2*1, 3*1, 4*1, 5*1, 6*1, 7*1, 8*1, 9*1]", "implicitNext": "[10*1, 11*1]", "implicitCommit": "[ok]",
    "implicitAgain": "[]",
    "explicitCommit": "[ok]", "released": "[1*2, 3*2]", "accepted": "[]",
    "limit": "[0*1, 0*2, 0*3]", "limitAfter": "[]",
    "lockTimeout": "2000", "lockHeld": "[]", "lockEnded": "[0*2, 1*2, 2*2, 3*2]", "lockLate": "[InvalidRecordStateException]",
    "lockCommit": "[ok]", "renewCommit": "[ok]", "renewStolen": "[]",
    "together": "3000", "togetherTwice": "0", "togetherAll": "true", "described": "Stable 3 3", "givenBack": "[3000*2, 3001*2]",
    "committed": "[0*1, 2*1, 4*1]", "committedOffset": "12 0",
    "offsets": "[admin-0=4/5]", "alterUsed": "GroupNotEmptyException", "deleteUsed": "GroupNotEmptyException",
    "deleteOffsetsUsed": "GroupNotEmptyException", "alter": "none", "altered": "[admin-0=8/2]", "alteredRead": "[8*1, 9*1]",
    "unknown": "GroupIdNotFoundException", "listed": "Share share", "deleteOffsets": "none", "deletedOffsets": "[]",
    "delete": "none", "deleted": "GroupIdNotFoundException", "badConfig": "InvalidConfigurationException", "backConfig": "none",
    "back": "10",
    "kills": "4000", "killsKnown": "true", "killsOffset": "[kills-0=4000/0]", "killsTwice": "0",
}
OPTIONS = ("group.share.heartbeat.interval.ms=300", "group.share.min.heartbeat.interval.ms=300", "group.share.session.timeout.ms=6000",
           "group.share.min.session.timeout.ms=6000", "group.share.min.record.lock.duration.ms=1000")


def check_shell(broker):
    """What `rialto group` says of a share group."""
    def group(*words):
        program = os.path.join(os.path.dirname(broker.program), "rialto")
        done = subprocess.run([program, "group", *words, "-b", broker.address], capture_output=True, text=True)
        return done.stdout or done.stderr
    listed = group("list", "together")
    if listed != "together\tshare\tEmpty\t0\t0\n":
        broker.fail(f"group list says {listed}")
    if (told := group("describe", "together")) != "together\t0\t3002\t3002\t0\n":
        broker.fail(f"group describe says {told}")
    group("reset", "together", "--to", "3000")
    if (told := group("describe", "together")) != "together\t0\t3000\t3002\t2\n":
        broker.fail(f"group describe says after a reset {told}")
    group("delete", "together", "-y")
    if "not found" not in (told := group("describe", "together")):
        broker.fail(f"group describe says of a deleted group {told}")


def main():
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    with Broker(*OPTIONS) as broker:
        command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(libs, "*"), SOURCE]
        _, facts = converse(broker, command)
        different = {name: (WANTED.get(name), facts.get(name)) for name in {**WANTED, **facts} if WANTED.get(name) != facts.get(name)}
        if different:
            broker.fail(f"wanted and found differ: {different}")
        check_shell(broker)
    passed("java share groups", f"{len(facts)} facts, three kills")


main()
