#!/usr/bin/env python3
"""kafkajs, a client of non-flexible versions only: idempotent producer, group and admin over kills. PEER_JS names its node_modules."""
import os

from harness import COUNT, check_program

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js", "kafkajs.mjs")
WANTED = {"extra": "0", "state": "Stable", "committed": str(COUNT), "end": str(COUNT), "created": "true", "twice": "false",
          "partitions": "4", "policy": "compact", "groups": "kafkajs-group", "nodes": "1"}

if __name__ == "__main__":
    check_program("kafkajs", ["node", SOURCE], WANTED, ["transactions", "records"])
