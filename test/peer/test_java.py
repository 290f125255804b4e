#!/usr/bin/env python3
"""The Java client, 4.x and 3.9: producer, group, static member and admin over kills. PEER_JAVA_LIBS and PEER_JAVA3_LIBS name their jars."""
import os
import sys

from harness import COUNT, check_program

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "PeerClient.java")
WANTED = {"extra": "0", "committed": str(COUNT), "end": str(COUNT), "byTime": "0", "policy": "compact", "partitions": "2",
          "nodes": "1", "state": "Stable", "groups": "1", "offsets": str(COUNT), "topics": "[plain]"}


def main():
    older = ["transactions", "configs", "records"]
    for name, variable, features in (("java 4", "PEER_JAVA_LIBS", [*older, "consumer"]), ("java 3.9", "PEER_JAVA3_LIBS", older)):
        libs = os.environ.get(variable) or sys.exit(f"{variable} must name the folder of the jars")
        check_program(name, ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(libs, "*"), SOURCE], WANTED,
                      features)


main()
