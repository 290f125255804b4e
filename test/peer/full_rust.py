#!/usr/bin/env python3
"""The Rust crate rdkafka: idempotent producer, group and admin over kills. PEER_RUST names its program."""
import os
import sys

from harness import COUNT, check_program

WANTED = {"extra": "0", "state": "Stable", "committed": str(COUNT), "end": str(COUNT), "twice": "TopicAlreadyExists",
          "policy": "compact", "partitions": "4", "nodes": "1"}


def main():
    program = os.environ.get("PEER_RUST") or sys.exit("PEER_RUST must name the program")
    check_program("rust", [program], WANTED, ["transactions", "consumer"])


main()
