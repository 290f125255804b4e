#!/usr/bin/env python3
"""kafka-go, which speaks middle-aged versions: producer, group and admin over kills. PEER_GO names its folder."""
import os
import sys

from harness import COUNT, check_program

WANTED = {"extra": "0", "state": "Empty", "committed": str(COUNT), "end": str(COUNT), "policy": "604800000", "partitions": "4",
          "groups": "[kafkago-group]", "nodes": "1"}


def main():
    programs = os.environ.get("PEER_GO") or sys.exit("PEER_GO must name the folder of the Go programs")
    check_program("kafka-go", [os.path.join(programs, "kafkago")], WANTED, ["configs"])


main()
