#!/usr/bin/env python3
"""The Java client 4.x with transactions (KIP-890): read, process, write over kills and aborts; a zombie; an administrator.
PEER_JAVA_LIBS names its jars."""
import os
import subprocess
import sys

from harness import COUNT, PARTITIONS, Broker, check_committed, passed

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "PeerTransactions.java")
WANTED = {"feature": "2", "copied": str(COUNT), "aborts": "true", "turns": "true", "uncommitted": "true",
          "open": "Ongoing [zombie-0]", "zombie": "fenced", "fencedByAdmin": "fenced", "hangs": "true", "hangsStill": "false",
          "committed": "true"}


def converse(broker, client):
    """Follows what the client prints; returns its records and facts."""
    seen, facts, ended = [], {}, False
    for line in client.stdout:
        words = line.split()
        if words[:1] == ["pause"]:
            broker.restart()
            client.stdin.write("\n")
            client.stdin.flush()
        elif words[:1] == ["record"]:
            seen.append((int(words[1]), words[2], words[3]))
        elif words[:1] == ["fact"]:
            facts[words[1]] = line.split(" ", 2)[2].strip()
        elif words[:1] == ["end"]:
            ended = True
        else:
            sys.stderr.write(line)
    if client.wait(timeout=60) != 0 or not ended:
        broker.fail("the Java client failed")
    return seen, facts


def main():
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    with Broker() as broker:
        command = ["java", "-cp", os.path.join(libs, "*"), SOURCE, broker.address, str(COUNT), str(PARTITIONS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            seen, facts = converse(broker, client)
        check_committed(seen)
        if facts != WANTED:
            broker.fail(f"wanted {WANTED}, found {facts}")
    passed("java_txn", f"{COUNT} records in transactions over four kills, a zombie, an administrator")


main()
