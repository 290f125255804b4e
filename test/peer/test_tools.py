#!/usr/bin/env python3
"""Apache Kafka's own command line tools, 4.3: each does its work on the broker and prints what it prints on Apache Kafka.

A run of a tool is a row: what it is called with, and patterns that its output must show; they were taken from the same rows on an
Apache Kafka 4.3.1. A row that names an API which the broker does not announce must say so in the tool's own words instead, so a row
becomes strict the day its API is there; with "-" before the API it is left out till then. PEER_TOOLS_LIBS names the folder of the jars.
"""
import json
import os
import re
import tempfile

from harness import Broker, passed
from jvm import Tools, apis_of, libs_of

KAFKA = "org.apache.kafka.tools."
TOPICS, GROUPS = KAFKA + "TopicCommand", KAFKA + "consumer.group.ConsumerGroupCommand"
CONFIGS, TRANSACTIONS = "kafka.admin.ConfigCommand", KAFKA + "TransactionsCommand"
RECORDS = 100
LINES = "".join(f"k{n % 5}:v{n}\n" for n in range(RECORDS))
SHARE_GROUPS = KAFKA + "consumer.group.ShareGroupCommand"
ACLS = KAFKA + "AclCommand"
AUTHORIZER = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS")


def rows(directory, files):
    """(API that is needed or None, tool, arguments, standard input, patterns). "@" stands for --bootstrap-server and the address."""
    log = os.path.join(directory, "data", "log")
    return [
        (None, TOPICS, "@ --create --topic t1 --partitions 3 --config cleanup.policy=delete", None, ["^Created topic t1"]),
        (None, TOPICS, "@ --list", None, ["^t1$"]),
        (None, TOPICS, "@ --describe --topic t1", None, ["PartitionCount: 3", "ReplicationFactor: 1", "cleanup.policy=delete",
                                                         "Partition: 2\tLeader: 1\tReplicas: 1\tIsr: 1"]),
        (None, TOPICS, "@ --alter --topic t1 --partitions 4", None, []),
        (None, TOPICS, "@ --describe --topic t1", None, ["PartitionCount: 4"]),
        (None, KAFKA + "ConsoleProducer", "@ --topic t1 --reader-property parse.key=true --reader-property key.separator=:", LINES, []),
        (None, "restart", "", None, []),
        (None, KAFKA + "GetOffsetShell", "@ --topic t1", None, ["^t1:0:40$", "^t1:1:60$", "^t1:2:0$", "^t1:3:0$"]),
        (None, KAFKA + "consumer.ConsoleConsumer", f"@ --topic t1 --from-beginning --max-messages {RECORDS} --group g1 "
         "--formatter-property print.key=true --timeout-ms 30000", None, ["^k0\tv0$", "^k4\tv99$", f"total of {RECORDS} messages"]),
        (None, GROUPS, "@ --list", None, ["^g1"]),
        (None, "restart", "", None, []),
        (None, GROUPS, "@ --describe --group g1", None, [r"^g1 +t1 +0 +40 +40 +0 ", r"^g1 +t1 +1 +60 +60 +0 "]),
        (None, GROUPS, "@ --describe --group g1 --state", None, [r"^g1 .* Empty +0"]),
        (None, GROUPS, "@ --describe --group g1 --members --verbose", None, ["has no active members"]),
        (None, GROUPS, "@ --reset-offsets --group g1 --topic t1 --to-offset 7 --execute", None, [r"^g1 +t1 +0 +7", r"^g1 +t1 +3 +0"]),
        (None, GROUPS, "@ --describe --group g1 --offsets", None, [r"^g1 +t1 +1 +7 +60 +53 "]),
        ("OffsetDelete", GROUPS, "@ --delete-offsets --group g1 --topic t1", None, [r"^t1 +3 +Successful"]),
        (None, GROUPS, "@ --delete --group g1", None, [r"\('g1'\) was successful"]),
        (None, KAFKA + "GroupsCommand", "@ --list", None, ["GROUP +TYPE +PROTOCOL"]),
        (None, CONFIGS, "@ --describe --entity-type topics --entity-name t1 --all", None,
         ["cleanup.policy=delete sensitive=false", "retention.ms=604800000 ", "min.insync.replicas=1 "]),
        ("IncrementalAlterConfigs", CONFIGS, "@ --alter --entity-type topics --entity-name t1 --add-config retention.ms=123456", None,
         ["Completed updating config for topic t1"]),
        ("-IncrementalAlterConfigs", CONFIGS, "@ --describe --entity-type topics --entity-name t1", None, ["retention.ms=123456 "]),
        ("IncrementalAlterConfigs", CONFIGS, "@ --alter --entity-type topics --entity-name t1 --delete-config retention.ms", None,
         ["Completed updating config for topic t1"]),
        (None, CONFIGS, "@ --describe --entity-type brokers --entity-name 1 --all", None, ["^All configs for broker 1 are", "log.dirs="]),
        ("DescribeClientQuotas", CONFIGS, "@ --describe --entity-type users", None, []),
        ("AlterClientQuotas", CONFIGS, "@ --alter --entity-type clients --entity-name c --add-config producer_byte_rate=1000000", None,
         ["Completed updating config for client c"]),
        ("AlterClientQuotas", CONFIGS, "@ --describe --entity-type clients --entity-name c", None, [r"producer_byte_rate=1000000(\.0)?"]),
        ("ListConfigResources", KAFKA + "ClientMetricsCommand", "@ --list", None, []),
        ("DeleteRecords", KAFKA + "DeleteRecordsCommand", f"@ --offset-json-file {files['delete']}", None, ["t1-0\tlow_watermark: 3"]),
        ("-DeleteRecords", KAFKA + "GetOffsetShell", "@ --topic-partitions t1:0 --time earliest", None, ["^t1:0:3$"]),
        ("CreateAcls", ACLS, "@ --add --allow-principal User:a --consumer --topic t --group g --resource-pattern-type prefixed", None,
         ["resourceType=TOPIC, name=t, patternType=PREFIXED", "principal=User:a, host=.*, operation=READ, permissionType=ALLOW"]),
        ("CreateAcls", ACLS, "@ --add --deny-principal User:a --deny-host 10.0.0.1 --operation Write --topic t1", None, []),
        ("DescribeAcls", ACLS, "@ --list --topic t1 --resource-pattern-type match", None,
         ["^Current ACLs .*name=t, patternType=PREFIXED", "host=10.0.0.1, operation=WRITE, permissionType=DENY"]),
        ("DeleteAcls", ACLS, "@ --remove --force --topic t1", None, []),
        ("DescribeAcls", ACLS, "@ --list --principal User:a", None, ["name=g, patternType=PREFIXED", r"\A(?![\s\S]*DENY)"]),
        ("AlterUserScramCredentials", CONFIGS, "@ --alter --entity-type users --entity-name zoe --add-config "
         "SCRAM-SHA-256=[iterations=8192,password=zoe-Wort]", None, ["Completed updating config for user zoe"]),
        ("DescribeUserScramCredentials", CONFIGS, "@ --describe --entity-type users --entity-name zoe", None,
         ["user-principal 'zoe' are SCRAM-SHA-256=iterations=8192"]),
        ("AlterClientQuotas", CONFIGS, "@ --alter --entity-type ips --entity-name 127.0.0.9 --add-config connection_creation_rate=100", None, []),
        ("AlterClientQuotas", CONFIGS, "@ --describe --entity-type ips", None, [r"'127.0.0.9' are connection_creation_rate=100"]),
        (None, CONFIGS, "@ --alter --entity-type brokers --entity-name 1 --add-config message.max.bytes=2000000", None, []),
        (None, CONFIGS, "@ --alter --entity-type brokers --entity-default --add-config log.retention.ms=86400000", None, []),
        (None, CONFIGS, "@ --describe --entity-type brokers --entity-name 1", None, ["message.max.bytes=2000000 .*DYNAMIC_BROKER_CONFIG"]),
        (None, CONFIGS, "@ --describe --entity-type brokers --entity-default", None, ["log.retention.ms=86400000 "]),
        (None, CONFIGS, "@ --describe --entity-type topics --entity-name t1 --all", None,
         ["retention.ms=86400000 .*DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=86400000"]),
        ("ListTransactions", TRANSACTIONS, "@ list", None, ["^TransactionalId\tCoordinator"]),
        ("DescribeProducers", TRANSACTIONS, "@ describe-producers --topic t1 --partition 0", None,
         [r"^\d+ +\t0 +\t(-1|0) +\t39 +\t\d+ *\tNone"]),
        ("DescribeProducers", TRANSACTIONS, "@ find-hanging --broker-id 1", None, ["^Topic\tPartition\tProducerId"]),
        (None, KAFKA + "ClusterTool", "cluster-id @", None, [r"^Cluster ID: \S{22}$"]),
        (None, KAFKA + "ClusterTool", "list-endpoints @", None, [r"^1 +127.0.0.1 +\d+ +null +unfenced +broker"]),
        (None, KAFKA + "FeatureCommand", "@ describe", None, []),
        ("DescribeQuorum", KAFKA + "MetadataQuorumCommand", "@ describe --status", None, [r"^LeaderId: +1$", r"^CurrentVoters: +\[\{\"id\": 1"]),
        ("DescribeQuorum", KAFKA + "MetadataQuorumCommand", "@ describe --replication", None, [r"^1 +\t.*Leader"]),
        ("DescribeLogDirs", KAFKA + "LogDirsCommand", "@ --describe --topic-list t1", None,
         ["Received log directory information from brokers 1", r'"partition":"t1-1","size":[1-9]\d*,"offsetLag":0,"isFuture":false']),
        ("ElectLeaders", KAFKA + "LeaderElectionCommand", "@ --election-type preferred --all-topic-partitions", None, []),
        ("ListPartitionReassignments", KAFKA + "reassign.ReassignPartitionsCommand", "@ --list", None, ["No partition reassignments found"]),
        (None, KAFKA + "ProducerPerformance", "@ --topic t1 --num-records 5000 --record-size 100 --throughput -1", None,
         ["^5000 records sent"]),
        (None, KAFKA + "ConsumerPerformance", "@ --topic t1 --num-records 5000 --timeout 30000 --group perf", None, [r", 5\d{3}, .*"]),
        (None, KAFKA + "VerifiableProducer", "@ --topic verified --max-messages 50 --acks -1", None,
         ['"startup_complete"']),
        (None, KAFKA + "VerifiableConsumer", "@ --topic verified --max-messages 50 --group-id verify --reset-policy earliest", None,
         ['"partitions_assigned"', '"name":"records_consumed"', '"offsets_committed".*"success":true', '"offset":50']),
        (None, KAFKA + "EndToEndLatency", "@ --topic t1 --num-records 50 --producer-acks all --record-size 50", None, ["^Avg latency"]),
        ("EndTxn", KAFKA + "TransactionalMessageCopier", "--broker-list ADDRESS --input-topic t1 --output-topic t2 --input-partition 0 "
         "--transactional-id x --max-messages 50 --consumer-group cg --transaction-size 10", None,
         ['"stage":"ShutdownComplete".*"totalProcessed":50']),
        ("DescribeTransactions", TRANSACTIONS, "@ describe --transactional-id x", None, [r"^1 +\tx +\t\d+ +\t\d+ +\tCompleteCommit"]),
        ("DescribeTransactions", TRANSACTIONS, "@ describe --transactional-id nobody", None, ["the ID could not be found"]),
        ("EndTxn", TRANSACTIONS, "@ forceTerminateTransaction --transactionalId x", None, []),
        (None, KAFKA + "StreamsResetter", "@ --application-id app --input-topics t1 --dry-run", None,
         [r"^Topic: t1 Partition: 1 Offset: 0$"]),
        ("ShareFetch", CONFIGS, "@ --alter --entity-type groups --entity-name sg --add-config share.auto.offset.reset=earliest", None,
         ["Completed updating config for group sg"]),
        ("-ShareFetch", CONFIGS, "@ --describe --entity-type groups --entity-name sg --all", None,
         ["share.auto.offset.reset=earliest", "share.delivery.count.limit=5 ", "share.isolation.level=read_uncommitted",
          "share.partition.max.record.locks=2000 ", "share.record.lock.duration.ms=30000 ", "share.renew.acknowledge.enable=true",
          "share.session.timeout.ms=45000 ", "share.heartbeat.interval.ms=5000 "]),
        ("-ShareFetch", KAFKA + "consumer.ConsoleShareConsumer", "@ --topic verified --group sg --max-messages 50 --timeout-ms 30000",
         None, ["^0$", "^49$", "total of 50 messages"]),
        (None, "restart", "", None, []),
        ("ShareFetch", SHARE_GROUPS, "@ --list", None, ["^sg$"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --describe --group sg", None, [r"^sg +verified +0 +\d+ +0 *$"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --describe --group sg --state", None, [r"^sg .* Empty +0 *$"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --describe --group sg --members --verbose", None, ["has no active members"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --reset-offsets --group sg --topic verified --to-earliest --execute", None,
         [r"^sg +verified +0 +0 *$"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --describe --group sg --offsets --verbose", None, [r"^sg +verified +\d +0 +0 +[1-9]\d* *$"]),
        ("-ShareFetch", KAFKA + "VerifiableShareConsumer", "@ --topic verified --group-id sg --max-messages 50 "
         "--acknowledgement-mode sync", None, ['"name":"records_consumed"', '"offsets_acknowledged".*"success":true']),
        ("-ShareFetch", SHARE_GROUPS, "@ --delete-offsets --group sg --topic verified", None, [r"^verified +Successful"]),
        ("-ShareFetch", SHARE_GROUPS, "@ --delete --group sg", None, [r"\('sg'\) was successful"]),
        ("-ShareFetch", KAFKA + "DumpLogSegments",
         f"--share-group-state-decoder --files {log}/__share_group_state-0/00000000000000000000.log", None,
         ['"type":"0".*"groupId":"sg"', '"type":"1".*"groupId":"sg"', '"startOffset":']),
        (None, KAFKA + "streams.StreamsGroupCommand", "@ --list", None, []),
        (None, KAFKA + "DumpLogSegments", f"--print-data-log --files {log}/t1-1/00000000000000000000.log", None,
         ["^baseOffset: 0 lastOffset: 59 count: 60 ", r"^\| offset: 0 .* key: k0 payload: v0$", r"^\| offset: 59 .* key: k2 payload: v97$"]),
        (None, KAFKA + "DumpLogSegments", f"--offsets-decoder --files {log}/__consumer_offsets-0/00000000000000000000.log", None,
         ['"group":"g1"', '"topic":"t1","partition":1.*"offset":60']),
        ("EndTxn", KAFKA + "DumpLogSegments", f"--transaction-log-decoder --files {log}/__transaction_state-0/00000000000000000000.log", None,
         ['"transactionalId":"x"', '"transactionStatus":4']),
        (None, TOPICS, "@ --create --topic indexed --partitions 1", None, ["Created topic indexed"]),
        (None, KAFKA + "ProducerPerformance", "@ --topic indexed --num-records 2000 --record-size 100 --throughput -1", None,
         ["^2000 records sent"]),  # so much that a clean stop saves the indexes
        (None, "stop", "", None, []),
        (None, KAFKA + "DumpLogSegments", f"--index-sanity-check --files {log}/indexed-0/00000000000000000000.index", None, ["index passed sanity check"]),
        (None, KAFKA + "DumpLogSegments", f"--index-sanity-check --files {log}/indexed-0/00000000000000000000.timeindex", None,
         ["timeindex passed sanity check"]),
        (None, "start", "", None, []),
        (None, TOPICS, "@ --delete --topic t1", None, []),
        (None, TOPICS, "@ --describe --topic t1", None, ["Topic 't1' does not exist"]),
    ]


def screaming(name):
    """OffsetDelete -> OFFSET_DELETE, as the Java client writes it."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()


def check(broker, tools, apis, row):
    """Runs a row; true when the broker serves what it needs."""
    api, tool, arguments, stdin, patterns = row
    served = api is None or api.strip("-") in apis
    if not served and api[0] == "-":
        return False
    words = arguments.replace("@", f"--bootstrap-server {broker.address}").replace("ADDRESS", broker.address).split()
    status, text = tools(tool, *words, stdin=stdin)
    if not served:
        patterns = [f"not support {screaming(api)}|{screaming(api)} API is not supported|UnsupportedVersionException|"
                    "Could not find a coordinator with type TRANSACTION"]
    for pattern in patterns:
        if not re.search(pattern, text, re.MULTILINE):
            broker.fail(f"{tool} {arguments}: status {status}, no '{pattern}' in:\n{text}")
    refused = re.search("UnsupportedVersionException|does not support", text)
    if served and refused:
        broker.fail(f"{tool} {arguments}: {text}")
    return served


def check_no_authorizer(tools):
    with Broker() as broker:
        for words in ("--list", "--add --allow-principal User:a --operation Read --topic t1"):
            _, text = tools(ACLS, "--bootstrap-server", broker.address, *words.split())
            if "SecurityDisabledException" not in text:
                broker.fail(f"kafka-acls {words} without an authorizer: {text}")


def main():
    missing, runs = set(), 0
    with Broker(*AUTHORIZER) as broker, Tools(libs_of()) as tools, tempfile.TemporaryDirectory() as temporary:
        delete = os.path.join(temporary, "delete.json")
        with open(delete, "w", encoding="utf-8") as file:
            json.dump({"partitions": [{"topic": "t1", "partition": 0, "offset": 3}], "version": 1}, file)
        apis = apis_of(tools, broker.address)
        for row in rows(broker.directory, {"delete": delete}):
            if row[1] in ("restart", "stop", "start"):
                {"restart": broker.restart, "stop": broker.stop, "start": broker.start}[row[1]]()
                continue
            runs += 1
            if not check(broker, tools, apis, row):
                missing.add(row[0].strip("-"))
        check_no_authorizer(tools)
    passed("tools", f"{runs} runs of Apache Kafka's command line tools; not served: {', '.join(sorted(missing)) or 'none'}")


main()
