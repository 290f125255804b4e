#!/usr/bin/env python3
"""franz-go: idempotent producer, group and admin over kills, with the newest versions of every API. PEER_GO names its folder."""
import os
import sys

from harness import COUNT, check_program

WANTED = {"extra": "0", "state": "Stable", "committed": str(COUNT), "end": str(COUNT), "lag": "0", "twice": "TOPIC_ALREADY_EXISTS",
          "policy": "compact", "partitions": "4", "groups": "[franz-group]", "nodes": "1"}


def main():
    programs = os.environ.get("PEER_GO") or sys.exit("PEER_GO must name the folder of the Go programs")
    check_program("franz", [os.path.join(programs, "franz")], WANTED, ["transactions", "configs", "records", "consumer"])


if __name__ == "__main__":
    main()
