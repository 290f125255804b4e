#!/usr/bin/env python3
"""MirrorMaker 2 between an Apache Kafka and rialto, both ways at once, with kills of rialto: topics, records, a group's offsets.

PEER_TOOLS_LIBS names the folder of the jars.
"""
from harness import COUNT, Broker, passed, record
from jvm import KAFKA, Server, Tools, found, libs_of, wait_for

HALF = COUNT // 2
TOPICS = "org.apache.kafka.tools.TopicCommand"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONSUME = "org.apache.kafka.tools.consumer.ConsoleConsumer"
PRODUCE = "org.apache.kafka.tools.ConsoleProducer"


def mirror_properties(kafka, broker):
    properties = {
        "clusters": "apache, here", "apache.bootstrap.servers": kafka.address, "here.bootstrap.servers": broker.address,
        "apache->here.enabled": "true", "apache->here.topics": "from-apache", "apache->here.groups": "readers",
        "here->apache.enabled": "true", "here->apache.topics": "from-here", "sync.group.offsets.enabled": "true",
        "plugin.discovery": "service_load", "dedicated.mode.enable.internal.rest": "false", "consumer.auto.offset.reset": "earliest",
    }
    for name in ("replication.factor", "checkpoints.topic.replication.factor", "heartbeats.topic.replication.factor",
                 "offset-syncs.topic.replication.factor", "offset.storage.replication.factor", "status.storage.replication.factor",
                 "config.storage.replication.factor"):
        properties[name] = "1"
    for name in ("refresh.topics", "refresh.groups", "emit.checkpoints", "emit.heartbeats", "sync.group.offsets"):
        properties[f"{name}.interval.seconds"] = "1"
    for cluster in ("apache", "here"):
        properties[f"{cluster}.offset.flush.interval.ms"] = "500"
        properties[f"{cluster}.producer.enable.idempotence"] = "true"
        properties[f"{cluster}.scheduled.rebalance.max.delay.ms"] = "0"
    return properties


def produce(tools, address, topic, numbers):
    lines = "".join("%s:%s\n" % record(n) for n in numbers)
    tools(PRODUCE, "--bootstrap-server", address, "--topic", topic, "--reader-property", "parse.key=true", "--reader-property",
          "key.separator=:", stdin=lines)


def end_of(tools, address, topic):
    """Records of a topic by its end offsets, and by partition."""
    _, text = tools(OFFSETS, "--bootstrap-server", address, "--topic", topic)
    ends = [line.rsplit(":", 2)[1:] for line in text.splitlines() if line.startswith(topic + ":")]
    return sorted((int(partition), int(end)) for partition, end in ends)


def count_of(tools, address, topic):
    return sum(end for _, end in end_of(tools, address, topic))


def check_copy(broker, tools, source, target):
    """The copy: same partitions with as many records, each once, each key in order."""
    (from_address, from_topic), (to_address, to_topic) = source, target
    if end_of(tools, from_address, from_topic) != end_of(tools, to_address, to_topic):
        broker.fail(f"{from_topic} and {to_topic} differ: {end_of(tools, from_address, from_topic)}, {end_of(tools, to_address, to_topic)}")
    _, text = tools(CONSUME, "--bootstrap-server", to_address, "--topic", to_topic, "--from-beginning", "--max-messages", str(COUNT),
                    "--timeout-ms", "20000", "--formatter-property", "print.key=true")
    rows = [tuple(line.split("\t")) for line in text.splitlines() if line.startswith("key-")]
    for key in {key for key, _ in rows}:
        wanted = [value for number in range(COUNT) for k, value in [record(number)] if k == key]
        if [value for k, value in rows if k == key] != wanted:
            broker.fail(f"{to_topic}: the records of {key} are not those of {from_topic}")
    if len(rows) != COUNT:
        broker.fail(f"{to_topic} gave {len(rows)} records")


def check_offsets(tools, kafka, broker):
    """A group that read everything at the one finds its place at the other."""
    tools(CONSUME, "--bootstrap-server", kafka.address, "--topic", "from-apache", "--from-beginning", "--max-messages", str(COUNT),
          "--group", "readers", "--timeout-ms", "20000")

    def synced():
        _, text = tools(GROUPS, "--bootstrap-server", broker.address, "--describe", "--group", "readers")
        return found(r"^readers +apache.from-apache +0 +[1-9]", text)

    wait_for("the group's offsets", 60, synced)


def main():
    libs = libs_of()
    with Broker() as broker, Broker(program=KAFKA) as kafka, Tools(libs) as tools:
        at = ("--bootstrap-server", kafka.address)
        wait_for("Apache Kafka", 60, lambda: tools(TOPICS, *at, "--create", "--topic", "from-apache", "--partitions", "3")[0] == 0)
        tools(TOPICS, "--bootstrap-server", broker.address, "--create", "--topic", "from-here", "--partitions", "3")
        produce(tools, kafka.address, "from-apache", range(HALF))
        produce(tools, broker.address, "from-here", range(HALF))
        mirror = Server(libs, "mirror", "org.apache.kafka.connect.mirror.MirrorMaker", mirror_properties(kafka, broker))
        with mirror:
            wait_for("the first half here", 120, lambda: count_of(tools, broker.address, "apache.from-apache") == HALF)
            wait_for("the first half there", 120, lambda: count_of(tools, kafka.address, "here.from-here") == HALF)
            produce(tools, kafka.address, "from-apache", range(HALF, COUNT))
            produce(tools, broker.address, "from-here", range(HALF, COUNT))
            broker.restart()
            wait_for("the second half here", 120, lambda: count_of(tools, broker.address, "apache.from-apache") == COUNT)
            wait_for("the second half there", 120, lambda: count_of(tools, kafka.address, "here.from-here") == COUNT)
            check_copy(broker, tools, (kafka.address, "from-apache"), (broker.address, "apache.from-apache"))
            check_copy(broker, tools, (broker.address, "from-here"), (kafka.address, "here.from-here"))
            check_offsets(tools, kafka, broker)
    passed("mirror", f"{COUNT} records from Apache Kafka and {COUNT} to it, a kill in the middle, a group's offsets")


main()
