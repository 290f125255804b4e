#!/usr/bin/env python3
"""Walks the table of rights (`rialto doc rights`): for each row a user who has every right but this one sends the request and must get
the row's error, or an answer without what he may not see; with all rights neither happens. A row without a case fails the test,
so a new API cannot come without one. Then: rules over a restart, hosts, everybody, super users, no rule at all, the command line.
"""
import itertools
import json
import os
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

from harness import Broker, passed, patient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import api, call  # noqa: E402
from rawkafka import Connection, batch  # noqa: E402

RESOURCES = {"Topic": 2, "Group": 3, "Cluster": 4, "TransactionalId": 5, "DelegationToken": 6, "User": 7}
OPERATIONS = {name: code for code, name in enumerate("- Any All Read Write Create Delete Alter Describe ClusterAction DescribeConfigs AlterConfigs "
                                                     "IdempotentWrite CreateTokens DescribeTokens TwoPhaseCommit".split())}
LITERAL, PREFIXED, DENY, ALLOW = 3, 4, 2, 3
USERS = {"root": "root-Wort", "user": "user-Wort", "other": "other-Wort"}


class Authorized(Broker):
    def __init__(self, *options):
        super().__init__()
        users = ";".join(f"SCRAM-SHA-256=[name={name},password={word}]" for name, word in USERS.items())
        self.options += [f"kafka.listen=SASL_PLAINTEXT://127.0.0.1:{self.port}", "sasl.enabled.mechanisms=PLAIN", f"sasl.bootstrap.users={users}",
                         "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:root",
                         "group.initial.rebalance.delay.ms=0", "delegation.token.secret.key=key", *options]

    def login(self, user):
        connection = Connection(self.port)
        assert call(connection, "SaslHandshake", 1, {"Mechanism": "PLAIN"})["ErrorCode"] == 0
        answer = call(connection, "SaslAuthenticate", 2, {"AuthBytes": f"\0{user}\0{USERS[user]}".encode()})
        assert answer["ErrorCode"] == 0, answer
        return connection


def rule(permission, principal, operation, resource, name, pattern=LITERAL, host="*"):
    return {"ResourceType": RESOURCES[resource], "ResourceName": name, "ResourcePatternType": pattern, "Principal": principal, "Host": host,
            "Operation": OPERATIONS[operation], "PermissionType": permission}


def put(root, *rules):
    results = call(root, "CreateAcls", 3, {"Creations": list(rules)})["Results"]
    assert [result["ErrorCode"] for result in results] == [0] * len(rules), results


def drop_all(root, **filters):
    one = {"ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1, "PrincipalFilter": None, "HostFilter": None, "Operation": 1,
           "PermissionType": 1, **filters}
    return call(root, "DeleteAcls", 3, {"Filters": [one]})["FilterResults"][0]["MatchingAcls"]


def codes(answer):
    """All error codes of an answer, wherever they are."""
    if isinstance(answer, list):
        return [code for each in answer for code in codes(each)]
    if not isinstance(answer, dict):
        return []
    own = [value for name, value in answer.items() if name.endswith("ErrorCode")]
    return own + [code for value in answer.values() for code in codes(value)]


# The cases ---------------------------------------------------------------------------------------------------------------


def scram(name):
    return {"Name": name, "Mechanism": 1, "Iterations": 4096, "Salt": b"salt", "SaltedPassword": b"x" * 32}


FILTER = {"ResourceTypeFilter": 2, "ResourceNameFilter": "none", "PatternTypeFilter": 3, "PrincipalFilter": None, "HostFilter": None, "Operation": 1,
          "PermissionType": 1}
PRODUCE = {"Acks": 1, "TimeoutMs": 5000, "TopicData": [{"Name": "t", "PartitionData": [{"Index": 0, "Records": batch()}]}]}
ONE = [{"Name": "t", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1, "CurrentLeaderEpoch": -1}]}]
JOIN = {"GroupId": "g", "SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 10000, "MemberId": "nobody", "ProtocolType": "consumer",
        "Protocols": [{"Name": "range", "Metadata": b""}]}
COMMIT = {"GroupId": "g2", "MemberId": "", "Topics": [
    {"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0, "CommittedLeaderEpoch": -1, "CommittedMetadata": ""}]}]}


def new_topic(name="made"):
    return {"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []}], "timeoutMs": 5000,
            "validateOnly": False}


TXN = {"TransactionalId": "x", "ProducerId": 1, "ProducerEpoch": 0}
ADD = {"V3AndBelowTransactionalId": "x", "V3AndBelowProducerId": 1, "V3AndBelowProducerEpoch": 0, "V3AndBelowTopics": [{"Name": "t", "Partitions": [0]}]}
MARKERS = {"Markers": [{"ProducerId": 5, "ProducerEpoch": 0, "TransactionResult": False, "CoordinatorEpoch": 0, "Topics": [
    {"Name": "t", "PartitionIndexes": [0]}]}]}
HEARTBEAT = {"GroupId": "g6", "MemberId": "member-of-g6", "MemberEpoch": 0, "RebalanceTimeoutMs": 10000, "SubscribedTopicNames": ["t"], "TopicPartitions": []}


SHARE = {"GroupId": "g7", "MemberId": "member-of-g7", "MemberEpoch": 0, "SubscribedTopicNames": ["t"]}


def share_fetch(state):
    """Begins a session with topic t."""
    ids = {topic["Name"]: topic["TopicId"] for topic in call(state["root"], "Metadata", 12, {"Topics": None})["Topics"]}
    state["t"] = ids["t"]
    return {"GroupId": "g7", "MemberId": "member-of-g7", "ShareSessionEpoch": 0, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1000, "MaxRecords": 10,
            "BatchSize": 10, "Topics": [{"TopicId": ids["t"], "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": []}]}],
            "ForgottenTopicsData": []}


def share_acknowledge(state):
    call(state["user"], "ShareFetch", 1, share_fetch(state))
    batches = [{"FirstOffset": 0, "LastOffset": 0, "AcknowledgeTypes": [1]}]
    return {"GroupId": "g7", "MemberId": "member-of-g7", "ShareSessionEpoch": 1,
            "Topics": [{"TopicId": state["t"], "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": batches}]}]}


def share_offsets(state):
    """Of a share group that nobody is in."""
    for epoch in (0, -1):
        made = call(state["root"], "ShareGroupHeartbeat", 1, SHARE | {"GroupId": "g8", "MemberEpoch": epoch})
        assert made["ErrorCode"] == 0, made
    return {"GroupId": "g8", "Topics": [{"TopicName": "t", "Partitions": [{"PartitionIndex": 0, "StartOffset": 0}]}]}


def share_topics(state):
    return {"GroupId": share_offsets(state)["GroupId"], "Topics": [{"TopicName": "t"}]}


SHARED_OFFSETS = {"Groups": [{"GroupId": "g7", "Topics": [{"TopicName": "t", "Partitions": [0]}]}]}


def application(name, *stores):
    """A streams group that reads topic t."""
    infos = [{"Name": store, "Partitions": 0, "ReplicationFactor": 1, "TopicConfigs": []} for store in stores]
    return {"GroupId": name, "MemberId": f"member-of-{name}", "MemberEpoch": 0, "EndpointInformationEpoch": -1, "RebalanceTimeoutMs": 10000,
            "ProcessId": "p", "ActiveTasks": [], "StandbyTasks": [], "WarmupTasks": [], "Topology": {"Epoch": 0, "Subtopologies": [
                {"SubtopologyId": "0", "SourceTopics": ["t"], "StateChangelogTopics": infos}]}}


def alter(kind, name):
    return {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": []}], "ValidateOnly": True}


def producer_of(user, transactional_id):
    """InitProducerId, again while the transaction before is being ended."""
    until = time.monotonic() + 20
    while True:
        made = call(user, "InitProducerId", 4, {"TransactionalId": transactional_id, "TransactionTimeoutMs": 10000, "ProducerId": -1, "ProducerEpoch": -1})
        if made["ErrorCode"] != 51 or time.monotonic() > until:
            return made
        time.sleep(0.05)


def delete_topic(state):
    """One that is there."""
    name = f"gone{state['count']}"
    call(state["root"], "CreateTopics", 7, new_topic(name))
    return {"Topics": [{"Name": name, "TopicId": bytes(16)}], "TimeoutMs": 5000}


def txn_commit(state):
    """A transaction in which offsets may be committed."""
    made = producer_of(state["user"], "y")
    ids = {"TransactionalId": "y", "ProducerId": made["ProducerId"], "ProducerEpoch": made["ProducerEpoch"]}
    assert codes(made) == [0] == codes(call(state["user"], "AddOffsetsToTxn", 3, {**ids, "GroupId": "g3"})), made
    return COMMIT | ids | {"GroupId": "g3"}


def offset_delete(state):
    call(state["user"], "OffsetCommit", 8, COMMIT | {"GroupId": "g5"})
    return {"GroupId": "g5", "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0}]}]}


# (API, resource, operation): (version, request or what makes it, name of the resource, further rows that would serve instead)
CASES = {
    ("Produce", "Topic", "Write"): (9, PRODUCE, "t", []),
    ("Produce", "TransactionalId", "Write"): (9, PRODUCE | {"TransactionalId": "x", "TopicData": [
        {"Name": "t", "PartitionData": [{"Index": 0, "Records": batch(attributes=16, pid=1, epoch=0, seq=0)}]}]}, "x", []),
    ("Fetch", "Topic", "Read"): (12, {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1000, "SessionEpoch": -1, "Topics": [
        {"Topic": "t", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]}, "t", []),
    ("ListOffsets", "Topic", "Describe"): (7, {"ReplicaId": -1, "Topics": ONE}, "t", []),
    ("Metadata", "Topic", "Describe"): (12, {"Topics": [{"Name": "t"}]}, "t", []),
    ("Metadata", "Topic", "Create"): (12, lambda state: {"Topics": [{"Name": f"fresh{state['count']}"}]}, "*", [("Cluster", "Create")]),
    ("Metadata", "Cluster", "Create"): (12, lambda state: {"Topics": [{"Name": f"fresh{state['count']}"}]}, None, [("Topic", "Create")]),
    ("OffsetCommit", "Group", "Read"): (8, COMMIT, "g2", []),
    ("OffsetCommit", "Topic", "Read"): (8, COMMIT, "t", []),
    ("OffsetFetch", "Group", "Describe"): (8, {"Groups": [{"GroupId": "g2", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}]}, "g2", []),
    ("OffsetFetch", "Topic", "Describe"): (8, {"Groups": [{"GroupId": "g2", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}]}, "t", []),
    ("FindCoordinator", "Group", "Describe"): (4, {"KeyType": 0, "CoordinatorKeys": ["g"]}, "g", []),
    ("JoinGroup", "Group", "Read"): (9, JOIN, "g", []),
    ("SyncGroup", "Group", "Read"): (5, {"GroupId": "g", "MemberId": "m", "ProtocolType": "consumer", "ProtocolName": "range"}, "g", []),
    ("Heartbeat", "Group", "Read"): (4, {"GroupId": "g", "MemberId": "m"}, "g", []),
    ("LeaveGroup", "Group", "Read"): (5, {"GroupId": "g", "Members": [{"MemberId": "m", "GroupInstanceId": None}]}, "g", []),
    ("DescribeGroups", "Group", "Describe"): (5, {"Groups": ["g2"]}, "g2", []),
    ("CreateTopics", "Cluster", "Create"): (7, lambda state: new_topic(f"made{state['count']}"), None, [("Topic", "Create")]),
    ("CreateTopics", "Topic", "Create"): (7, lambda state: new_topic(f"made{state['count']}"), "*", [("Cluster", "Create")]),
    ("CreateTopics", "Topic", "DescribeConfigs"): (7, lambda state: new_topic(f"made{state['count']}"), "*", []),
    ("DeleteTopics", "Topic", "Delete"): (6, delete_topic, "*", [("Cluster", "Delete")]),
    ("DeleteTopics", "Cluster", "Delete"): (6, delete_topic, None, [("Topic", "Delete")]),
    ("InitProducerId", "TransactionalId", "Write"): (4, {"TransactionalId": "x", "TransactionTimeoutMs": 1000}, "x", []),
    ("InitProducerId", "Cluster", "IdempotentWrite"): (4, {"TransactionalId": None, "TransactionTimeoutMs": 1000}, None, [("Topic", "Write")]),
    ("InitProducerId", "Topic", "Write"): (4, {"TransactionalId": None, "TransactionTimeoutMs": 1000}, "*", [("Cluster", "IdempotentWrite")]),
    ("OffsetForLeaderEpoch", "Topic", "Describe"): (4, {"ReplicaId": -1, "Topics": [
        {"Topic": "t", "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]}]}, "t", [("Cluster", "ClusterAction")]),
    ("OffsetForLeaderEpoch", "Cluster", "ClusterAction"): (4, {"ReplicaId": -1, "Topics": [
        {"Topic": "t", "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]}]}, None, [("Topic", "Describe")]),
    ("DescribeAcls", "Cluster", "Describe"): (3, FILTER, None, []),
    ("CreateAcls", "Cluster", "Alter"): (3, lambda state: {"Creations": [rule(ALLOW, "User:x", "Read", "Topic", "none")]}, None, []),
    ("DeleteAcls", "Cluster", "Alter"): (3, {"Filters": [FILTER]}, None, []),
    ("DescribeConfigs", "Topic", "DescribeConfigs"): (4, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}]}, "t", []),
    ("DescribeConfigs", "Cluster", "DescribeConfigs"): (4, {"Resources": [{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": None}]}, None, []),
    ("CreatePartitions", "Topic", "Alter"): (3, {"Topics": [{"Name": "t", "Count": 4, "Assignments": None}], "TimeoutMs": 5000, "ValidateOnly": True}, "t", []),
    ("DeleteGroups", "Group", "Delete"): (2, {"GroupsNames": ["absent", "g2x"]}, "absent", []),
    ("FindCoordinator", "TransactionalId", "Describe"): (4, {"KeyType": 1, "CoordinatorKeys": ["x"]}, "x", []),
    ("AddPartitionsToTxn", "TransactionalId", "Write"): (3, ADD, "x", []),
    ("AddPartitionsToTxn", "Topic", "Write"): (3, ADD, "t", []),
    ("AddOffsetsToTxn", "TransactionalId", "Write"): (3, {**TXN, "GroupId": "g"}, "x", []),
    ("AddOffsetsToTxn", "Group", "Read"): (3, {**TXN, "GroupId": "g"}, "g", []),
    ("EndTxn", "TransactionalId", "Write"): (3, {**TXN, "Committed": True}, "x", []),
    ("WriteTxnMarkers", "Cluster", "ClusterAction"): (1, MARKERS, None, [("Cluster", "Alter")]),
    ("WriteTxnMarkers", "Cluster", "Alter"): (1, MARKERS, None, [("Cluster", "ClusterAction")]),
    ("TxnOffsetCommit", "TransactionalId", "Write"): (3, COMMIT | TXN | {"GroupId": "g3"}, "x", []),
    ("TxnOffsetCommit", "Group", "Read"): (3, COMMIT | TXN | {"GroupId": "g3"}, "g3", []),
    ("TxnOffsetCommit", "Topic", "Read"): (3, txn_commit, "t", []),
    ("OffsetDelete", "Group", "Delete"): (0, offset_delete, "g5", []),
    ("OffsetDelete", "Topic", "Read"): (0, offset_delete, "t", []),
    ("DescribeProducers", "Topic", "Read"): (0, {"Topics": [{"Name": "t", "PartitionIndexes": [0]}]}, "t", []),
    ("DescribeTransactions", "TransactionalId", "Describe"): (0, {"TransactionalIds": ["x"]}, "x", []),
    ("ConsumerGroupHeartbeat", "Group", "Read"): (1, HEARTBEAT, "g6", []),
    ("ConsumerGroupHeartbeat", "Topic", "Describe"): (1, HEARTBEAT, "t", []),
    ("ConsumerGroupDescribe", "Group", "Describe"): (0, {"GroupIds": ["g6"]}, "g6", []),
    ("ConsumerGroupDescribe", "Topic", "Describe"): (0, {"GroupIds": ["g6"]}, "t", []),
    ("FindCoordinator", "Cluster", "ClusterAction"): (6, {"KeyType": 2, "CoordinatorKeys": ["g:AAAAAAAAAAAAAAAAAAAAAQ:0"]}, None, []),
    ("ShareGroupHeartbeat", "Group", "Read"): (1, SHARE, "g7", []),
    ("ShareGroupHeartbeat", "Topic", "Describe"): (1, SHARE, "t", []),
    ("ShareGroupDescribe", "Group", "Describe"): (1, {"GroupIds": ["g7"]}, "g7", []),
    ("ShareGroupDescribe", "Topic", "Describe"): (1, {"GroupIds": ["g7"]}, "t", []),
    ("ShareFetch", "Group", "Read"): (1, share_fetch, "g7", []),
    ("ShareFetch", "Topic", "Read"): (1, share_fetch, "t", []),
    ("ShareAcknowledge", "Group", "Read"): (1, share_acknowledge, "g7", []),
    ("ShareAcknowledge", "Topic", "Read"): (1, share_acknowledge, "t", []),
    ("StreamsGroupHeartbeat", "Group", "Read"): (0, application("g9"), "g9", []),
    ("StreamsGroupHeartbeat", "Topic", "Describe"): (0, application("g9"), "t", []),
    ("StreamsGroupDescribe", "Group", "Describe"): (0, {"GroupIds": ["g9"]}, "g9", []),
    ("StreamsGroupDescribe", "Topic", "Describe"): (0, {"GroupIds": ["g9"]}, "t", []),
    ("DescribeShareGroupOffsets", "Group", "Describe"): (1, SHARED_OFFSETS, "g7", []),
    ("DescribeShareGroupOffsets", "Topic", "Describe"): (1, SHARED_OFFSETS, "t", []),
    ("AlterShareGroupOffsets", "Group", "Read"): (0, share_offsets, "g8", []),
    ("AlterShareGroupOffsets", "Topic", "Read"): (0, share_offsets, "t", []),
    ("DeleteShareGroupOffsets", "Group", "Delete"): (0, share_topics, "g8", []),
    ("DeleteShareGroupOffsets", "Topic", "Read"): (0, share_topics, "t", []),
    ("DescribeConfigs", "Group", "DescribeConfigs"): (4, {"Resources": [{"ResourceType": 32, "ResourceName": "g", "ConfigurationKeys": None}]}, "g", []),
    ("AlterConfigs", "Topic", "AlterConfigs"): (2, alter(2, "t"), "t", []),
    ("AlterConfigs", "Cluster", "AlterConfigs"): (2, alter(4, "1"), None, []),
    ("AlterConfigs", "Group", "AlterConfigs"): (2, alter(32, "g"), "g", []),
    ("IncrementalAlterConfigs", "Topic", "AlterConfigs"): (1, alter(2, "t"), "t", []),
    ("IncrementalAlterConfigs", "Cluster", "AlterConfigs"): (1, alter(4, "1"), None, []),
    ("IncrementalAlterConfigs", "Group", "AlterConfigs"): (1, alter(32, "g"), "g", []),
    ("AlterReplicaLogDirs", "Cluster", "Alter"): (2, {"Dirs": [{"Path": "/none", "Topics": [{"Name": "t", "Partitions": [0]}]}]}, None, []),
    ("DescribeLogDirs", "Cluster", "Describe"): (4, {"Topics": None}, None, []),
    ("ElectLeaders", "Cluster", "Alter"): (2, {"ElectionType": 0, "TopicPartitions": [{"Topic": "t", "Partitions": [0]}], "TimeoutMs": 1000}, None, []),
    ("AlterPartitionReassignments", "Cluster", "Alter"): (0, {"TimeoutMs": 1000, "Topics": [{"Name": "t", "Partitions": [
        {"PartitionIndex": 0, "Replicas": [1]}]}]}, None, []),
    ("ListPartitionReassignments", "Cluster", "Describe"): (0, {"TimeoutMs": 1000, "Topics": None}, None, []),
    ("DescribeClientQuotas", "Cluster", "DescribeConfigs"): (1, {"Components": [], "Strict": False}, None, []),
    ("AlterClientQuotas", "Cluster", "AlterConfigs"): (1, {"Entries": [{"Entity": [{"EntityType": "user", "EntityName": "z"}], "Ops": [
        {"Key": "producer_byte_rate", "Value": 1000.0, "Remove": False}]}], "ValidateOnly": True}, None, []),
    ("DescribeQuorum", "Cluster", "Describe"): (0, {"Topics": []}, None, []),
    ("UpdateFeatures", "Cluster", "Alter"): (1, {"timeoutMs": 1000, "FeatureUpdates": [], "ValidateOnly": True}, None, []),
    ("ListConfigResources", "Cluster", "DescribeConfigs"): (1, {"ResourceTypes": []}, None, []),
    ("DescribeTopicPartitions", "Topic", "Describe"): (0, {"Topics": [{"Name": "t"}], "ResponsePartitionLimit": 10, "Cursor": None}, "t", []),
    ("DeleteRecords", "Topic", "Delete"): (2, {"Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}], "TimeoutMs": 1000}, "t", []),
    ("CreateDelegationToken", "User", "CreateTokens"): (3, {"OwnerPrincipalType": "User", "OwnerPrincipalName": "other", "MaxLifetimeMs": -1}, "User:other", []),
    ("DescribeUserScramCredentials", "Cluster", "Describe"): (0, {"Users": None}, None, []),
    ("AlterUserScramCredentials", "Cluster", "Alter"): (0, {"Deletions": [], "Upsertions": [scram("somebody")]}, None, []),
}


def check_left_out(user, root, deny, undo):
    """Rows without an error: what is not told. (API, resource, operation): check."""
    def metadata_cluster():
        request = {"Topics": [], "IncludeClusterAuthorizedOperations": True}
        with_right = call(user, "Metadata", 10, request)["ClusterAuthorizedOperations"]
        deny("Describe", "Cluster", None)
        assert call(user, "Metadata", 10, request)["ClusterAuthorizedOperations"] == 0 != with_right

    def describe_cluster():
        request = {"IncludeClusterAuthorizedOperations": True, "EndpointType": 1}
        with_right = call(user, "DescribeCluster", 1, request)["ClusterAuthorizedOperations"]
        assert with_right == sum(1 << OPERATIONS[word] for word in ("Create", "ClusterAction", "DescribeConfigs", "AlterConfigs", "IdempotentWrite",
                                                                    "Alter", "Describe")), with_right
        deny("Describe", "Cluster", None)
        assert call(user, "DescribeCluster", 1, request)["ClusterAuthorizedOperations"] == 0

    def listed():
        return {group["GroupId"] for group in call(user, "ListGroups", 4, {})["Groups"]}

    def list_groups():
        assert "g2" in listed()
        deny("Describe", "Cluster", None)
        assert "g2" in listed()  # by the right on the group
        deny("Describe", "Group", "g2")
        assert "g2" not in listed()

    def delete_by_id():
        ids = {topic["Name"]: topic["TopicId"] for topic in call(root, "Metadata", 12, {"Topics": None})["Topics"]}
        deny("Delete", "Cluster", None)
        deny("Describe", "Topic", "t")
        for name in (None, ""):  # as Java clients write it
            for topic_id, error in ((ids["t"], 29), (uuid.uuid4().bytes, 100)):
                found = call(user, "Metadata", 12, {"Topics": [{"Name": name, "TopicId": topic_id}]})["Topics"][0]
                assert found["ErrorCode"] == error and found["Name"] is None, found
        answer = call(user, "DeleteTopics", 6, {"Topics": [{"Name": None, "TopicId": ids["t"]}], "TimeoutMs": 5000})["Responses"][0]
        assert answer["ErrorCode"] == 29 and answer["Name"] is None, answer
        named = {"Topics": [{"Name": "absent", "TopicId": bytes(16)}], "TimeoutMs": 5000}
        assert call(user, "DeleteTopics", 6, named)["Responses"][0]["ErrorCode"] == 3
        deny("Describe", "Topic", "absent")
        assert call(user, "DeleteTopics", 6, named)["Responses"][0]["ErrorCode"] == 29
    def list_transactions():
        def listed_ids():
            return {state["TransactionalId"] for state in call(user, "ListTransactions", 1, {"StateFilters": [], "ProducerIdFilters": []})["TransactionStates"]}
        producer_of(user, "z")
        assert "z" in listed_ids()
        deny("Describe", "TransactionalId", "z")
        assert "z" not in listed_ids()

    def transaction_topics():
        made = producer_of(user, "w")
        added = call(user, "AddPartitionsToTxn", 3, {"V3AndBelowTransactionalId": "w", "V3AndBelowProducerId": made["ProducerId"],
                                                     "V3AndBelowProducerEpoch": made["ProducerEpoch"],
                                                     "V3AndBelowTopics": [{"Name": "t", "Partitions": [0]}]})
        assert codes(added) == [0], added

        def topics():
            return [topic["Topic"] for topic in call(user, "DescribeTransactions", 0, {"TransactionalIds": ["w"]})["TransactionStates"][0]["Topics"]]
        assert topics() == ["t"]
        deny("Describe", "Topic", "t")
        assert topics() == []

    def described_tokens():
        made = call(root, "CreateDelegationToken", 3, {"OwnerPrincipalType": "User", "OwnerPrincipalName": "other", "MaxLifetimeMs": -1})
        assert made["ErrorCode"] == 0, made

        def is_seen():
            return made["TokenId"] in [token["TokenId"] for token in call(user, "DescribeDelegationToken", 3, {"Owners": None})["Tokens"]]
        both = [("Describe", "DelegationToken", made["TokenId"]), ("DescribeTokens", "User", "User:other")]
        for first, second in (both, both[::-1]):
            assert is_seen()
            deny(*first)
            assert is_seen()  # one of the two is enough
            deny(*second)
            assert not is_seen()
            undo()
    runs = itertools.count()

    def internal_topics():
        def missing(group, *stores):
            answer = call(user, "StreamsGroupHeartbeat", 0, application(group, *stores))
            assert answer["ErrorCode"] == 0, answer
            return [status["StatusDetail"] for status in answer["Status"] if status["StatusCode"] == 3]

        def is_there(topic):
            return call(root, "Metadata", 12, {"Topics": [{"Name": topic, "TopicId": bytes(16)}], "AllowAutoTopicCreation": False}
                        )["Topics"][0]["ErrorCode"] == 0
        for first, second in ((("Cluster", None), ("Topic", "*")), (("Topic", "*"), ("Cluster", None))):
            number = next(runs)
            one, two = (f"store-{number}-{word}" for word in ("made", "denied"))
            deny("Create", *first)
            assert missing(f"g10-{number}", one) == [f"Internal topics are missing: {one}"] and is_there(one)  # one of the two is enough
            deny("Create", *second)
            assert missing(f"g11-{number}", two) == [f"Internal topics are missing: {two}; Unauthorized to CREATE on topics {two}."]
            assert not is_there(two)
            undo()
    checks = {("StreamsGroupHeartbeat", "Cluster", "Create"): internal_topics, ("StreamsGroupHeartbeat", "Topic", "Create"): internal_topics,
              ("DescribeDelegationToken", "DelegationToken", "Describe"): described_tokens,
              ("DescribeDelegationToken", "User", "DescribeTokens"): described_tokens,
              ("ListTransactions", "TransactionalId", "Describe"): list_transactions,
              ("DescribeTransactions", "Topic", "Describe"): transaction_topics, ("Metadata", "Cluster", "Describe"): metadata_cluster, ("DescribeCluster", "Cluster", "Describe"): describe_cluster,
              ("ListGroups", "Cluster", "Describe"): list_groups, ("ListGroups", "Group", "Describe"): list_groups,
              ("DeleteTopics", "Topic", "Describe"): delete_by_id}
    return checks


def walk(broker, root):
    table = json.loads(subprocess.run([str(Path(broker.program).parent / "rialto"), "doc", "rights", "--json"], capture_output=True, check=True).stdout)
    served = {api["ApiKey"] for api in call(root, "ApiVersions", 3, {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"})["ApiKeys"]}
    guarded = {api(row["api"]).key for row in table if row["resource"] != "-"}
    assert served - guarded == {17, 18, 36, 39, 40}, f"served without rights: {served - guarded}"  # SASL, ApiVersions, tokens that are one's own
    assert served - guarded == {api(row["api"]).key for row in table if row["resource"] == "-"}, "an API is not in the table"
    nobody = broker.login("other")  # who has no right at all yet
    assert codes(call(nobody, "ApiVersions", 3, {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"})) == [0]
    assert codes(call(nobody, "SaslHandshake", 1, {"Mechanism": "PLAIN"})) == [34]  # ILLEGAL_SASL_STATE: he has
    for name in ("RenewDelegationToken", "ExpireDelegationToken"):
        assert codes(call(nobody, name, 2, {"Hmac": b"x" * 64})) == [62], name  # DELEGATION_TOKEN_NOT_FOUND
    put(root, *[rule(ALLOW, "User:user", "All", kind, "kafka-cluster" if kind == "Cluster" else "*") for kind in RESOURCES])
    user = broker.login("user")
    state = {"count": 0, "user": user, "root": root}
    denials = []

    def deny(operation, resource, name):
        denials.append(rule(DENY, "User:user", operation, resource, name or "kafka-cluster"))
        put(root, denials[-1])

    def undo():
        drop_all(root, PermissionType=DENY)

    def send(api, version, request):
        state["count"] += 1
        return call(user, api, version, request(state) if callable(request) else request)
    left_out = check_left_out(user, root, deny, undo)
    for row in table:
        key = row["api"], row["resource"], row["operation"]
        if row["resource"] == "-":
            continue
        if key in left_out:
            left_out[key]()
        else:
            assert key in CASES, f"the table of rights has {key}, and this test has no case for it"
            version, request, name, instead = CASES[key]
            with_all = codes(send(key[0], version, request))
            assert not {29, 30, 31, 53, 65} & set(with_all), (key, with_all)
            deny(row["operation"], row["resource"], name)
            for resource, operation in instead:
                deny(operation, resource, "*" if resource != "Cluster" else None)
            without = codes(send(key[0], version, request))
            assert row["error"] in without, (key, row["error"], without)
        undo()
    return len(table)


# Beyond the table ----------------------------------------------------------------------------------------------------------


def error_of_fetch(connection, topic):
    answer = call(connection, "Fetch", 12, CASES[("Fetch", "Topic", "Read")][1] | {"Topics": [
        {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]})
    return answer["Responses"][0]["Partitions"][0]["ErrorCode"]


def check_rules(broker, root):
    other = broker.login("other")
    assert error_of_fetch(other, "t") == 29 == error_of_fetch(other, "no-such-topic")  # existence is not told
    names = {topic["Name"] for topic in call(other, "Metadata", 12, {"Topics": None})["Topics"]}
    assert names == set(), names
    put(root, rule(ALLOW, "User:other", "Read", "Topic", "t", host="192.0.2.1"))
    assert error_of_fetch(other, "t") == 29  # not from here
    put(root, rule(ALLOW, "User:other", "Read", "Topic", "t", host="127.0.0.1"))
    assert error_of_fetch(other, "t") == 0
    topic = call(other, "Metadata", 12, {"Topics": None, "IncludeTopicAuthorizedOperations": True})["Topics"]
    assert [(one["Name"], one["TopicAuthorizedOperations"]) for one in topic] == [("t", 1 << 3 | 1 << 8)], topic
    put(root, rule(DENY, "User:*", "Read", "Topic", "t"))
    assert error_of_fetch(other, "t") == 29 and error_of_fetch(root, "t") == 0  # super users are beyond rules
    drop_all(root, PermissionType=DENY)
    put(root, rule(ALLOW, "User:*", "All", "Topic", "t", pattern=PREFIXED))
    broker.restart()
    root, other = broker.login("root"), broker.login("other")
    assert error_of_fetch(other, "t") == 0
    assert len(drop_all(root)) == 3
    assert error_of_fetch(other, "t") == 29
    return root


def check_patterns(broker, root):
    """A group's pattern matches what its member may describe, and follows the rules while no topic changes."""
    put(root, rule(ALLOW, "User:other", "Read", "Group", "patterns"), rule(ALLOW, "User:other", "Describe", "Topic", "t"))
    other = broker.login("other")
    names = {topic["TopicId"]: topic["Name"] for topic in call(root, "Metadata", 12, {"Topics": None})["Topics"]}
    beat = call(other, "ConsumerGroupHeartbeat", 1, GroupId="patterns", MemberId=str(uuid.uuid4()), RebalanceTimeoutMs=10000,
                SubscribedTopicRegex="[tu]", TopicPartitions=[])

    def assigned(wanted):
        """Heartbeats until the member has these topics, telling each time what it has."""
        nonlocal beat
        own, end = None, time.monotonic() + patient(20)
        while True:
            own = beat["Assignment"]["TopicPartitions"] if beat["Assignment"] is not None else own
            if own is not None and sorted(names[row["TopicId"]] for row in own) == wanted:
                return
            assert beat["ErrorCode"] == 0 and time.monotonic() < end, (beat, own)
            time.sleep(0.1)
            beat = call(other, "ConsumerGroupHeartbeat", 1, GroupId="patterns", MemberId=beat["MemberId"], MemberEpoch=beat["MemberEpoch"],
                        TopicPartitions=own)
    assigned(["t"])
    put(root, rule(ALLOW, "User:other", "Describe", "Topic", "u"))
    assigned(["t", "u"])
    drop_all(root, ResourceTypeFilter=RESOURCES["Topic"], ResourceNameFilter="t", PatternTypeFilter=LITERAL)
    assigned(["u"])


def check_cli(broker):
    config = Path(broker.directory) / "root.properties"
    config.write_text(f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=root\nsasl.password={USERS['root']}\n")
    program = str(Path(broker.program).parent / "rialto")

    def run(*words):
        return subprocess.run([program, *words, "-b", broker.address, "--command-config", str(config)], capture_output=True, text=True, timeout=60)
    assert run("acl", "create", "--topic", "t", "--allow", "other", "--operation", "Read", "--operation", "Write").returncode == 0
    assert run("acl", "create", "--group", "app-", "--prefixed", "--deny", "User:eve", "--operation", "all").returncode == 0
    listed = run("acl", "list").stdout.splitlines()
    assert sorted(listed) == sorted(["Topic\tt\tLiteral\tUser:other\t*\tRead\tAllow", "Topic\tt\tLiteral\tUser:other\t*\tWrite\tAllow",
                                     "Group\tapp-\tPrefixed\tUser:eve\t*\tAll\tDeny"]), listed
    assert run("acl", "list", "--group", "app-1", "--matching").stdout.count("\n") == 1
    assert error_of_fetch(broker.login("other"), "t") == 0
    assert run("acl", "delete", "--topic", "t", "--principal", "other").returncode == 2  # nobody can be asked
    assert "deleted 2 rules" in run("acl", "delete", "--topic", "t", "--principal", "other", "-y").stderr
    assert error_of_fetch(broker.login("other"), "t") == 29
    assert run("acl", "create", "--topic", "t", "--allow", "x", "--operation", "Fly").returncode == 2


def check_open_resources():
    """allow.everyone.if.no.acl.found; without an authorizer the APIs of rules say so."""
    with Authorized("allow.everyone.if.no.acl.found=true") as broker:
        root, other = broker.login("root"), broker.login("other")
        assert call(other, "CreateTopics", 7, new_topic("free"))["Topics"][0]["ErrorCode"] == 0
        assert error_of_fetch(other, "free") == 0
        put(root, rule(ALLOW, "User:user", "Read", "Topic", "free"))
        assert error_of_fetch(other, "free") == 29 and error_of_fetch(broker.login("user"), "free") == 0
    with Broker() as broker, Connection(broker.port) as connection:
        answer = call(connection, "DescribeAcls", 3, FILTER)
        assert answer["ErrorCode"] == 54 and "Authorizer" in answer["ErrorMessage"], answer
        operations = call(connection, "DescribeCluster", 1, {"IncludeClusterAuthorizedOperations": True, "EndpointType": 1})["ClusterAuthorizedOperations"]
        assert operations == sum(1 << code for code in (5, 7, 8, 9, 10, 11, 12)), operations


def check_texts(broker, root):
    """A denial has its reason where an Apache Kafka gives one; what is well has Kafka's word for it. A user without a rule may nothing."""
    user = broker.login("other")
    wanted = {"DescribeProducers": (0, {"Topics": [{"Name": "t", "PartitionIndexes": [0]}]}),
              "DescribeConfigs": (4, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}]}),
              "IncrementalAlterConfigs": (1, {"Resources": [{"ResourceType": 4, "ResourceName": "1", "Configs": []}]}),
              "DeleteShareGroupOffsets": (0, {"GroupId": "g", "Topics": []})}
    for name, (version, request) in wanted.items():
        answer = call(user, name, version, request)
        assert {29, 30, 31} & set(codes(answer)) and "authorization failed" in str(answer), (name, answer)
    assert call(root, "DescribeAcls", 3, FILTER)["ErrorMessage"] == ""
    assert call(root, "DeleteAcls", 3, {"Filters": [FILTER]})["FilterResults"][0]["ErrorMessage"] is None
    plain = PRODUCE | {"TransactionalId": "x"}  # the id alone asks for nothing: the topic is what is denied
    assert codes(call(user, "Produce", 9, plain)) == [29]


def main():
    with Authorized() as broker:
        root = broker.login("root")
        for name in ("t", "u"):
            assert call(root, "CreateTopics", 7, new_topic(name))["Topics"][0]["ErrorCode"] == 0
        assert codes(call(root, "OffsetCommit", 8, COMMIT)) == [0]
        rows = walk(broker, root)
        drop_all(root)
        check_texts(broker, root)
        root = check_rules(broker, root)
        check_patterns(broker, root)
        drop_all(root)
        check_cli(broker)
    check_open_resources()
    passed("rights", f"{rows} rows of the table, rules over a restart, hosts, prefixes, super users, patterns of groups, the command line")


if __name__ == "__main__":
    main()
