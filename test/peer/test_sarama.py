#!/usr/bin/env python3
"""sarama, configured as a client of several ages: idempotent producer, group and admin over kills. PEER_GO names its folder.

Its version decides the version of every request. 0.11 is the oldest whose record batches are those of today; `make peers` runs all.
"""
import os
import sys

from harness import COUNT, check_program, full_matrix

EVERY_RUN = ["0.11.0.0", "2.8.0"]
MATRIX = ["0.11.0.0", "1.1.0", "2.0.0", "2.1.0", "2.4.0", "2.8.0", "3.6.0", "4.0.0"]
WANTED = {"extra": "0", "state": "Stable", "committed": str(COUNT), "end": str(COUNT), "groups": "[sarama-group]", "nodes": "1"}
SINCE_2_0 = {"policy": "compact", "partitions": "4"}


def main():
    programs = os.environ.get("PEER_GO") or sys.exit("PEER_GO must name the folder of the Go programs")
    for version in MATRIX if full_matrix() else EVERY_RUN:
        old, configs = version < "2", version >= "2.3"
        check_program(f"sarama {version}", [os.path.join(programs, "sarama"), version], WANTED if old else {**WANTED, **SINCE_2_0},
                      [] if old else ["transactions", "records"] + ["configs"] * configs)


if __name__ == "__main__":
    main()
