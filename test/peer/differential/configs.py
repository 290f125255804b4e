"""Configs: described, altered, listed."""
TOPIC, BROKER, LOGGER, CLIENTS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)


def resource(kind, name, keys=None):
    return dict(ResourceType=kind, ResourceName=name, ConfigurationKeys=keys)


def case_topic(s):
    s.topic("cfg-a", retention_ms=5000, cleanup_policy="compact")
    for version in range(1, 5):
        more = {} if version < 3 else dict(IncludeDocumentation=True)
        for synonyms in (False, True):
            s.call("DescribeConfigs", version, Resources=[resource(TOPIC, "cfg-a")], IncludeSynonyms=synonyms, **more)


def case_group(s):
    for synonyms in (False, True):
        s.call("DescribeConfigs", 4, Resources=[resource(GROUP, "cfg-group")], IncludeSynonyms=synonyms, IncludeDocumentation=synonyms)


def case_broker(s):
    for name in ("1", ""):
        for synonyms in (False, True):
            s.call("DescribeConfigs", 4, Resources=[resource(BROKER, name)], IncludeSynonyms=synonyms, IncludeDocumentation=synonyms)


BAD = [
    [resource(TOPIC, "cfg-none")], [resource(TOPIC, "")], [resource(TOPIC, "a b")], [resource(TOPIC, "x" * 250)], [resource(BROKER, "2")],
    [resource(BROKER, "x")], [resource(BROKER, "-1")], [resource(LOGGER, "2")], [resource(LOGGER, "")], [resource(LOGGER, "x")],
    [resource(CLIENTS, "")], [resource(CLIENTS, "some")], [resource(GROUP, "")], [resource(0, "a")], [resource(1, "a")], [resource(3, "a")],
    [resource(-1, "a")], [resource(64, "a")], [resource(TOPIC, "cfg-b", [])], [resource(TOPIC, "cfg-b", ["retention.ms", "nonsense", ""])],
    [resource(TOPIC, "cfg-b", ["retention.ms", "retention.ms"])], [resource(BROKER, "1", ["num.io.threads", "nonsense", "log.retention.ms"])],
    [resource(BROKER, "", ["log.retention.ms"])], [resource(TOPIC, "cfg-b", ["retention.ms"])] * 2, [],
    [resource(TOPIC, "cfg-none"), resource(TOPIC, "cfg-b", ["retention.ms"])], [resource(LOGGER, "1", ["root"])], [resource(LOGGER, "1", ["nonsense"])],
    [resource(GROUP, "cfg-group", ["share.auto.offset.reset"])], [resource(TOPIC, "__consumer_offsets")], [resource(TOPIC, "__cluster_metadata")],
    [resource(TOPIC, "__transaction_state")], [resource(TOPIC, "__share_group_state")],
]


def case_bad(s):
    s.topic("cfg-b")
    for rows in BAD:
        for version in (1, 4):
            s.call("DescribeConfigs", version, Resources=rows, IncludeSynonyms=True)


def change(kind, name, *configs):
    return dict(ResourceType=kind, ResourceName=name, Configs=[dict(zip(("Name", "ConfigOperation", "Value"), row)) for row in configs])


CHANGES = [
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "7000"))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, None))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, ""))],
    [change(TOPIC, "cfg-c", ("retention.ms", DELETE, None))],
    [change(TOPIC, "cfg-c", ("retention.ms", DELETE, "7"))],
    [change(TOPIC, "cfg-c", ("retention.ms", APPEND, "7"))],
    [change(TOPIC, "cfg-c", ("retention.ms", SUBTRACT, "7"))],
    [change(TOPIC, "cfg-c", ("retention.ms", 4, "7"))],
    [change(TOPIC, "cfg-c", ("retention.ms", -1, "7"))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "1"), ("retention.ms", DELETE, None))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "x"), ("segment.ms", SET, "1000"))],
    [change(TOPIC, "cfg-c", ("nonsense", SET, "1"))],
    [change(TOPIC, "cfg-c", ("nonsense", DELETE, None))],
    [change(TOPIC, "cfg-c", ("", SET, "1"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", APPEND, "compact"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", APPEND, "compact"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", SUBTRACT, "delete"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", SUBTRACT, "delete"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", APPEND, "nonsense"))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", APPEND, None))],
    [change(TOPIC, "cfg-c", ("cleanup.policy", SUBTRACT, "compact"))],
    [change(TOPIC, "cfg-c")],
    [change(TOPIC, "cfg-none", ("retention.ms", SET, "1"))],
    [change(TOPIC, "", ("retention.ms", SET, "1"))],
    [change(TOPIC, "a b", ("retention.ms", SET, "1"))],
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "1"))] * 2,
    [change(TOPIC, "cfg-c", ("retention.ms", SET, "9000")), change(TOPIC, "cfg-none", ("retention.ms", SET, "1"))],
    [change(TOPIC, "__consumer_offsets", ("retention.ms", SET, "604800000"))],
    [change(TOPIC, "__cluster_metadata", ("retention.ms", SET, "604800000"))],
    [change(TOPIC, "cfg-c", ("max.message.bytes", SET, "2000000"))],
    [change(TOPIC, "cfg-c", ("min.insync.replicas", SET, "1"))],
    [change(TOPIC, "cfg-c", ("leader.replication.throttled.replicas", SET, "0:1"))],
    [change(TOPIC, "cfg-c", ("leader.replication.throttled.replicas", DELETE, ""))],
    [change(BROKER, "1", ("log.retention.ms", SET, "7000000"))],
    [change(BROKER, "1", ("log.retention.ms", DELETE, None))],
    [change(BROKER, "", ("log.retention.ms", SET, "7000000"))],
    [change(BROKER, "", ("log.retention.ms", DELETE, None))],
    [change(BROKER, "2", ("log.retention.ms", SET, "7000000"))],
    [change(BROKER, "x", ("log.retention.ms", SET, "7000000"))],
    [change(BROKER, "1", ("node.id", SET, "2"))],
    [change(BROKER, "", ("node.id", SET, "2"))],
    [change(BROKER, "1", ("broker.id", SET, "2"))],
    [change(BROKER, "1", ("log.dirs", SET, "/tmp"))],
    [change(BROKER, "1", ("num.partitions", SET, "7"))],
    [change(BROKER, "1", ("nonsense", SET, "7"))],
    [change(BROKER, "1", ("nonsense", DELETE, None))],
    [change(BROKER, "1", ("nonsense.of.mine", SET, "a"))],
    [change(BROKER, "1", ("nonsense.of.mine", DELETE, None))],
    [change(BROKER, "1", ("log.retention.ms", SET, "x"))],
    [change(BROKER, "", ("log.retention.ms", SET, "x"))],
    [change(BROKER, "1", ("log.retention.hours", SET, "7"))],
    [change(BROKER, "1", ("message.max.bytes", SET, "-1"))],
    [change(BROKER, "1", ("log.cleanup.policy", APPEND, "compact"))],
    [change(BROKER, "1", ("log.cleanup.policy", DELETE, ""))],
    [change(BROKER, "1", ("num.io.threads", SET, "9"))],
    [change(BROKER, "1", ("num.io.threads", SET, "100"))],
    [change(BROKER, "1", ("num.io.threads", DELETE, None))],
    [change(BROKER, "", ("num.io.threads", SET, "9"))],
    [change(BROKER, "", ("num.io.threads", DELETE, None))],
    [change(BROKER, "", ("max.connections", SET, "1000"))],
    [change(BROKER, "", ("max.connections", DELETE, None))],
    [change(BROKER, "", ("max.connections.per.ip", SET, "1000"))],
    [change(BROKER, "", ("max.connections.per.ip", DELETE, None))],
    [change(BROKER, "", ("max.connections.per.ip.overrides", SET, "127.0.0.1:1000"))],
    [change(BROKER, "", ("max.connections.per.ip.overrides", SET, "127.0.0.1:x"))],
    [change(BROKER, "", ("max.connections.per.ip.overrides", DELETE, None))],
    [change(BROKER, "1", ("listener.name.plaintext.max.connections", SET, "1000"))],
    [change(BROKER, "1", ("listener.name.plaintext.max.connections", DELETE, None))],
    [change(BROKER, "", ("listener.name.plaintext.max.connections", SET, "1000"))],
    [change(BROKER, "", ("listener.name.plaintext.max.connections", DELETE, None))],
    [change(BROKER, "1", ("follower.replication.throttled.rate", SET, "1000"))],
    [change(BROKER, "1", ("follower.replication.throttled.rate", DELETE, None))],
    [change(BROKER, "", ("background.threads", SET, "11"))],
    [change(BROKER, "", ("background.threads", DELETE, None))],
    [change(BROKER, "", ("log.cleaner.threads", SET, "2"))],
    [change(BROKER, "", ("log.cleaner.threads", DELETE, None))],
    [change(BROKER, "1", ("sasl.jaas.config", SET, "x"))],
    [change(BROKER, "1", ("ssl.keystore.location", SET, "/x"))],
    [change(BROKER, "1", ("advertised.listeners", SET, "PLAINTEXT://127.0.0.1:1"))],
    [change(BROKER, "1", ("listeners", SET, "PLAINTEXT://127.0.0.1:1"))],
    [change(BROKER, "1", ("compression.type", SET, "zstd"))],
    [change(BROKER, "1", ("compression.type", DELETE, None))],
    [change(BROKER, "1", ("auto.create.topics.enable", SET, "false"))],
    [change(BROKER, "1", ("group.consumer.assignors", SET, "x"))],
    [change(BROKER, "", ("transaction.partition.verification.enable", SET, "false"))],
    [change(BROKER, "", ("transaction.partition.verification.enable", DELETE, ""))],
    [change(BROKER, "", ("producer.id.expiration.ms", SET, "90000000"))],
    [change(BROKER, "", ("producer.id.expiration.ms", DELETE, ""))],
    [change(BROKER, "1", ("group.streams.assignment.interval.ms", SET, "2000"))],
    [change(BROKER, "1", ("group.streams.assignment.interval.ms", SET, "15001"))],
    [change(BROKER, "1", ("group.streams.assignment.interval.ms", SET, "-1"))],
    [change(BROKER, "1", ("group.streams.assignment.interval.ms", DELETE, None))],
    *[[change(BROKER, "1", (f"group.{kind}.assignment.interval.ms", *step))] for kind in ("consumer", "share") for step in
      ((SET, "15000"), (SET, "15001"), (SET, "-1"), (SET, "x"), (APPEND, "1"), (DELETE, None))],
    [change(BROKER, "1", ("group.consumer.max.assignment.interval.ms", SET, "2000"))],
    [change(BROKER, "", ("group.streams.initial.rebalance.delay.ms", SET, "2000"))],
    [change(LOGGER, "1", ("root", SET, "WARN"))],
    [change(LOGGER, "1", ("root", SET, "nonsense"))],
    [change(LOGGER, "1", ("root", SET, "info"))],
    [change(LOGGER, "1", ("root", DELETE, None))],
    [change(LOGGER, "1", ("root", APPEND, "INFO"))],
    [change(LOGGER, "1", ("nonsense", SET, "INFO"))],
    [change(LOGGER, "2", ("root", SET, "INFO"))],
    [change(LOGGER, "", ("root", SET, "INFO"))],
    [change(CLIENTS, "some", ("interval.ms", SET, "1000"))],
    [change(CLIENTS, "some", ("interval.ms", SET, "1"))],
    [change(CLIENTS, "some", ("nonsense", SET, "1"))],
    [change(CLIENTS, "", ("interval.ms", SET, "1000"))],
    [change(CLIENTS, "some", ("interval.ms", DELETE, None))],
    [change(GROUP, "cfg-g", ("consumer.session.timeout.ms", SET, "50000"))],
    [change(GROUP, "cfg-g", ("consumer.session.timeout.ms", SET, "1"))],
    [change(GROUP, "cfg-g", ("consumer.session.timeout.ms", SET, "x"))],
    [change(GROUP, "cfg-g", ("consumer.heartbeat.interval.ms", SET, "6000"))],
    [change(GROUP, "cfg-g", ("consumer.heartbeat.interval.ms", SET, "60000"))],
    [change(GROUP, "cfg-g", ("nonsense", SET, "1"))],
    [change(GROUP, "cfg-g", ("share.auto.offset.reset", SET, "earliest"))],
    [change(GROUP, "cfg-g", ("share.auto.offset.reset", SET, "nonsense"))],
    [change(GROUP, "cfg-g", ("share.auto.offset.reset", SET, "by_duration:PT1H"))],
    [change(GROUP, "cfg-g", ("share.isolation.level", SET, "read_committed"))],
    [change(GROUP, "cfg-g", ("share.isolation.level", SET, "x"))],
    [change(GROUP, "cfg-g", ("share.record.lock.duration.ms", SET, "1"))],
    [change(GROUP, "cfg-g", ("share.record.lock.duration.ms", SET, "20000"))],
    [change(GROUP, "cfg-g", ("share.heartbeat.interval.ms", SET, "6000"))],
    [change(GROUP, "cfg-g", ("share.session.timeout.ms", SET, "50000"))],
    [change(GROUP, "cfg-g", ("streams.num.standby.replicas", SET, "1"))],
    [change(GROUP, "cfg-g", ("streams.num.standby.replicas", SET, "3"))],
    [change(GROUP, "cfg-g", ("share.delivery.count.limit", SET, "1"))],
    [change(GROUP, "cfg-g", ("share.delivery.count.limit", SET, "11"))],
    [change(GROUP, "cfg-g", ("share.partition.max.record.locks", SET, "99"))],
    [change(GROUP, "cfg-g", ("share.partition.max.record.locks", SET, "4001"))],
    *[[change(GROUP, "cfg-g", (f"{kind}.assignment.interval.ms", SET, value))] for kind in ("consumer", "share", "streams")
      for value in ("15000", "15001", "0", "-1", "x")],
    *[[change(GROUP, "cfg-g", (f"{kind}.{name}", SET, str(value)))] for kind in ("consumer", "share", "streams")
      for name, values in (("session.timeout.ms", (44999, 45000, 60000, 60001, 0)), ("heartbeat.interval.ms", (4999, 5000, 15000, 15001, 0)))
      for value in values],
    [change(GROUP, "", ("consumer.session.timeout.ms", SET, "50000"))],
    [change(0, "x", ("a", SET, "1"))],
    [change(1, "x", ("a", SET, "1"))],
    [change(64, "x", ("a", SET, "1"))],
    [change(-1, "x", ("a", SET, "1"))],
    [],
]


def case_alter(s):
    s.topic("cfg-c")
    for rows in CHANGES:
        for version, only in ((0, True), (1, False)):
            s.call("IncrementalAlterConfigs", version, Resources=rows, ValidateOnly=only)
        if len(rows) == 1 and rows[0]["Configs"] and rows[0]["ResourceType"] in (TOPIC, BROKER, GROUP, LOGGER, CLIENTS):
            keys = sorted({row["Name"] for row in rows[0]["Configs"]})
            s.call("DescribeConfigs", 4, Resources=[resource(rows[0]["ResourceType"], rows[0]["ResourceName"], keys)], IncludeSynonyms=True)
    s.call("DescribeConfigs", 4, Resources=[resource(TOPIC, "cfg-c")], IncludeSynonyms=True)
    for version in (0, 1):
        s.call("ListConfigResources", version)
        for kinds in ([TOPIC], [BROKER], [LOGGER], [CLIENTS], [GROUP], [0], [1], [64], [GROUP, GROUP], [-1], [BROKER, LOGGER]):
            if version:
                s.call("ListConfigResources", version, ResourceTypes=kinds)


def case_alter_old(s):
    """AlterConfigs: what is not named goes back to its default."""
    s.topic("cfg-d")
    for version in range(3):
        for rows in CHANGES:
            if len(rows) == 1 and rows[0]["ResourceType"] in (BROKER, LOGGER):
                continue
            plain = [dict(row, Configs=[{key: one[key] for key in ("Name", "Value")} for one in row["Configs"]],
                          ResourceName=row["ResourceName"].replace("cfg-c", "cfg-d")) for row in rows]
            s.call("AlterConfigs", version, Resources=plain, ValidateOnly=version == 1)
    s.call("AlterConfigs", 2, Resources=[change(TOPIC, "cfg-d")])
    s.call("DescribeConfigs", 4, Resources=[resource(TOPIC, "cfg-d")])
    s.call("AlterConfigs", 2, Resources=[dict(ResourceType=BROKER, ResourceName="1", Configs=[dict(Name="log.retention.ms", Value="80000000")])])
    s.call("DescribeConfigs", 4, Resources=[resource(BROKER, "1", ["log.retention.ms"])], IncludeSynonyms=True)
    s.call("AlterConfigs", 2, Resources=[dict(ResourceType=BROKER, ResourceName="1", Configs=[])])
    s.call("DescribeConfigs", 4, Resources=[resource(BROKER, "1", ["log.retention.ms"])], IncludeSynonyms=True)
    s.call("AlterConfigs", 2, Resources=[dict(ResourceType=LOGGER, ResourceName="1", Configs=[dict(Name="root", Value="INFO")])])
