#!/usr/bin/env python3
"""Client quotas (KIP-13, KIP-546, KIP-599, KIP-612): the two requests as Apache Kafka 4.3 answers them, and what they do: throttle
times, connections that are not read, errors, precedence, restarts.

Windows are set to two of a second: a client may burst for one second's worth and then has to keep to the rate.
"""
import sys
import time
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection, batch  # noqa: E402
from rawkafka import produce as produce_raw  # noqa: E402

PRODUCE, FETCH, REQUEST, MUTATION = "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"
CONNECTION = "connection_creation_rate"


def alter(client, entity, *operations, validate=False):
    """The error code of one entry; `operations`: (key, value), None removes."""
    ops = [dict(Key=key, Value=0.0 if value is None else value, Remove=value is None) for key, value in operations]
    entries = [dict(Entity=[dict(EntityType=kind, EntityName=name) for kind, name in entity], Ops=ops)]
    return call(client, "AlterClientQuotas", 1, Entries=entries, ValidateOnly=validate)["Entries"][0]["ErrorCode"]


def describe(client, *components, strict=False, version=1):
    """(error code, {entity: {key: value}})"""
    asked = [dict(EntityType=kind, MatchType=match, Match=name) for kind, match, name in components]
    answer = call(client, "DescribeClientQuotas", version, Components=asked, Strict=strict)
    if answer["Entries"] is None:
        return answer["ErrorCode"], None
    return answer["ErrorCode"], {tuple((part["EntityType"], part["EntityName"]) for part in entry["Entity"]):
                                 {value["Key"]: value["Value"] for value in entry["Values"]} for entry in answer["Entries"]}


def check_requests(broker):
    with Connection(broker.port) as client:
        good = [
            ([("user", "u")], [(PRODUCE, 1e6)]), ([("user", "u"), ("client-id", "c,=%")], [(PRODUCE, 2e6), (REQUEST, 50.5)]),
            ([("client-id", None)], [(FETCH, 5e5)]), ([("user", None), ("client-id", None)], [(MUTATION, 0.5)]),
            ([("ip", "10.0.0.1")], [(CONNECTION, 10.0)]), ([("ip", None)], [(CONNECTION, 1e6)]), ([("user", "u")], []),
            ([("user", "u")], [(FETCH, None)]),
        ]
        for entity, operations in good:
            assert alter(client, entity, *operations) == 0, entity
        bad = [
            ([("ip", "10.0.0.2")], [(PRODUCE, 1.0)]), ([("user", "u")], [(CONNECTION, 1.0)]), ([("ip", "not so")], [(CONNECTION, 1.0)]),
            ([("ip", "10.0.0.1"), ("user", "u")], [(PRODUCE, 1.0)]), ([], [(PRODUCE, 1.0)]), ([("zone", "u")], [(PRODUCE, 1.0)]),
            ([("user", "u")], [("nothing", 1.0)]), ([("user", "u")], [(PRODUCE, -1.0)]), ([("user", "u")], [(PRODUCE, 0.0)]),
            ([("user", "u")], [(PRODUCE, 1.5)]), ([("user", "u")], [(PRODUCE, 1.0), (PRODUCE, 2.0)]), ([("user", "")], [(PRODUCE, 1.0)]),
            ([("user", "u")], [(PRODUCE, float("nan"))]), ([("user", "u")], [(PRODUCE, float("inf"))]),
        ]
        for entity, operations in bad:
            assert alter(client, entity, *operations) == 42, (entity, operations)
        assert alter(client, [("user", "v")], (PRODUCE, 1.0), validate=True) == 0
        same = dict(Entity=[dict(EntityType="user", EntityName="w")], Ops=[dict(Key=PRODUCE, Value=5.0)])
        answer = call(client, "AlterClientQuotas", 0, Entries=[same, same])["Entries"]
        assert [entry["ErrorCode"] for entry in answer] == [42]
        u, uc = (("user", "u"),), (("user", "u"), ("client-id", "c,=%"))
        dc, dd, ip, dip = (("client-id", None),), (("user", None), ("client-id", None)), (("ip", "10.0.0.1"),), (("ip", None),)
        everything = {u: {PRODUCE: 1e6}, uc: {PRODUCE: 2e6, REQUEST: 50.5}, dc: {FETCH: 5e5}, dd: {MUTATION: 0.5},
                      ip: {CONNECTION: 10.0}, dip: {CONNECTION: 1e6}}
        for version in (0, 1):
            assert describe(client, version=version) == (0, everything)
        filters = [
            ((), True, []), ((("user", 0, "u"),), False, [u, uc]), ((("user", 0, "u"),), True, [u]),
            ((("user", 1, None),), False, [dd]), ((("user", 2, None),), False, [u, uc, dd]), ((("user", 2, None),), True, [u]),
            ((("client-id", 0, "c,=%"),), False, [uc]), ((("client-id", 1, None),), True, [dc]),
            ((("user", 0, "u"), ("client-id", 0, "c,=%")), True, [uc]), ((("ip", 2, None),), False, [ip, dip]),
            ((("user", 0, "nobody"),), False, []),
        ]
        for components, strict, wanted in filters:
            assert describe(client, *components, strict=strict) == (0, {key: everything[key] for key in wanted}), components
        faults = [((("zone", 0, "u"),), 35), ((("user", 7, "u"),), 42), ((("user", 0, "u"), ("user", 1, None)), 42),
                  ((("user", 0, None),), 42), ((("user", 1, "u"),), 42), ((("", 0, "u"),), 42),
                  ((("ip", 0, "10.0.0.1"), ("user", 0, "u")), 42)]
        for components, wanted in faults:
            assert describe(client, *components) == (wanted, None), components
        for entity, values in everything.items():
            assert alter(client, list(entity), *[(key, None) for key in values]) == 0
        assert describe(client) == (0, {})


def produce(client, size, topic="q"):
    """The throttle time of a produce."""
    data = [dict(Name=topic, PartitionData=[dict(Index=0, Records=batch(b"x" * size))])]
    answer = call(client, "Produce", 9, Acks=-1, TimeoutMs=1000, TopicData=data)
    assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0
    return answer["ThrottleTimeMs"]


def fetch(client, topic="q", most=10000):
    asked = [dict(Topic=topic, Partitions=[dict(Partition=0, FetchOffset=0, PartitionMaxBytes=most)])]
    answer = call(client, "Fetch", 12, MaxWaitMs=0, MinBytes=1, MaxBytes=most, SessionEpoch=-1, Topics=asked)
    return answer["ThrottleTimeMs"], len(answer["Responses"][0]["Partitions"][0]["Records"])


def end_of(client, topic="q"):
    asked = [dict(Name=topic, Partitions=[dict(PartitionIndex=0, Timestamp=-1)])]
    return call(client, "ListOffsets", 7, ReplicaId=-1, Topics=asked)["Topics"][0]["Partitions"][0]["Offset"]


def check_rates(broker):
    """Bytes beyond a second's burst come at the rate, whoever does not believe the time that he was told."""
    rate = 20000.0
    with Connection(broker.port) as admin, Connection(broker.port, "slow") as slow, Connection(broker.port, "free") as free:
        assert alter(admin, [("client-id", "slow")], (PRODUCE, rate), (FETCH, rate)) == 0
        assert produce(slow, 1000) == 0
        start, sent, told = time.monotonic(), 0, []
        while sent < 4 * rate:
            told.append(produce(slow, 5000))
            sent += 5000
        took = time.monotonic() - start
        # the burst is free, and so is the last request: its debt is paid after its answer
        assert took > (sent - rate - 5000 - 1100) / rate - 0.1, (took, told)
        assert 0 < max(told) < 1000 and produce(free, 50000) == 0, told
        time.sleep(1.2)
        start, read, told = time.monotonic(), 0, []
        while read < 4 * rate:
            throttle, size = fetch(slow)
            told.append(throttle)
            read += size
        took = time.monotonic() - start
        assert took > (read - rate - 10100) / rate - 0.1 and max(told) > 0, (took, told)
        assert fetch(free)[0] == 0
        assert fetch(slow, most=1000000)[1] <= rate < fetch(free, most=1000000)[1]  # what the windows hold, which is a second's worth here
        # two connections of one client id share what it has
        with Connection(broker.port, "slow") as second, Connection(broker.port, "slow") as third:
            produce(third, 500000)  # more than 20 s
            assert produce(second, 100) > 0
        assert alter(admin, [("client-id", "slow")], (PRODUCE, None), (FETCH, None)) == 0
        assert produce(slow, 100000) == 0 and produce(slow, 100000) == 0


def check_muted(broker):
    """A connection that is throttled is answered at once and not read until the time is over; other connections are."""
    with Connection(broker.port) as admin, Connection(broker.port, "mute") as muted:
        assert alter(admin, [("client-id", "mute")], (PRODUCE, 10000.0)) == 0
        start = time.monotonic()
        throttle = produce(muted, 40000)
        assert time.monotonic() - start < throttle / 1000 and 1000 < throttle < 3100, throttle
        answered = time.monotonic()
        call(muted, "ApiVersions", 0)
        assert time.monotonic() - answered > throttle / 1000 - 0.1
        with Connection(broker.port, "other") as other:
            assert call(other, "ApiVersions", 1)["ThrottleTimeMs"] == 0
        produce(muted, 30000)
        muted.socket.close()  # while it is muted
        assert alter(admin, [("client-id", "mute")], (PRODUCE, None)) == 0
        assert alter(admin, [("client-id", "c")], (PRODUCE, 10000.0)) == 0
        with Connection(broker.port) as connection:  # of client id c; nobody is told with acks=0, but it counts
            start, end = time.monotonic(), end_of(admin)
            produce_raw(connection, batch(b"x" * 40000), topic=b"q", acks=0)
            while end_of(admin) == end:
                time.sleep(0.01)
            connection.send(18, 0, b"")
            connection.answer()
            assert time.monotonic() - start > 2
        assert alter(admin, [("client-id", "c")], (PRODUCE, None)) == 0


def check_request_time(broker):
    with Connection(broker.port) as admin, Connection(broker.port, "busy") as busy:
        assert alter(admin, [("client-id", "busy")], (REQUEST, 0.0001)) == 0  # a microsecond of a thread a second
        told = [call(busy, "Metadata", 12, Topics=None)["ThrottleTimeMs"] for _ in range(3)]
        assert max(told) > 0 and all(time_ms <= 1000 for time_ms in told), told
        assert alter(admin, [("client-id", "busy")], (REQUEST, None)) == 0


def check_mutations(broker):
    def make(client, name, partitions, version):
        topics = [dict(Name=name, NumPartitions=partitions, ReplicationFactor=1)]
        answer = call(client, "CreateTopics", version, Topics=topics)
        return answer["Topics"][0]["ErrorCode"], answer["ThrottleTimeMs"]
    with Connection(broker.port) as admin, Connection(broker.port, "maker") as maker:
        assert alter(admin, [("client-id", "maker")], (MUTATION, 5.0)) == 0
        assert make(maker, "m1", 5, 7) == (0, 0)
        assert make(maker, "m2", 50, 7) == (0, 0)  # into debt: done; who asks for more is refused, and told
        assert call(maker, "Metadata", 12, Topics=[])["ThrottleTimeMs"] == 0
        with Connection(broker.port, "maker") as second:
            error, throttle = make(second, "m3", 1, 7)
            assert error == 89 and 5000 < throttle <= 10000, throttle
        with Connection(broker.port, "maker") as old:  # knows no error for it: done, and throttled
            error, throttle = make(old, "m4", 1, 5)
            assert error == 0 and throttle > 0
        with Connection(broker.port, "maker") as second:
            topics = [dict(Name="m1", Count=6, Assignments=None)]
            assert call(second, "CreatePartitions", 3, Topics=topics)["Results"][0]["ErrorCode"] == 89
        with Connection(broker.port, "maker") as second:
            answer = call(second, "DeleteTopics", 6, Topics=[dict(Name="m1")])
            assert answer["Responses"][0]["ErrorCode"] == 89 and answer["ThrottleTimeMs"] > 0
        for error, name, version, fields in (  # what is wrong anyway says so
                (36, "CreateTopics", 7, dict(Topics=[dict(Name="m1", NumPartitions=1, ReplicationFactor=1)])), (3, "DeleteTopics", 6, dict(Topics=[dict(Name="none")])),
                (3, "CreatePartitions", 3, dict(Topics=[dict(Name="none", Count=6, Assignments=None)])), (37, "CreatePartitions", 3, dict(Topics=[dict(Name="m1", Count=2, Assignments=None)]))):
            with Connection(broker.port, "maker") as second:
                answer = call(second, name, version, fields)
                assert answer[{"DeleteTopics": "Responses", "CreatePartitions": "Results"}.get(name, "Topics")][0]["ErrorCode"] == error, answer
        assert alter(admin, [("client-id", "maker")], (MUTATION, None)) == 0
        assert make(admin, "m5", 50, 7) == (0, 0)


def check_precedence(broker):
    """From the most general to the most specific: each one that is added decides."""
    order = [[("client-id", None)], [("client-id", "p")], [("user", None)], [("user", None), ("client-id", None)],
             [("user", None), ("client-id", "p")], [("user", "ANONYMOUS")], [("user", "ANONYMOUS"), ("client-id", None)],
             [("user", "ANONYMOUS"), ("client-id", "p")]]
    with Connection(broker.port) as admin:
        for place, entity in enumerate(order):
            tight = place % 2 == 0  # tight and loose limits in turns
            assert alter(admin, entity, (PRODUCE, 2000.0 if tight else 1e9)) == 0
            with Connection(broker.port, "p") as client:
                produce(client, 3000)
                assert (produce(client, 3000) > 0) == tight, entity
            time.sleep(0.01)
        for entity in order:
            assert alter(admin, entity, (PRODUCE, None)) == 0


def check_connections(broker):
    with Connection(broker.port) as admin:
        assert alter(admin, [("ip", "127.0.0.1")], (CONNECTION, 1.0)) == 0
        served = 0
        for _ in range(20):
            with Connection(broker.port) as connection:
                try:
                    connection.send(18, 0, b"")
                    connection.answer()
                    served += 1
                except (EOFError, ConnectionError):
                    pass
        assert 1 <= served < 20, served
        assert alter(admin, [("ip", "127.0.0.1")], (CONNECTION, 1e6)) == 0
        assert call(admin, "ApiVersions", 1)["ThrottleTimeMs"] == 0  # an open connection stays
        assert alter(admin, [("ip", "127.0.0.1")], (CONNECTION, None)) == 0


def check_restart(broker):
    with Connection(broker.port) as client:
        assert alter(client, [("user", "ANONYMOUS")], (PRODUCE, 3000.0)) == 0
    broker.restart()
    with Connection(broker.port) as client:
        assert describe(client) == (0, {(("user", "ANONYMOUS"),): {PRODUCE: 3000.0}})
        produce(client, 3000)
        assert produce(client, 3000) > 0


def main():
    with Broker() as broker:
        with Connection(broker.port) as client:
            call(client, "CreateTopics", 7, Topics=[dict(Name="q", NumPartitions=1, ReplicationFactor=1)])
            configs = [dict(Name="quota.window.num", Value="2")]
            call(client, "IncrementalAlterConfigs", 1, Resources=[dict(ResourceType=4, ResourceName="1", Configs=configs)])
        for check in (check_requests, check_rates, check_muted, check_request_time, check_mutations, check_precedence,
                      check_connections, check_restart):
            check(broker)
    passed("quotas", "entities, filters, bytes, thread time, changes of topics, connections")


main()
