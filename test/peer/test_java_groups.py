#!/usr/bin/env python3
"""Groups of the Java client 4.x, in both protocols: members that come and go, a static one that is away for a while, a pattern that
the server matches, a group moved from one protocol to the other and back, kills while partitions change hands, and what
administrators do with offsets. PEER_JAVA_LIBS names its jars."""
import os
import sys

from harness import Broker, converse, passed

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "GroupClient.java")


def main():
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    wanted = {"kind": "Consumer", "members": "3", "back": "true", "sharedTwice": "0", "pattern": "[pattern-a, pattern-b]",
              "moved-consumer": "Consumer", "moved-classic": "Classic", "movedTwice": "0", "killedLost": "0", "altered": "3",
              "deleted": "null", "left": "[moved]"}
    options = ("group.consumer.min.heartbeat.interval.ms=300", "group.consumer.heartbeat.interval.ms=300",
               "group.consumer.min.session.timeout.ms=30000", "group.consumer.session.timeout.ms=30000")
    with Broker(*options) as broker:
        command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(libs, "*"), SOURCE]
        _, facts = converse(broker, command)
        if facts != wanted:
            broker.fail(f"wanted {wanted}, found {facts}")
    passed("java groups", "three members, a static one, a pattern, there and back, two kills, offsets")


main()
