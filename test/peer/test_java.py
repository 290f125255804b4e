#!/usr/bin/env python3
"""The Java client 4.x: producer, group, static member and admin over kills. PEER_JAVA_LIBS names its jars."""
import os
import subprocess
import sys

from harness import COUNT, PARTITIONS, Broker, check_once_in_order, passed

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "PeerClient.java")


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
            seen.append((int(words[1]), int(words[2]), words[3], words[4]))
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
    wanted = {"extra": "0", "committed": str(COUNT), "end": str(COUNT), "byTime": "0", "policy": "compact",
              "partitions": "2", "nodes": "1", "state": "Stable", "groups": "1", "offsets": str(COUNT), "topics": "[plain]"}
    with Broker() as broker:
        command = ["java", "-cp", os.path.join(libs, "*"), SOURCE, broker.address, str(COUNT), str(PARTITIONS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            seen, facts = converse(broker, client)
        check_once_in_order(seen)
        if facts != wanted:
            broker.fail(f"wanted {wanted}, found {facts}")
    passed("java", f"{COUNT} records, four kills, a static member, admin calls")


main()
