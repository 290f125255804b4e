#!/usr/bin/env python3
"""kcat (librdkafka as Debian has it) against the broker: every codec, a group, kills in between."""
import json
import subprocess

from harness import COUNT, PARTITIONS, Broker, check_once_in_order, passed, patient, record

GROUP = "kcat-group"


def kcat(broker, *args, stdin=None):
    done = subprocess.run(["kcat", "-b", broker.address, *args], input=stdin, capture_output=True, timeout=patient(120))
    if done.returncode != 0:
        broker.fail(f"kcat {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout.decode()


def produce(broker, numbers, codec):
    lines = "".join("%s:%s\n" % record(number) for number in numbers)
    kcat(broker, "-P", "-t", "plain", "-K", ":", "-X", "enable.idempotence=true", "-z", codec, stdin=lines.encode())


def consume(broker, *args):
    out = kcat(broker, "-q", "-G", GROUP, *args, "-X", "auto.offset.reset=earliest", "-X", "check.crcs=true", "-f",
               "%p %o %k %s\\n", "plain")
    rows = [line.split() for line in out.splitlines()]
    return [(int(partition), int(offset), key, value) for partition, offset, key, value in rows]


def main():
    with Broker() as broker:
        codecs = ["none", "gzip", "snappy", "lz4", "zstd", "none"]
        share = COUNT // len(codecs)
        for i, codec in enumerate(codecs):
            produce(broker, range(i * share, (i + 1) * share), codec)
            if i % 2 == 1:
                broker.restart()
        seen = consume(broker, "-c", str(COUNT // 3))
        broker.restart()
        seen += consume(broker, "-e")
        check_once_in_order(seen)
        broker.restart()
        if consume(broker, "-e"):
            broker.fail("the group's offsets did not survive")
        topics = json.loads(kcat(broker, "-L", "-J", "-t", "plain"))["topics"]
        if len(topics[0]["partitions"]) != PARTITIONS:
            broker.fail(f"partitions: {topics}")
    passed("kcat", f"{COUNT} records, five codecs, five kills")


main()
