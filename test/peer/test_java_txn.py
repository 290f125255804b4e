#!/usr/bin/env python3
"""The Java client 4.x with transactions (KIP-890): read, process, write over kills and aborts; a zombie; an administrator.
PEER_JAVA_LIBS names its jars."""
import os
import sys

from harness import COUNT, Broker, check_committed, converse, passed

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "PeerTransactions.java")
WANTED = {"feature": "2", "copied": str(COUNT), "aborts": "true", "turns": "true", "uncommitted": "true",
          "open": "Ongoing [zombie-0]", "zombie": "fenced", "fencedByAdmin": "fenced", "hangs": "true", "hangsStill": "false",
          "committed": "true"}


def main():
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    with Broker() as broker:
        seen, facts = converse(broker, ["java", "-cp", os.path.join(libs, "*"), SOURCE])
        check_committed([(partition, key, value) for partition, _, key, value in seen])
        if facts != WANTED:
            broker.fail(f"wanted {WANTED}, found {facts}")
    passed("java_txn", f"{COUNT} records in transactions over four kills, a zombie, an administrator")


main()
