"""Versions, the cluster, what one node has for tools: quotas, users, rules, tokens, features, replicas."""
import struct

import kafkaspec


def case_versions(s):
    for version in range(5):
        s.call("ApiVersions", version, ClientSoftwareName="some", ClientSoftwareVersion="1.0") if version >= 3 else s.call("ApiVersions", version)
    for name, of in (("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a-", "1"), ("a", "1-"), ("ä", "1"), ("x" * 300, "1"), ("a.b-c", "1.2-3")):
        for version in (3, 4):
            s.call("ApiVersions", version, ClientSoftwareName=name, ClientSoftwareVersion=of)


def case_versions_malformed(s):
    words = b"\x02a\x021\0"
    for label, version, body, flexible in (
            ("unknown version", 5, words, True), ("unknown version", 99, words, True), ("unknown version", -1, b"", False),
            ("cut", 3, b"\x02a", True), ("more", 3, words + b"abc", True), ("more", 0, b"abc", False), ("nulls", 3, b"\0\0\0", True),
            ("a tag", 3, b"\x02a\x021\x01\x07\x01a", True), ("a cut tag", 3, b"\x02a\x021\x01\x07\x09a", True), ("no body", 3, b"", True),
            ("no body", 0, b"", False)):
        answer = s.raw(f"ApiVersions v{version} {label}", 18, version, body, flexible)
        s.note("its error", {}, struct.unpack(">h", answer[:2])[0] if isinstance(answer, bytes) else None)


def case_frames(s):
    """Requests that nobody serves, or that are cut."""
    for key in (4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 82, 99, -1, 32000):
        s.raw(f"key {key}", key, 0, b"", False)
    for name, version in (("Metadata", 99), ("Metadata", -1), ("Produce", 2), ("Produce", 0), ("Fetch", 3), ("CreateTopics", 1), ("JoinGroup", 10)):
        s.raw(f"{name} v{version}", kafkaspec.api(name).key, version, b"\0" * 8, False)
    for name, version in (("Metadata", 4), ("Produce", 8), ("Fetch", 11), ("Heartbeat", 2)):
        s.raw(f"{name} v{version} cut", kafkaspec.api(name).key, version, b"\0\1", False)
        s.raw(f"{name} v{version} lengths", kafkaspec.api(name).key, version, b"\x7f\xff\xff\xff" * 6, False)
        s.raw(f"{name} v{version} negative", kafkaspec.api(name).key, version, b"\xff\xff\xff\xf0" * 6, False)


def case_cluster(s):
    for version in range(3):
        s.call("DescribeCluster", version)
        s.call("DescribeCluster", version, IncludeClusterAuthorizedOperations=True)
        if version >= 1:
            for kind in (2, 0, 3):
                s.call("DescribeCluster", version, EndpointType=kind)
        if version >= 2:
            s.call("DescribeCluster", version, IncludeFencedBrokers=True)
    for version in range(3):
        for topics in ([dict(TopicName="__cluster_metadata", Partitions=[dict(PartitionIndex=0)])], [dict(TopicName="x", Partitions=[dict(PartitionIndex=0)])],
                       [dict(TopicName="__cluster_metadata", Partitions=[dict(PartitionIndex=1)])], [], [dict(TopicName="__cluster_metadata", Partitions=[])]):
            s.call("DescribeQuorum", version, Topics=topics)


def case_log_dirs(s):
    s.topic("dir-a", 2)
    for version in range(1, 6):
        for topics in ([dict(Topic="dir-a", Partitions=[0, 1])], [dict(Topic="dir-a", Partitions=[0, 7])], [dict(Topic="dir-none", Partitions=[0])], []):
            s.call("DescribeLogDirs", version, Topics=topics)
    for version in (1, 2):
        for path in ("/nonsense", "", "relative"):
            s.call("AlterReplicaLogDirs", version, Dirs=[dict(Path=path, Topics=[dict(Name="dir-a", Partitions=[0, 7]), dict(Name="dir-none", Partitions=[0])])])
        s.call("AlterReplicaLogDirs", version, Dirs=[])


def case_elections(s):
    s.topic("ele-a", 2)
    for version in range(3):
        for kind in ((0,) if version == 0 else (0, 1, 2, -1)):
            for rows in ([dict(Topic="ele-a", Partitions=[0, 1])], [dict(Topic="ele-a", Partitions=[9])], [dict(Topic="ele-none", Partitions=[0])], [],
                         [dict(Topic="ele-a", Partitions=[])], [dict(Topic="ele-a", Partitions=[0])] * 2, [dict(Topic="", Partitions=[0])], None):
                s.call("ElectLeaders", version, dict(TopicPartitions=rows, TimeoutMs=10000, **({"ElectionType": kind} if version else {})))


def case_reassignments(s):
    s.topic("rea-a", 2)
    for version in (0, 1):
        for parts in ([(0, [1])], [(0, [2])], [(0, [])], [(0, None)], [(0, [1, 1])], [(0, [-1])], [(9, [1])], [(-1, [1])], [(0, [1, 2])], [],
                      [(0, [1]), (0, [1])]):
            for name in ("rea-a", "rea-none", ""):
                rows = [dict(PartitionIndex=index, Replicas=replicas) for index, replicas in parts]
                s.call("AlterPartitionReassignments", version, Topics=[dict(Name=name, Partitions=rows)], TimeoutMs=10000)
        s.call("AlterPartitionReassignments", version, Topics=[], TimeoutMs=10000)
    for topics in (None, [dict(Name="rea-a", PartitionIndexes=[0, 7])], [dict(Name="rea-none", PartitionIndexes=[0])], []):
        s.call("ListPartitionReassignments", 0, Topics=topics)


def case_features(s):
    for version in range(3):
        for name, level, kind in (("metadata.version", 30, 1), ("metadata.version", 29, 1), ("metadata.version", 29, 2), ("metadata.version", 6, 1),
                                  ("metadata.version", 99, 1), ("nonsense", 1, 1), ("", 1, 1), ("group.version", 1, 1), ("group.version", 2, 1),
                                  ("share.version", 1, 1), ("transaction.version", 3, 1), ("transaction.version", 2, 1), ("kraft.version", 9, 1),
                                  ("group.version", -1, 1), ("group.version", 0, 9), ("metadata.version", 0, 1), ("metadata.version", 30, 0),
                                  ("eligible.leader.replicas.version", 1, 1), ("streams.version", 1, 1), ("nonsense", 0, 2)):
            row = dict(Feature=name, MaxVersionLevel=level, **(dict(UpgradeType=kind) if version else dict(AllowDowngrade=kind == 2)))
            s.call("UpdateFeatures", version, dict(FeatureUpdates=[row], timeoutMs=10000, **(dict(ValidateOnly=True) if version else {})))
        s.call("UpdateFeatures", version, FeatureUpdates=[], timeoutMs=10000)


def entity(*pairs):
    return [dict(EntityType=kind, EntityName=name) for kind, name in pairs]


def op(key, value=1000.0, remove=False):
    return dict(Key=key, Value=value, Remove=remove)


QUOTAS = [
    (entity(("user", "u")), [op("producer_byte_rate")]),
    (entity(("user", None)), [op("consumer_byte_rate", 5000.5)]),
    (entity(("user", "u"), ("client-id", "c")), [op("request_percentage", 50.0)]),
    (entity(("client-id", None)), [op("controller_mutation_rate", 5.0)]),
    (entity(("ip", "127.0.0.1")), [op("connection_creation_rate", 1000.0)]),
    (entity(("ip", None)), [op("connection_creation_rate", 2000.0)]),
    (entity(("ip", "nonsense host")), [op("connection_creation_rate", 1000.0)]),
    (entity(("ip", "127.0.0.1")), [op("producer_byte_rate", 1000.0)]),
    (entity(("ip", "127.0.0.1"), ("user", "u")), [op("connection_creation_rate", 1000.0)]),
    (entity(("user", "u")), [op("connection_creation_rate", 1000.0)]),
    (entity(("user", "")), [op("producer_byte_rate")]),
    (entity(("client-id", "")), [op("producer_byte_rate")]),
    (entity(("nonsense", "u")), [op("producer_byte_rate")]),
    (entity(("", "u")), [op("producer_byte_rate")]),
    ([], [op("producer_byte_rate")]),
    (entity(("user", "u")), [op("nonsense")]),
    (entity(("user", "u")), [op("")]),
    (entity(("user", "u")), [op("producer_byte_rate", 0.0)]),
    (entity(("user", "u")), [op("producer_byte_rate", -1.0)]),
    (entity(("user", "u")), [op("producer_byte_rate", 1.5)]),
    (entity(("user", "u")), [op("producer_byte_rate", float("inf"))]),
    (entity(("user", "u")), [op("producer_byte_rate", 1e30)]),
    (entity(("user", "u")), [op("request_percentage", 1.5)]),
    (entity(("user", "u")), [op("request_percentage", -1.5)]),
    (entity(("user", "u")), [op("producer_byte_rate", 1.0), op("producer_byte_rate", 2.0)]),
    (entity(("user", "u")), [op("producer_byte_rate", 1.0), op("producer_byte_rate", 0.0, True)]),
    (entity(("user", "u")), [op("consumer_byte_rate", 0.0, True)]),
    (entity(("user", "u")), [op("nonsense", 0.0, True)]),
    (entity(("user", "u")), []),
    (entity(("user", "é ü/=%")), [op("producer_byte_rate", 9.0)]),
]


def case_odd(s):
    """What an Apache Kafka takes and we do not."""
    s.call("AlterClientQuotas", 1, Entries=[dict(Entity=entity(("user", "u"), ("user", "v")), Ops=[op("producer_byte_rate")])], ValidateOnly=True)
    user = dict(Name="odd", Mechanism=1, Iterations=4096)
    for salt, password in ((b"", b"p" * 32), (b"s", b"p"), (b"s", b"")):
        s.call("AlterUserScramCredentials", 0, Upsertions=[dict(user, Salt=salt, SaltedPassword=password)])
    s.call("AlterUserScramCredentials", 0, Upsertions=[dict(user, Mechanism=kind, Salt=b"s", SaltedPassword=b"p" * 32 * kind) for kind in (1, 2)])
    twice = dict(Entity=entity(("user", "w")), Ops=[op("producer_byte_rate", 7.0)])
    s.call("AlterClientQuotas", 1, Entries=[twice, twice])
    s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=entity(("user", "w")), Ops=[op("producer_byte_rate", 0.0, True)])])
    for kind in (1, 2):
        s.quiet("AlterUserScramCredentials", 0, Deletions=[dict(Name="odd", Mechanism=kind)])


def case_quotas(s):
    for version in (0, 1):
        for who, ops in QUOTAS:
            for only in (True, False):
                s.call("AlterClientQuotas", version, Entries=[dict(Entity=who, Ops=ops)], ValidateOnly=only)
        s.call("AlterClientQuotas", version, Entries=[])
        for strict in (False, True):
            for parts in ([], [("user", 0, "u")], [("user", 1, None)], [("user", 2, None)], [("client-id", 0, "c")], [("user", 0, "u"), ("client-id", 0, "c")],
                          [("user", 2, None), ("client-id", 2, None)], [("ip", 2, None)], [("ip", 1, None)], [("ip", 0, "127.0.0.1")], [("ip", 2, None), ("user", 2, None)],
                          [("nonsense", 0, "u")], [("user", 0, None)], [("user", 1, "u")], [("user", 2, "u")], [("user", 3, None)], [("user", -1, None)], [("", 0, "u")],
                          [("user", 0, "u"), ("user", 0, "v")], [("user", 0, "nobody")], [("user", 0, "")]):
                rows = [dict(EntityType=kind, MatchType=match, Match=value) for kind, match, value in parts]
                s.call("DescribeClientQuotas", version, Components=rows, Strict=strict)
    for who, ops in QUOTAS:
        s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=who, Ops=[op(one["Key"], 0.0, True) for one in ops[:1]])])
    for who in (entity(("user", "u")), entity(("user", "w"))):
        s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=who, Ops=[op(key, 0.0, True) for key in ("producer_byte_rate", "request_percentage", "consumer_byte_rate")])])
    s.call("DescribeClientQuotas", 1, Components=[])


def case_scram(s):
    def up(name, mechanism=1, iterations=4096, salt=b"s", password=None):
        password = b"p" * (64 if mechanism == 2 else 32) if password is None else password
        return dict(Name=name, Mechanism=mechanism, Iterations=iterations, Salt=salt, SaltedPassword=password)

    s.call("DescribeUserScramCredentials", 0, Users=None)
    for ups in ([up("ann")], [up("bob", 2, 8192)], [up("")], [up("x", 0)], [up("x", 3)], [up("x", 1, 4095)], [up("x", 1, 16385)], [up("x", 1, 16384)], [up("x", 1, -1)],
                [up("z"), up("z")], [up("q"), up("", 1)], [up("ä b,c=d")]):
        s.call("AlterUserScramCredentials", 0, Upsertions=ups)
    for downs in ([("ann", 1)], [("ann", 1)], [("ann", 2)], [("nobody", 1)], [("", 1)], [("ann", 0)], [("ann", 9)], [("bob", 2), ("bob", 2)]):
        s.call("AlterUserScramCredentials", 0, Deletions=[dict(Name=name, Mechanism=mechanism) for name, mechanism in downs])
    s.call("AlterUserScramCredentials", 0, Deletions=[dict(Name="bob", Mechanism=2)], Upsertions=[up("bob", 2)])
    s.call("AlterUserScramCredentials", 0)
    for users in (None, [], ["ann"], ["bob", "z"], ["z", "z"], ["nobody"], [""]):
        s.call("DescribeUserScramCredentials", 0, Users=None if users is None else [dict(Name=name) for name in users])


def case_acls(s):
    """Without an authorizer."""
    filter_ = dict(ResourceTypeFilter=1, ResourceNameFilter=None, PatternTypeFilter=1, PrincipalFilter=None, HostFilter=None, Operation=1, PermissionType=1)
    rule = dict(ResourceType=2, ResourceName="t", ResourcePatternType=3, Principal="User:a", Host="*", Operation=3, PermissionType=3)
    for version in range(1, 4):
        s.call("DescribeAcls", version, filter_)
        s.call("DescribeAcls", version, dict(filter_, ResourceTypeFilter=0))
        s.call("CreateAcls", version, Creations=[rule, dict(rule, ResourceName="")])
        s.call("CreateAcls", version, Creations=[])
        s.call("DeleteAcls", version, Filters=[filter_, filter_])
        s.call("DeleteAcls", version, Filters=[])


def case_tokens(s):
    """Without a secret key, over plaintext."""
    for version in range(1, 4):
        owner = dict(OwnerPrincipalType=None, OwnerPrincipalName=None) if version >= 3 else {}
        s.call("CreateDelegationToken", version, dict(owner, Renewers=[], MaxLifetimeMs=-1))
        s.call("CreateDelegationToken", version, dict(owner, Renewers=[dict(PrincipalType="Nonsense", PrincipalName="x")], MaxLifetimeMs=-1))
        s.call("DescribeDelegationToken", version, Owners=None)
        s.call("DescribeDelegationToken", version, Owners=[])
    for version in (1, 2):
        s.call("RenewDelegationToken", version, Hmac=b"x", RenewPeriodMs=-1)
        s.call("ExpireDelegationToken", version, Hmac=b"x", ExpiryTimePeriodMs=-1)


def case_sasl(s):
    """On a listener without."""
    for version in (0, 1):
        s.call("SaslHandshake", version, Mechanism="PLAIN")
        s.close()
        s.call("SaslHandshake", version, Mechanism="")
        s.close()
    for version in range(3):
        s.call("SaslAuthenticate", version, AuthBytes=b"x")
        s.close()
