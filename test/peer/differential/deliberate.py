"""Differences from an Apache Kafka 4.3.1 that are meant, each with its reason: the one list of them.

Rows are patterns of the case, the request with its version and words, and the path in the answer; then what the value here and there looks like,
and the reason. A text that says why, where Apache Kafka gives none, is always meant.
"""
import re

ANY = ".*"

MEANT = [
    # --- what is announced ---
    ("admin_versions.*|(logins|throttles)_.*", "ApiVersions .*", r"\.ApiKeys\[.*", "None", ANY, "broker/README.md: APIs that are for several nodes, or are not built"),
    ("admin_versions.*|(logins|throttles)_.*", "ApiVersions .*", r"\.(Supported|Finalized)Features\[.*", "None", ".*kraft.version.*",
     "one node has no quorum to change"),
    # --- one node ---
    ("admin_cluster", "DescribeQuorum .*", r".*(LeaderEpoch|HighWatermark|LogEndOffset|ReplicaDirectoryId|Listeners.*)", ANY, ANY,
     "the log of metadata is rialto's own, kept by this node alone: nobody has voted for it, and it is reached where the broker is"),
    ("admin_elections", "ElectLeaders .*", r"\.ReplicaElectionResults\[.*", "None", r".*'PartitionResult': \[\].*", "topics of which there is nothing to say are left out"),
    ("admin_elections", "ElectLeaders .*", r"\.ErrorCode", "42", "0", "an unknown kind of election is refused for an empty list too"),
    ("topics_metadata_auto", "Metadata .*", r"\.Topics\[.*\].ErrorCode", "0", "3", "a topic that a request makes is answered with its partitions, not as unknown"),
    ("topics_.*", ".*", r".*\[('__|.*__share).*", ANY, ANY, "the topics of the broker's own states have one partition each"),
    ("topics_metadata_auto", "Metadata .*", r"\.Topics\['__share_group_state'\].*", ANY, ANY, "the topics of the broker's own states have one partition each"),
    ("topics_partitions", "CreatePartitions .*", r".*'__consumer_offsets'.*", "17", "0", "the topics of the broker's own states have one partition each"),
    (".*", ".*", r".*min\.insync\.replicas.*(Source|Synonyms.*)", ANY, ANY, "Apache Kafka sets it for the cluster when eligible leader replicas come in; here it can only be 1"),
    ("configs_broker", ".*", r"\.Results\[''\]\.Configs\['min\.insync\.replicas'\]", "None", ANY, "as above"),
    # --- configs ---
    ("configs_(broker|alter.*|bad)", "DescribeConfigs .*", r".*Configs\['[^']*'\]", "None", ANY, "options of parts that are not there: controllers, replication, remote storage, pools of threads"),
    ("configs_broker", "DescribeConfigs .*", r".*Configs\['[^']*'\]", ANY, "None", "options of rialto's own"),
    ("configs_.*", "DescribeConfigs .*", r".*Configs\['[^']*'\]\.ReadOnly", ANY, ANY, "other options can change while the broker runs; files of certificates are read again when they change"),
    ("configs_.*", "DescribeConfigs .*",
     r".*Configs\['(advertised\.listeners|controller\.listener\.names|group(\.(consumer|streams))?\.max\.size"
     r"|group\.initial\.rebalance\.delay\.ms|listener\.security\.protocol\.map|listeners|log\.cleaner\.io\.max\.bytes\.per\.second|log\.dirs?|max\.connections|num\.network\.threads"
     r"|sasl\.enabled\.mechanisms|ssl\.(key|trust)store\.type|auto\.create\.topics\.enable|listener\.name\.plaintext\.max\.connections|inter\.broker\.listener\.name"
     r"|transactional\.id\.expiration\.ms)'\].*", ANY, ANY,
     "other defaults, other values of this start, or other bounds; a value that is the default counts as not set"),
    ("configs_.*", "DescribeConfigs .*", r".*Configs\['(group\.)?(consumer|share)\.assignment\.interval\.ms'\]\.(ConfigSource|Synonyms.*)", ANY, ANY,
     "another default: assignments are made at once; a value that is the default counts as not set"),
    ("configs_.*", "DescribeConfigs .*", r".*Configs\['root'\].*", ANY, ANY, "another level of log lines, and the one logger"),
    ("configs_.*", "DescribeConfigs .*", r"\.Results\['__.*", ANY, ANY, "the topics of the broker's own states have configs of their own, which nobody changes"),
    ("configs_alter.*", ".*AlterConfigs .*", r"\.Responses\[.*ErrorCode", "42", "0|3", "the topics of the broker's own states have configs of their own, which nobody changes"),
    ("configs_alter.*", ".*AlterConfigs .*", r"\.Responses\[.*ErrorCode", "40|42", "0|42|-1",
     "broker/README.md: a config that would be kept and ignored is refused with the reason; of two faults the first decides; an unknown operation is an invalid request"),
    ("configs_alter.*", ".*AlterConfigs .*", r"\.Responses\[.*ErrorCode", "0", "42|40", "more options can change while the broker runs"),
    ("configs_alter.*", "AlterConfigs .*", "", ANY, "'no answer'", "the same resource twice is refused, where an Apache Kafka does not answer"),
    ("configs_alter.*", "DescribeConfigs .*", r".*(throttled\.replicas|num\.partitions).*", ANY, ANY, "follows from what was refused"),
    ("configs_alter.*", "DescribeConfigs .*", r".*Synonyms\['log\.retention\.hours'\]", "None", ANY, "one name for one option"),
    ("configs_alter", "ListConfigResources .*", r".*", ANY, ANY, "topics of the server, and those that earlier cases did not get"),
    # --- limits, and what can be made of a topic ---
    ("topics_create.*", "CreateTopics .*", r".*\.ErrorCode", "40", "0", "broker/README.md: a config that would be kept and ignored is refused with the reason"),
    ("topics_create.*", "CreateTopics .*", r".*retention\.ms'\]\.Value", "'5'", "' 5 '", "values are kept without the spaces around them"),
    ("topics_create_bad", "CreateTopics .*", r".*\.ErrorCode", "37", "44", "the bound is one of a topic, not of a request"),
    ("topics_create_bad", "CreateTopics .*", r".*__cluster_metadata.*\.ErrorCode", "17", "42", "an invalid topic, as other names that cannot be"),
    ("topics_partitions", "CreatePartitions .*", r".*\.ErrorCode", "37", "0", "the bound is one of a topic, also when it is only checked"),
    ("topics_.*", "Create.* .*", r".*\.ErrorCode", "0", "7", "a request is carried out however short its time"),
    ("topics_metadata", "Metadata v1[23]", ANY, ANY, ANY, "names and ids may be mixed; one without either is an unknown id, and the others are answered"),
    ("topics_describe", "DescribeTopicPartitions .*", ANY, ANY, "-1|-2147483648|None", "an empty name is an invalid topic; an Apache Kafka fails on it"),
    # --- records ---
    ("records_produce_odd", "Produce .*", "", ANY, "'no answer'", "no records are refused, where an Apache Kafka does not answer"),
    ("records_bad_batches", "Produce .* (more bytes|good and cut) .*", r".*\.(ErrorCode|RecordErrors.*|LogStartOffset|ErrorMessage)", ANY, ANY, "bytes behind the batch are refused, not dropped"),
    ("records_bad_batches", "Produce .* (delete horizon|pid no epoch|record number|key length -2) .*", r".*\.(ErrorCode|RecordErrors.*|LogStartOffset|ErrorMessage)", ANY, ANY,
     "a batch that contradicts itself, or says what only the log may, is refused"),
    ("records_bad_batches", "Produce .* (codec|gzip|time -2|last 0).*", r".*\.ErrorCode", "2|0|87", "-1|10", "a damaged batch is called so, not an unexpected error; the first of several faults decides"),
    ("records_bad_batches", "Produce .* LogAppendTime in append", r".*", ANY, ANY, "a bit that says what is so anyway is taken"),
    ("records_bad_batches", "Fetch .*", ANY, ANY, ANY, "follows from what Produce has taken; bits that mean nothing are kept, an Apache Kafka clears them when it writes a batch anew"),
    ("records_sequences", "Produce .*", r".*\.ErrorCode", "87", "47", "a batch with a producer id and no epoch contradicts itself"),
    ("records_fetch|records_offsets", "(Fetch|ListOffsets) .*", r".*ErrorCode", "0", "-1", "an unknown isolation level is read_uncommitted, where an Apache Kafka fails"),
    ("records_fetch", "Fetch .*", r".*\.Records", ANY, ANY, "answers hold whole batches only; an Apache Kafka cuts the last one off, which clients drop"),
    ("records_fetch", "Fetch .*", r".*ErrorCode", "0", "6", "there are no followers: the number of a replica is not looked at"),
    ("records_offsets", "OffsetForLeaderEpoch .*", r".*\.(LeaderEpoch|EndOffset)", "-1", ANY, "an epoch below 0 is none"),
    # --- groups ---
    ("groups_.*", "DescribeGroups .*|ListGroups .*", r"\.Groups\['grp-join-\d-[678]'\].*", ANY, ANY, "a join that is refused leaves no group behind"),
    ("groups_.*", "DescribeGroups .*", r".*\.MemberAssignment", "b''", ANY, "an assignment goes with its generation"),
    ("consumers_.*", "ConsumerGroup(Heartbeat|Describe) .*", r"\.(Assignment|Groups\[.*con-r).*|\.MemberEpoch", ANY, ANY, "patterns are resolved at once, not in the background"),
    ("consumers_bad", "ConsumerGroupHeartbeat .*", r"\.ErrorCode", "128", "0", "patterns know no (?<name>...)"),
    ("transactions_list", "ListTransactions .*", r"\.ErrorCode", "128", "0", "patterns know no (?<name>...)"),
    ("consumers_life", "ConsumerGroupDescribe .*", ANY, ANY, ANY, "a member that was just fenced has given its partitions back"),
    ("consumers_life", "JoinGroup .*", r"\.MemberId", ANY, ANY, "member ids are formed alike in all groups"),
    ("consumers_life", "OffsetFetch .*", r".*ErrorCode", "25", "-1", "no member id is an unknown member; an Apache Kafka fails on it"),
    ("consumers_two", "ListGroups .*", r"\.Groups.*", ANY, ANY, "groups that wait for their pattern, or that could not be made"),
    ("consumers_calls_of_the_first", "LeaveGroup v0", r"\.ErrorCode", "25", "0", "version 0 tells the same as the later ones"),
    # --- share groups ---
    ("share_.*|expiry_(share|left)", "ShareGroup(Heartbeat|Describe) .*", r".*\.Assignment\b.*", ANY, ANY, "a member is assigned partitions at once, not when their state was begun; which ones is the assignor's to say"),
    ("share_heartbeats", "ShareGroup(Heartbeat|Describe) .*", r".*(MemberEpoch|GroupEpoch|AssignmentEpoch)|\.ErrorCode", "\\d+", "\\d+",
     "an Apache Kafka assigns partitions when it has begun their state, which is one more change of the group (doc/compatibility.md)"),
    ("share_fetch", "ShareFetch .*", r"\.Responses\[.*", "None", ANY, "partitions without news are left out; an error is told once"),
    ("share_fetch", "DescribeShareGroupOffsets .*", r".*\.(StartOffset|Lag)", ANY, "-1", "offsets are those of the moment"),
    ("share_acknowledge", "ShareAcknowledge .*", r"\.ErrorCode", "42", "122", "an empty group is an invalid request"),
    ("share_offsets", "DescribeShareGroupOffsets .*", r".*ErrorCode", "0", "-1", "an empty group has been nowhere; an Apache Kafka fails on it"),
    ("share_offsets", "AlterShareGroupOffsets .*", r".*ErrorCode", "42|0", "0|-1", "offsets below 0 are refused, and a partition below 0 is one that is not there"),
    ("share_offsets", "DeleteGroups .*", r".*ErrorCode", "0", "-1", "the group is deleted; an Apache Kafka fails on what was altered before"),
    # --- transactions ---
    ("transactions_.*", "Produce .*", r".*\.ErrorCode", "42|49", "47", "an empty or unknown transactional id is what is wrong first"),
    ("transactions_.*", "AddPartitionsToTxn .*", r".*PartitionErrorCode", "42", "3|55", "an empty transactional id is what is wrong first"),
    ("transactions_second", "(EndTxn|TxnOffsetCommit) .*", r".*ErrorCode", "0|48", "0|51", "a transaction is at its end when EndTxn is answered"),
    ("transactions_.*", "DescribeProducers .*", r".*ActiveProducers.*", ANY, ANY, "producers of earlier cases are in another order"),
    ("transactions_markers", "WriteTxnMarkers .*", r".*ErrorCode", "0", "52", "there is one coordinator: its epoch is not looked at"),
    ("transactions_markers", "WriteTxnMarkers .*", r".*ErrorCode", "0|42|47", "-1", "a marker of no producer is an invalid request; an Apache Kafka fails on it"),
    ("transactions_markers", "WriteTxnMarkers .*", r"\.Markers\[.*", r".*'Topics': \[\].*", "None", "a marker for no partition is answered"),
    ("transactions_markers", "(ListOffsets|Fetch) .*", ANY, ANY, ANY, "follows from the above"),
    # --- bounds of fields ---
    ("limits_.*", r"(Create|Delete)(Topics|Partitions) .*|ElectLeaders .*|AlterPartitionReassignments .*", r".*ErrorCode", "0|3", "7", "a request is carried out however short its time"),
    ("limits_.*", r"Create(Topics|Partitions) .*", r".*ErrorCode", "37", "44|-1", "the bound is one of a topic"),
    ("limits_.*", r"ElectLeaders .*", r"\.ReplicaElectionResults\[.*", "None", ANY, "topics of which there is nothing to say are left out"),
    ("limits_.*", r"(Metadata|DescribeTopicPartitions|DescribeLogDirs) .*", r".*", ANY, ANY, "an empty name, and topics of the server"),
    ("limits_.*", r"DescribeShareGroupOffsets .*", r".*ErrorCode", "0", "-1", "nothing is no error; an Apache Kafka fails on it"),
    ("limits_.*", r"AddPartitionsToTxn .*", "", ANY, "'no answer'", "no transactions are answered"),
    ("limits_.*", r"AlterClientQuotas .*", r".*ErrorCode", "42", "0", "an entity has one name of a type"),
    ("lives_deleted", "Fetch v13", r".*ErrorCode", "100", "3|103", "the id of a topic that is no more is an unknown one, in sessions too"),
    # --- rules ---
    ("rules_rules", "CreateAcls .*", ".*", ".*42.*", "'closed'|-1", "what no rule can have is an invalid request, where an Apache Kafka closes the connection or fails"),
    ("rules_rules", "(Describe|Delete)Acls .*", "", ANY, "'closed'", "an unknown kind of resource is answered like the others, where an Apache Kafka closes the connection"),
    ("rules_odd", "CreateAcls .*", ANY, "42", "0", "a rule for nobody, or from no address, is refused: it would never hold"),
    ("rules_.*", "AddPartitionsToTxn v5", r".*PartitionErrorCode", "29|53", "49", "versions that only brokers send ask for a client's rights as well"),
    ("rules_.*", "Fetch .*", r".*\.Records", ANY, ANY, "answers hold whole batches only"),
    # --- logins ---
    ("logins_.*", r"\w+ v\d+ (after SaslHandshake|in the middle|after it)", "", "'closed'", r"\{.*", "broker/login.c, L1: a request in the middle of a login ends the connection, without an answer"),
    ("logins_before", "ApiVersions v3 once more", "", ANY, "'closed'", "versions may be asked for as often as one likes"),
    ("logins_.*", "SaslAuthenticate .* first (nobody|bob|a,b=c|ü|who is no more|first with token|18 .*|by a token (no such|that .*))", r"\.ErrorCode", "0", "58",
     "auth/README.md: an unknown user looks like a wrong password, which shows only at the end"),
    ("logins_.*", "SaslAuthenticate .* final (nobody|bob|a,b=c|ü|who is no more|first with token|by a token (no such|that .*))", "", ".*58.*", "'closed'", "as above"),
    ("logins_scram", "(SaslAuthenticate .* final|lives after) ü", "", ANY, "'closed'", "names of users may have all letters (RFC 5802), where an Apache Kafka knows those of ASCII only"),
    ("logins_scram", "(SaslAuthenticate .* final|lives after) final with (no )?binding", ANY, "58|'closed'", ANY, "what the client says of a binding is checked (RFC 5802)"),
    ("logins_scram", "(SaslAuthenticate .* final|lives after) final with extension", ANY, ANY, "58|'closed'", "extensions are part of what is proved (RFC 5802), where an Apache Kafka leaves them out"),
    ("logins_scram", "(SaslAuthenticate .* (first|final)|lives after) first with y", ANY, ANY, "58|'closed'", "a client that knows bindings, and thinks that the server does not, is let in (RFC 5802)"),
    ("logins_scram", "(SaslAuthenticate .* (first|final)|lives after) first with must", ANY, "58|'closed'", ANY, "an extension that has to be understood is refused (RFC 5802)"),
    ("logins_scram.*", "(SaslAuthenticate .*|lives after) first 1[34].*", ANY, ".*58.*|'closed'", ANY, "messages of a login have a bound"),
    ("logins_scram.*", "SaslAuthenticate .*", "", ".*58.*", "'closed'", "a proof of another length is answered like others that are wrong, where an Apache Kafka fails"),
    ("logins_scram.*", "SaslAuthenticate .*", r"\.Words", "'Invalid SCRAM client (first|final) message'", ".*invalid credentials.*", "it is told which message is none; an Apache Kafka has one text for all"),
    ("logins_changed", "SaslAuthenticate .* again.*", r"\.Words", ".*during authentication.*", ".*during re-authentication.*", "one text for the first and for later proofs"),
    ("logins_again", "(SaslHandshake|SaslAuthenticate) .* again", "", ANY, "'closed'", "it is told too why a login that is renewed is refused"),
    # --- quotas ---
    ("throttles_fetch", "Fetch .*", r"\.Responses\[.*|\.SessionId", ANY, "None|0", "what has been read is given and the wait comes after it; an Apache Kafka answers without records, and without end when a batch is larger than the quota"),
    ("throttles_.*", "Fetch .*", r".*\.Records", ANY, ANY, "answers hold whole batches only"),
    ("throttles_mutations", "Create(Topics|Partitions) .* only checked", r".*\.ErrorCode|\.Throttled", "0|False", "89|True", "what is only checked makes nothing and costs nothing"),
    # --- the rest ---
    ("admin_odd", ANY, ANY, ANY, ANY, "two users in one entity are refused, and an entity that comes twice; a user may get keys for two mechanisms at once, but none that no client can prove"),
    ("admin_acls", "DescribeAcls .*", "", ANY, "'closed'", "an unknown kind of resource is answered like the others, where an Apache Kafka closes the connection"),
]

ROWS = [tuple(re.compile(word) for word in row[:5]) + (row[5],) for row in MEANT]


def reason_of(case, request, path, here, there):
    """Why this difference is meant; None: it is not."""
    if path.endswith("ErrorMessage") and here == "text" and not there:
        return "a reason where Apache Kafka gives none"
    for patterns in ROWS:
        if all(pattern.fullmatch(word) for pattern, word in zip(patterns, (case, request, path, repr(here), repr(there)))):
            return patterns[5]
    return None
