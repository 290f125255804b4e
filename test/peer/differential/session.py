"""One broker as a case sees it: requests by name, answers without what must differ between two brokers.

    case(session) -> session.call("Metadata", 12, Topics=[...]) ...      first on one broker, then on the other
                         |
                     session.seen: [(request, answer)]                    compared step by step, field by field

What is taken out: ids are numbered by their first appearance, times and lengths of waiting are one word, texts of errors are only there or
not. A read-only request is asked again for a while when the answer is not the other one's: an Apache Kafka shows a change somewhat later.
"""
import collections
import re
import struct
import time
import zlib

import kafkaspec
from harness import patient
from rawkafka import Connection

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![\w-])[\w-]{22}(?![\w-])")
TEXTS = {"ErrorMessage", "Documentation", "BatchIndexErrorMessage", "AcknowledgeErrorMessage"}
# Fields whose values are one broker's own
OWN = {"ThrottleTimeMs": 0, "FinalizedFeaturesEpoch": "epoch", "ClusterId": "cluster", "Port": "port", "Host": "host", "LogDir": "dir", "ClientHost": "host",
       "TotalBytes": "bytes", "UsableBytes": "bytes", "PartitionSize": "bytes"}
IDS = {"ProducerId", "SessionId", "ProducerIds"}
READS = {"Metadata", "DescribeConfigs", "DescribeTopicPartitions", "ListOffsets", "DescribeGroups", "ConsumerGroupDescribe", "OffsetFetch",
         "ListGroups", "DescribeCluster", "DescribeAcls", "DescribeClientQuotas", "DescribeUserScramCredentials", "ListConfigResources",
         "DescribeProducers", "DescribeTransactions", "ListTransactions", "DescribeLogDirs", "ApiVersions", "DescribeQuorum",
         "ListPartitionReassignments", "ShareGroupDescribe", "DescribeShareGroupOffsets", "OffsetForLeaderEpoch", "FindCoordinator",
         "DescribeDelegationToken"}
KEYS = ("Name", "ApiKey", "TopicName", "Topic", "ResourceName", "GroupId", "MemberId", "TransactionalId", "PartitionIndex", "Partition", "EntityType", "User", "NodeId", "TopicId")
GZIP, HOUR_AFTER_1970, CLOSED, NO_ANSWER = 1, 3600000, "closed", "no answer"
SETTLED = collections.Counter()  # by port: changes that were waited for, which are the same ones on both brokers


class Session:
    def __init__(self, broker, expected=None, home=None):
        self.port, self.ports, self.home, self.expected = broker.port, getattr(broker, "ports", None), home, expected
        self.seen, self.pairs, self.connection, self.more = [], Pairs(), None, []

    def close(self):
        for connection in [self.connection, *self.more]:
            if connection is not None:
                connection.socket.close()
        self.connection, self.more = None, []

    def other(self, client_id="c"):
        """A connection of its own, for what waits."""
        self.more.append(Connection(self.port, client_id))
        return self.more[-1]

    def shared(self):
        if self.connection is None:
            self.connection = Connection(self.port)
            self.connection.socket.settimeout(patient(6))
        return self.connection

    def exchange(self, name, version, values):
        """The answer; or that there was none."""
        try:
            return kafkaspec.call(self.shared(), name, version, values)
        except (EOFError, ConnectionError):
            self.close()
            return CLOSED
        except TimeoutError:
            self.close()
            return NO_ANSWER

    def call(self, name, version, values=(), again=True, what=None, **more):
        """Asks and notes, under the words `what` if given; the answer as it is."""
        values = dict(values, **more)
        answer = self.exchange(name, version, values)
        if again and name in READS and self.expected is not None:
            until = time.monotonic() + 0.3
            while not self.as_expected(answer) and time.monotonic() < until:
                time.sleep(0.03)
                answer = self.exchange(name, version, values)
        self.note(f"{name} v{version}" + (f" {what}" if what else ""), values, answer)
        return answer

    def as_expected(self, answer):
        at = len(self.seen)
        return at < len(self.expected) and not any(differences(self.expected[at][2], ordered(normal(answer)), Pairs(self.pairs)))

    def note(self, label, values, answer):
        if self.expected is not None and len(self.seen) < len(self.expected):
            list(differences(self.expected[len(self.seen)][2], ordered(normal(answer)), self.pairs))
        self.seen.append((label, values, ordered(normal(answer)), answer))

    def quiet(self, name, version, values=(), **more):
        """Asks without noting, for what a case prepares."""
        return self.exchange(name, version, dict(values, **more))

    def until(self, ok, name, version, **values):
        """Asks until it is so; the last answer."""
        end = time.monotonic() + patient(15)
        answer = self.quiet(name, version, values)
        while not ok(answer) and time.monotonic() < end:
            time.sleep(0.02)
            answer = self.quiet(name, version, values)
        assert ok(answer), (name, values, answer)
        return answer

    def settle(self):
        """A change of configs is shown a moment before the log has it; nothing tells when, so one more change is waited for."""
        SETTLED[self.port] += 1
        name = f"settled-{SETTLED[self.port]}"
        self.quiet("CreateTopics", 7, Topics=[dict(Name=name, NumPartitions=1, ReplicationFactor=1)], timeoutMs=10000)
        self.served(name)

    def served(self, name, partitions=1):
        """Waits until the logs of a topic are there: an Apache Kafka shows it in Metadata a moment before it has them."""
        asked = [dict(Name=name, Partitions=[dict(PartitionIndex=part, Timestamp=-1) for part in range(partitions)])]
        self.until(lambda got: all(part["ErrorCode"] == 0 for part in got["Topics"][0]["Partitions"]), "ListOffsets", 7, ReplicaId=-1, Topics=asked)

    def raw(self, label, key, version, body, flexible):
        """Bytes as they are; noted: that there was an answer, or that the connection was closed."""
        try:
            self.shared().send(key, version, body, flexible=flexible)
            answer = self.connection.answer()
        except (EOFError, ConnectionError):
            answer = CLOSED
        except TimeoutError:
            answer = NO_ANSWER
        self.close()
        self.note(label, body, "an answer" if isinstance(answer, bytes) else answer)
        return answer

    def topic(self, name, partitions=1, **configs):
        """A topic that every part of the broker knows; its id."""
        rows = [dict(Name=config.replace("_", "."), Value=str(value)) for config, value in configs.items()]
        row = dict(Name=name, NumPartitions=partitions, ReplicationFactor=1, Configs=rows)
        self.quiet("CreateTopics", 7, Topics=[row], timeoutMs=10000)

        def there(answer):
            row = answer["Topics"][0]
            return row["ErrorCode"] == 0 and len(row["Partitions"]) == partitions and all(part["LeaderId"] >= 0 for part in row["Partitions"])

        topics = [dict(Name=name)]
        uuid = self.until(there, "Metadata", 12, Topics=topics, AllowAutoTopicCreation=False)["Topics"][0]["TopicId"]
        self.served(name, partitions)
        self.note(f"topic {name}", {}, uuid)
        return uuid


class Id:
    """An id that a broker has given, or a text with such ids. What is equal is said by Pairs."""

    def __init__(self, form, *values):
        self.form, self.values = form, values

    def __repr__(self):
        return self.form


class Pairs:
    """Which id of one broker is which of the other: those that were first seen in the same place belong together."""

    def __init__(self, of=None):
        self.there, self.here = (dict(of.there), dict(of.here)) if of else ({}, {})

    def fit(self, left, right):
        if not (isinstance(left, Id) and isinstance(right, Id)):
            return not isinstance(left, Id) and not isinstance(right, Id) and left == right
        return left.form == right.form and all([self.pair(one, other) for one, other in zip(left.values, right.values)])

    def pair(self, one, other):
        if one not in self.there and other not in self.here:
            self.there[one], self.here[other] = other, one
        return self.there.get(one) == other and self.here.get(other) == one


def normal(value, name=""):
    """A copy without what must differ."""
    if isinstance(value, dict):
        return {key: normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [normal(one, name) for one in value]
    if name in TEXTS:
        return None if value is None else "text" if value else ""
    if name in OWN:
        return value if value is None else OWN[name]
    if isinstance(value, bytes):
        return normal_bytes(value, name)
    if isinstance(value, str):
        found = UUID.findall(value)
        return Id(UUID.sub("UUID", value), *found) if found else value
    if name in IDS and value > 0:
        return Id(name, (name, value))
    if isinstance(value, int) and not isinstance(value, bool) and value > 1_000_000_000_000 and value < 1 << 42:
        return "time"
    return value


def normal_bytes(value, name):
    if len(value) == 16 and name not in ("Records", "Metadata", "Assignment"):
        return Id("UUID", value) if any(value) else "no-uuid"
    return normal_records(value) if name == "Records" else value


def normal_records(data):
    """Batches in words; what is left at the end by its length."""
    out = []
    while len(data) >= 61 and len(data) >= 12 + struct.unpack(">i", data[8:12])[0]:
        base, length, leader, magic, _, attributes, delta, first, last, pid, epoch, seq, count = struct.unpack(">qiibIhiqqqhii", data[:61])
        size = 12 + length
        times = [stamp if stamp < HOUR_AFTER_1970 else "recent" for stamp in (first, last)]
        content = data[61:12 + length]
        if attributes & 7 == GZIP:  # levels and libraries differ
            content, length = zlib.decompress(content, 31), "compressed"
        producer = Id("producer", ("ProducerId", pid)) if pid > 0 else pid
        out.append([f"batch {base}+{delta} length {length} leader {leader} magic {magic} attributes {attributes} times {times} "
                   f"epoch {epoch} seq {seq} count {count} {content!r}", producer])
        data = data[size:]
    return out + ([f"{len(data)} bytes"] if data else [])


def ordered(value):
    """Lists of structs in an order of their own: that of the answer is no promise."""
    if isinstance(value, dict):
        return {key: ordered(one) for key, one in value.items()}
    if isinstance(value, list):
        rows = [ordered(one) for one in value]
        return sorted(rows, key=repr) if all(isinstance(row, dict) for row in rows) else rows
    return value


def key_of(row):
    """What a struct in a list is known by: its first field that is a name or a number."""
    return next((row[key] for key in KEYS if isinstance(row, dict) and key in row), None)


def by_key(left, right, pairs):
    """The structs of two lists side by side; None where one has none. Known ids find each other, others go by their order."""
    rows = [{}, {}]
    for side, values, known in ((0, left, pairs.there), (1, right, pairs.here)):
        for row in values:
            key, number = key_of(row), 0
            if isinstance(key, Id):
                there = [known.get(value) if side == 0 else value for value in key.values if value in known]
                key = f"{key.form} {there}" if there else key.form
            while (key, number) in rows[side]:
                number += 1
            rows[side][key, number] = row
    for key in {**rows[0], **rows[1]}:
        yield repr(key[0]) if not isinstance(key[0], str) or " " not in key[0] else "UUID", rows[0].get(key), rows[1].get(key)


def differences(left, right, pairs, path=""):
    """(path, left value, right value) of what is not equal."""
    if isinstance(left, dict) and isinstance(right, dict):
        failed = left.get("ErrorCode") != right.get("ErrorCode")  # then the rest follows from it
        for key in ["ErrorCode"] if failed else {**left, **right}:
            yield from differences(left.get(key), right.get(key), pairs, f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and any(isinstance(row, dict) for row in left + right):
        for key, one, other in by_key(left, right, pairs):
            yield from differences(one, other, pairs, f"{path}[{key}]")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right)):
            yield from differences(one, other, pairs, f"{path}[{place}]")
    elif not pairs.fit(left, right):
        yield path, left, right
