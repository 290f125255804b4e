"""Access rules, on brokers that have an authorizer: rules made, found and taken away; what is answered where a rule denies."""
from rawkafka import batch

from .groups import commit, join
from .limits import PLAIN
from .records import STAMP, fill, produce, read

ANYONE = "User:ANONYMOUS"
ALL, READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS = 2, 3, 4, 5, 6, 7, 8, 10, 11
TOPIC, GROUP, CLUSTER, TRANSACTION = 2, 3, 4, 5
DENY, ALLOW, LITERAL, PREFIXED = 2, 3, 3, 4


def rule(**more):
    return dict(dict(ResourceType=TOPIC, ResourceName="rul-t", ResourcePatternType=LITERAL, Principal="User:ann", Host="*", Operation=READ, PermissionType=ALLOW), **more)


def sought(**more):
    return dict(dict(ResourceTypeFilter=1, ResourceNameFilter=None, PatternTypeFilter=1, PrincipalFilter=None, HostFilter=None, Operation=1, PermissionType=1), **more)


ODD = [dict(), dict(ResourceType=0), dict(ResourceType=1), dict(ResourceType=9), dict(ResourceType=-1), dict(ResourceName=""), dict(ResourceName="*"), dict(ResourceName="x" * 300), dict(ResourceName="a b"),
       dict(ResourcePatternType=0), dict(ResourcePatternType=1), dict(ResourcePatternType=2), dict(ResourcePatternType=PREFIXED), dict(ResourcePatternType=PREFIXED, ResourceName="*"), dict(ResourcePatternType=9),
       dict(Principal=""), dict(Principal="ann"), dict(Principal="User:*"), dict(Principal="Group:g"), dict(Principal="User:CN=a,OU=b"),
       dict(Host="127.0.0.1"), dict(Host="nonsense host"), dict(Host="::1"), dict(Host="10.0.0.0/8"), dict(Operation=0), dict(Operation=1), dict(Operation=99), *[dict(Operation=number) for number in range(2, 16)],
       dict(PermissionType=0), dict(PermissionType=1), dict(PermissionType=9), dict(PermissionType=DENY), dict(ResourceType=CLUSTER), dict(ResourceType=GROUP, Operation=READ), dict(ResourceType=GROUP, Operation=WRITE), dict(ResourceType=TRANSACTION, Operation=WRITE),
       dict(ResourceType=TRANSACTION, Operation=READ), dict(ResourceType=6, Operation=DESCRIBE), dict(ResourceType=7, ResourceName="User:bob", Operation=13), dict(ResourceType=7, ResourceName="bob", Operation=13)]
FILTERS = [dict(), dict(ResourceTypeFilter=TOPIC), dict(ResourceTypeFilter=TOPIC, ResourceNameFilter="rul-t"), dict(ResourceTypeFilter=TOPIC, ResourceNameFilter="rul-t", PatternTypeFilter=LITERAL),
           dict(ResourceTypeFilter=TOPIC, ResourceNameFilter="rul-t", PatternTypeFilter=2), dict(ResourceTypeFilter=TOPIC, ResourceNameFilter="rul-tail", PatternTypeFilter=2),
           dict(ResourceTypeFilter=TOPIC, ResourceNameFilter="rul-tail", PatternTypeFilter=PREFIXED), dict(PatternTypeFilter=PREFIXED), dict(PrincipalFilter="User:ann"), dict(PrincipalFilter="User:*"),
           dict(PrincipalFilter=""), dict(PrincipalFilter="ann"), dict(HostFilter="*"), dict(HostFilter="127.0.0.1"), dict(HostFilter=""), dict(Operation=READ), dict(Operation=ALL), dict(PermissionType=DENY),
           dict(ResourceTypeFilter=GROUP, Operation=READ), dict(ResourceNameFilter=""), dict(ResourceNameFilter="*"), dict(PatternTypeFilter=3, ResourceNameFilter="*")]


def case_rules(s):
    for version in (1, 2, 3):
        for more in ODD:
            s.call("CreateAcls", version, Creations=[rule(**more)], what=str(more))
        s.call("CreateAcls", version, Creations=[rule(), rule(ResourceName=""), rule(ResourceName="rul-two")])
        s.call("CreateAcls", version, Creations=[])
        for more in FILTERS:
            s.call("DescribeAcls", version, sought(**more))
        for more in FILTERS[-1:0:-1]:
            s.call("DeleteAcls", version, Filters=[sought(**more)])
            s.call("DescribeAcls", version, sought(ResourceTypeFilter=TOPIC))
        s.call("DeleteAcls", version, Filters=[sought(), sought()])
        s.call("DescribeAcls", version, sought())


def case_odd(s):
    """What an Apache Kafka keeps, or fails on."""
    for more in (dict(Principal="User:"), dict(Principal=":ann"), dict(Host="")):
        s.call("CreateAcls", 3, Creations=[rule(**more)], what=str(more))
    s.quiet("DeleteAcls", 3, Filters=[sought()])


def made(s, *rules):
    s.quiet("CreateAcls", 3, Creations=list(rules))
    s.until(lambda got: len([one for row in got["Resources"] for one in row["Acls"]]) >= len(rules), "DescribeAcls", 3, **sought())
    s.settle()


def taken(s):
    s.quiet("DeleteAcls", 3, Filters=[sought()])
    s.until(lambda got: not got["Resources"], "DescribeAcls", 3, **sought())
    s.settle()


def ask_all(s, uuid):
    """Every request of the other cases that names the topic lim-a, the groups lim-* and the transactional ids lim-*; and some more."""
    for (name, version), plain in PLAIN.items():
        s.call(name, version, plain)
    for version in (9, 13):
        produce(s, version, {uuid if version >= 13 else "lim-a": [(0, batch(timestamp=STAMP))]})
        produce(s, version, {uuid if version >= 13 else "lim-a": [(0, batch(timestamp=STAMP))]}, TransactionalId="lim-t")
    for version in (11, 12, 13, 17):
        read(s, version, uuid if version >= 13 else "lim-a")
    for version in (1, 8, 10, 12, 13):
        more = dict(IncludeTopicAuthorizedOperations=True, **(dict(IncludeClusterAuthorizedOperations=True) if version <= 10 else {})) if version >= 8 else {}
        shown = s.call("Metadata", version, dict(more, Topics=[dict(Name="lim-a"), dict(Name="rul-none")]))
    if any(row["Name"] == "rul-none" and row["ErrorCode"] == 0 for row in shown["Topics"]):
        s.served("rul-none")
    s.call("Metadata", 12, Topics=[dict(Name=None, TopicId=uuid)], AllowAutoTopicCreation=False)
    s.call("DeleteTopics", 6, Topics=[dict(TopicId=bytes(15) + b"\7")], TimeoutMs=5000)
    s.call("OffsetCommit", 10, GroupId="lim-o", Topics=[dict(TopicId=uuid, Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata="m")])])
    s.call("OffsetFetch", 10, Groups=[dict(GroupId="lim-o", Topics=[dict(TopicId=uuid, PartitionIndexes=[0])])])
    s.call("OffsetFetch", 8, Groups=[dict(GroupId="lim-o", Topics=None)])
    s.call("JoinGroup", 3, join(f"lim-j{len(s.seen)}"))
    s.call("DescribeGroups", 6, Groups=["lim-o"], IncludeAuthorizedOperations=True)
    s.call("ListGroups", 5, TypesFilter=["classic"])
    for version in range(3):
        s.call("DescribeCluster", version, IncludeClusterAuthorizedOperations=True)
    s.call("ConsumerGroupHeartbeat", 1, GroupId="lim-h", MemberId="m", MemberEpoch=0, RebalanceTimeoutMs=1000, SubscribedTopicNames=["lim-a"], TopicPartitions=[])
    s.call("ConsumerGroupDescribe", 1, GroupIds=["lim-h"], IncludeAuthorizedOperations=True)
    s.call("InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=1000)
    s.call("WriteTxnMarkers", 1, Markers=[dict(ProducerId=8000, ProducerEpoch=0, TransactionResult=True, Topics=[dict(Name="rul-none", PartitionIndexes=[0])])])
    s.call("DescribeConfigs", 4, Resources=[dict(ResourceType=kind, ResourceName=name, ConfigurationKeys=["nothing"]) for kind, name in ((2, "lim-a"), (4, "1"), (32, "lim-o"))])
    s.call("IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=kind, ResourceName=name, Configs=[]) for kind, name in ((2, "lim-a"), (4, "1"), (32, "lim-o"))], ValidateOnly=True)
    s.call("AlterUserScramCredentials", 0, Deletions=[dict(Name="nobody", Mechanism=1)])
    s.call("ListConfigResources", 1, ResourceTypes=[4])
    s.call("DescribeAcls", 3, sought(ResourceTypeFilter=6))
    s.call("DeleteAcls", 3, Filters=[sought(ResourceTypeFilter=6)])
    s.call("CreateAcls", 3, Creations=[])
    s.call("AlterReplicaLogDirs", 2, Dirs=[dict(Path="/x", Topics=[dict(Name="lim-a", Partitions=[0])])])
    s.call("DescribeDelegationToken", 3, Owners=None)
    s.call("ShareAcknowledge", 2, GroupId="lim-s", MemberId="A" * 22, ShareSessionEpoch=1, Topics=[dict(TopicId=uuid, Partitions=[])])


def barred(s, *rules):
    """Everything is allowed on the topic but what the rules deny."""
    rules = [rule(ResourceName="lim-a", Operation=ALL, Principal=ANYONE), *rules]
    uuid = s.topic("lim-a", 2)
    fill(s, "lim-a", 2)
    s.quiet("OffsetCommit", 7, commit("lim-o", ("lim-a", 0, 1, "m")))
    made(s, *rules)
    ask_all(s, uuid)
    taken(s)


def denial(kind, name, operation, **more):
    return rule(ResourceType=kind, ResourceName=name, Operation=operation, Principal=ANYONE, PermissionType=DENY, **more)


def case_topics(s):
    barred(s, denial(TOPIC, "lim-a", ALL))


def case_reading(s):
    barred(s, denial(TOPIC, "lim-a", READ))


def case_deleting(s):
    barred(s, denial(TOPIC, "lim-a", DELETE), denial(TOPIC, "lim-a", ALTER), denial(TOPIC, "lim-a", ALTER_CONFIGS), denial(TOPIC, "lim-a", DESCRIBE_CONFIGS))


def case_prefixed(s):
    barred(s, denial(TOPIC, "lim-", WRITE, ResourcePatternType=PREFIXED), denial(TOPIC, "rul-none", CREATE), denial(TOPIC, "lim-a", DELETE))


def case_groups(s):
    barred(s, denial(GROUP, "lim-", ALL, ResourcePatternType=PREFIXED), denial(TOPIC, "lim-a", DELETE))


def case_transactions(s):
    barred(s, denial(TRANSACTION, "*", ALL), denial(TOPIC, "lim-a", DELETE))
