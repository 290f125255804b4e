#!/usr/bin/env python3
"""The Java client of today and older ones: producer, group, static member and admin over kills; groups of both protocols from 3.7 on.

PEER_JAVA_LIBS names the folder of today's jars, PEER_JAVA_OLD those of others: VERSION=FOLDER...
"""
import os
import sys

from harness import COUNT, check_program

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java", "src", "PeerClient.java")
WANTED = {"extra": "0", "committed": str(COUNT), "end": str(COUNT), "byTime": "0", "policy": "compact", "partitions": "2",
          "nodes": "1", "state": "Stable", "groups": "1", "offsets": str(COUNT), "topics": "[plain]"}


def main():
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    features = ["transactions", "configs", "records"]
    check("java 4", libs, [*features, "consumer"])
    for old in os.environ["PEER_JAVA_OLD"].split():
        version, libs = old.split("=")
        has_protocol = tuple(map(int, version.split("."))) >= (3, 7)
        check(f"java {version}", libs, [*features, "consumer"] if has_protocol else features)


def check(name, libs, features):
    check_program(name, ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(libs, "*"), SOURCE], WANTED, features)


main()
