"""Client quotas (KIP-13, KIP-124, KIP-219, KIP-599): whose answers tell a time to wait. How long is not compared: windows there, buckets here.

Limits are so far from what is asked that no machine is too slow or too fast for them; whoever asks comes on a connection of its own, because one that is
to wait is not read.
"""
import kafkaspec
from harness import patient
from rawkafka import Connection, batch

from .admin import entity, op
from .limits import PLAIN
from .records import STAMP, fill

PRODUCE, FETCH, REQUEST, MUTATION = "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"
TIGHT, LOOSE, LARGE, TRIES = 100.0, 1e9, 30000, 20


def limit(s, *who, **rates):
    """Sets quotas, None takes one away; they hold when this is over."""
    ops = [op(key, rate or 0.0, rate is None) for key, rate in rates.items()]
    answer = s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=entity(*who), Ops=ops)])
    assert answer["Entries"][0]["ErrorCode"] == 0, answer
    for _ in range(2):  # topics of one change of an Apache Kafka's metadata are there before its quotas, not before those of the last one
        s.settle()


def fresh(s, client, name, version, values):
    """The answer on a connection of its own."""
    with Connection(s.port, client) as connection:
        connection.socket.settimeout(patient(10))
        return kafkaspec.call(connection, name, version, values)


def told(answer):
    return answer.get("ThrottleTimeMs", 0) > 0


def ask(s, client, name, version, values, what=None, tries=1):
    """Notes the answer, and whether it told a time: in one of several tries when what has been asked before has to add up."""
    for _ in range(tries):
        answer = fresh(s, client, name, version, values)
        if told(answer):
            break
    s.note(f"{name} v{version} {client}" + (f" {what}" if what else ""), values, dict(answer, Throttled=told(answer)))
    return answer


def produced(size, topic="thr-t"):
    return dict(Acks=-1, TimeoutMs=5000, TopicData=[dict(Name=topic, PartitionData=[dict(Index=0, Records=batch(b"x" * size, timestamp=STAMP))])])


def fetched(most, topic="thr-f", offset=0):
    return dict(MaxWaitMs=0, MinBytes=0, MaxBytes=most, SessionEpoch=-1, Topics=[dict(Topic=topic, Partitions=[dict(Partition=0, FetchOffset=offset, PartitionMaxBytes=most)])])


def case_produce(s):
    s.topic("thr-t")
    uuid = s.quiet("Metadata", 12, Topics=[dict(Name="thr-t")])["Topics"][0]["TopicId"]
    limit(s, ("client-id", "thr-p"), **{PRODUCE: TIGHT})
    ask(s, "thr-p", "Produce", 9, produced(10), "a little")
    for version in range(3, 14):
        values = produced(LARGE)
        if version >= 13:
            values["TopicData"][0]["TopicId"] = uuid
            del values["TopicData"][0]["Name"]
        ask(s, "thr-p", "Produce", version, values)
        ask(s, "thr-free", "Produce", version, values)
    for name, version, values in (("Metadata", 12, dict(Topics=[])), ("Fetch", 12, fetched(1000, "thr-t")), ("ListGroups", 5, {}), ("CreateTopics", 7, dict(Topics=[])),
                                  ("Produce", 9, dict(Acks=1, TimeoutMs=1, TopicData=[]))):
        ask(s, "thr-p", "Produce", 9, produced(LARGE))
        ask(s, "thr-p", name, version, values, "of one that has produced too much")
    limit(s, ("client-id", "thr-p"), **{PRODUCE: LOOSE})
    ask(s, "thr-p", "Produce", 9, produced(LARGE), "with a loose limit")
    limit(s, ("client-id", "thr-p"), **{PRODUCE: None})
    ask(s, "thr-p", "Produce", 9, produced(LARGE), "without a limit")


def case_fetch(s):
    s.topic("thr-f")
    uuid = s.quiet("Metadata", 12, Topics=[dict(Name="thr-f")])["Topics"][0]["TopicId"]
    for _ in range(20):
        s.quiet("Produce", 9, produced(2000, "thr-f"))
    limit(s, ("client-id", "thr-c"), **{FETCH: TIGHT})
    ask(s, "thr-c", "Fetch", 12, fetched(10, offset=20), "nothing")
    ask(s, "thr-c", "Fetch", 12, fetched(LARGE), "much")
    for version in (4, 7, 11, 12, 13, 17):
        values = fetched(LARGE)
        if version >= 13:
            values["Topics"][0]["TopicId"] = uuid
            del values["Topics"][0]["Topic"]
        if version < 7:
            del values["SessionEpoch"]
        ask(s, "thr-c", "Fetch", version, values, tries=TRIES)
        ask(s, "thr-free", "Fetch", version, values)
    for name, version, values in (("Metadata", 12, dict(Topics=[])), ("Produce", 9, produced(10)), ("ListOffsets", 7, dict(ReplicaId=-1))):
        ask(s, "thr-c", "Fetch", 12, fetched(LARGE), tries=TRIES)
        ask(s, "thr-c", name, version, values, "of one that has fetched too much")
    ask(s, "thr-c", "Fetch", 12, dict(fetched(LARGE), SessionEpoch=0), "with a session", tries=TRIES)
    limit(s, ("client-id", "thr-c"), **{FETCH: None})
    ask(s, "thr-c", "Fetch", 12, fetched(LARGE), "without a limit")


def case_requests(s):
    """A millionth of a thread's time: each kind of request, until one has told."""
    s.topic("thr-t")
    limit(s, ("client-id", "thr-r"), **{REQUEST: 0.0001})
    for (name, version), values in PLAIN.items():
        if any(field.name == "ThrottleTimeMs" and version in field.versions for field in kafkaspec.api(name).response.fields):
            answer = None
            for _ in range(TRIES):
                answer = fresh(s, "thr-r", name, version, values)
                if told(answer):
                    break
            s.note(f"{name} v{version} told", {}, told(answer))
    for name, version, values in (("ApiVersions", 1, {}), ("ApiVersions", 3, dict(ClientSoftwareName="some", ClientSoftwareVersion="1.0")), ("ApiVersions", 3, dict(ClientSoftwareName="-")),
                                  ("Produce", 9, produced(10)), ("Fetch", 4, dict(MaxWaitMs=0, MinBytes=0, MaxBytes=1)), ("DescribeCluster", 2, {}), ("DescribeAcls", 3, dict(ResourceTypeFilter=1, PatternTypeFilter=1, Operation=1, PermissionType=1)),
                                  ("CreateDelegationToken", 3, dict(OwnerPrincipalType=None, OwnerPrincipalName=None)), ("WriteTxnMarkers", 1, {}), ("ShareGroupHeartbeat", 1, dict(GroupId="thr-s", MemberId="m", MemberEpoch=5)),
                                  ("ListConfigResources", 1, dict(ResourceTypes=[4])), ("AlterUserScramCredentials", 0, {}), ("InitProducerId", 4, dict(TransactionalId=None, TransactionTimeoutMs=1000))):
        ask(s, "thr-r", name, version, values, tries=TRIES)
    limit(s, ("client-id", "thr-r"), **{REQUEST: None})
    ask(s, "thr-r", "Metadata", 12, dict(Topics=[]), "without a limit")


def made(name, partitions):
    return dict(Topics=[dict(Name=name, NumPartitions=partitions, ReplicationFactor=1)], timeoutMs=10000)


def case_mutations(s):
    s.topic("thr-m", 1)
    for place in range(3):
        s.topic(f"thr-d-{place}", 20)
    limit(s, ("client-id", "thr-x"), **{MUTATION: 1.0})
    ask(s, "thr-x", "CreateTopics", 7, made("thr-bad", -5), "a bad one")
    ask(s, "thr-x", "CreateTopics", 7, dict(made("thr-only", 1), validateOnly=True), "only checked")
    ask(s, "thr-x", "CreateTopics", 7, made("thr-1", 150), "much")
    for version in range(2, 8):
        ask(s, "thr-x", "CreateTopics", version, made(f"thr-c-{version}", 60))
        ask(s, "thr-x", "CreateTopics", version, dict(made(f"thr-v-{version}", 60), validateOnly=True), "only checked")
        ask(s, "thr-free", "CreateTopics", version, made(f"thr-f-{version}", 1))
    for version in range(4):
        grown = dict(Topics=[dict(Name="thr-m", Count=60 + version * 20, Assignments=None)], TimeoutMs=10000)
        ask(s, "thr-x", "CreatePartitions", version, dict(grown, ValidateOnly=True), "only checked")
        ask(s, "thr-x", "CreatePartitions", version, grown)
    for version in range(4, 7):
        names = [f"thr-d-{version - 4}", "thr-none"]
        ask(s, "thr-x", "DeleteTopics", version, dict(TimeoutMs=10000, **(dict(TopicNames=names) if version < 6 else dict(Topics=[dict(Name=name) for name in names]))))
    ask(s, "thr-x", "Metadata", 12, dict(Topics=[]), "of one that has made too much")
    for version in (6, 7):
        for what, row in (("nothing", {}), ("no partitions", dict(Name="thr-z", NumPartitions=0, ReplicationFactor=1)), ("a bad name", dict(Name="thr z", NumPartitions=1, ReplicationFactor=1)),
                          ("a bad config", dict(Name="thr-z", NumPartitions=1, ReplicationFactor=1, Configs=[dict(Name="retention.ms", Value="x")])), ("several nodes", dict(Name="thr-z", NumPartitions=1, ReplicationFactor=3))):
            ask(s, "thr-x", "CreateTopics", version, dict(Topics=[row] if row else [], timeoutMs=10000), what)
    for version in (2, 3):
        for what, row in (("nothing", {}), ("no such", dict(Name="thr-none", Count=5)), ("fewer", dict(Name="thr-m", Count=1)), ("no number", dict(Name="thr-m", Count=-1))):
            ask(s, "thr-x", "CreatePartitions", version, dict(Topics=[dict(row, Assignments=None)] if row else [], TimeoutMs=10000), what)
    ask(s, "thr-x", "CreateTopics", 7, made("thr-m", 1), "one that is there")
    ask(s, "thr-x", "IncrementalAlterConfigs", 1, dict(Resources=[dict(ResourceType=2, ResourceName="thr-m", Configs=[])]))
    limit(s, ("client-id", "thr-x"), **{MUTATION: None})
    ask(s, "thr-x", "CreateTopics", 7, made("thr-last", 60), "without a limit")


ORDER = [[("client-id", None)], [("client-id", "thr-o")], [("user", None)], [("user", None), ("client-id", None)], [("user", None), ("client-id", "thr-o")], [("user", "ANONYMOUS")],
         [("user", "ANONYMOUS"), ("client-id", None)], [("user", "ANONYMOUS"), ("client-id", "thr-o")]]


def case_order(s):
    """Of several limits the one that is closest to the client counts."""
    s.topic("thr-t")
    for place, who in enumerate(ORDER):
        limit(s, *who, **{PRODUCE: LOOSE if place % 2 else TIGHT})
        for client in ("thr-o", "thr-other"):
            ask(s, client, "Produce", 9, produced(LARGE), f"with {place}")
    for place, who in enumerate(ORDER[::-1]):
        limit(s, *who, **{PRODUCE: None})
        ask(s, "thr-o", "Produce", 9, produced(LARGE), f"without {place}")


ENTITIES = [*ORDER, [("user", "thr-u")], [("user", "thr-u"), ("client-id", "thr-o")], [("user", "thr-u"), ("client-id", None)], [("ip", "10.1.2.3")], [("ip", None)]]


def case_described(s):
    """Every kind of entity, found by every kind of filter."""
    for place, who in enumerate(ENTITIES):
        rates = {"connection_creation_rate": 10.0 + place} if who[0][0] == "ip" else {PRODUCE: LOOSE + place, **({MUTATION: 0.5, REQUEST: 12.25} if place % 3 == 0 else {})}
        s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=entity(*who), Ops=[op(key, rate) for key, rate in rates.items()])])
    s.until(lambda got: len(got["Entries"]) >= len(ENTITIES), "DescribeClientQuotas", 1, Components=[])
    parts = {"user": [None, (0, "thr-u"), (0, "nobody"), (1, None), (2, None)], "client-id": [None, (0, "thr-o"), (0, "nobody"), (1, None), (2, None)], "ip": [None, (0, "10.1.2.3"), (0, "10.9.9.9"), (1, None), (2, None)]}
    for user in parts["user"]:
        for client in parts["client-id"]:
            for address in parts["ip"] if user is None or client is None else (None,):
                rows = [dict(EntityType=kind, MatchType=one[0], Match=one[1]) for kind, one in (("user", user), ("client-id", client), ("ip", address)) if one is not None]
                for strict in (False, True):
                    s.call("DescribeClientQuotas", 1, Components=rows, Strict=strict, what=f"{user} {client} {address} {strict}")
    entries = [dict(Entity=entity(("user", "thr-u")), Ops=[op(PRODUCE, LOOSE), op(FETCH, 5.0)]), dict(Entity=entity(("ip", "10.1.2.3")), Ops=[op(PRODUCE, 5.0)]), dict(Entity=entity(("client-id", "thr-w")), Ops=[op(FETCH, 7.0)])]
    for only in (True, False):  # one of several that is wrong
        s.call("AlterClientQuotas", 1, Entries=entries, ValidateOnly=only)
        s.call("DescribeClientQuotas", 1, Components=[dict(EntityType="client-id", MatchType=0, Match="thr-w")], Strict=True)
    for who in [*ENTITIES, [("client-id", "thr-w")]]:
        s.quiet("AlterClientQuotas", 1, Entries=[dict(Entity=entity(*who), Ops=[op(key, 0.0, True) for key in (("connection_creation_rate",) if who[0][0] == "ip" else (PRODUCE, FETCH, MUTATION, REQUEST))])])
    s.call("DescribeClientQuotas", 1, Components=[])
