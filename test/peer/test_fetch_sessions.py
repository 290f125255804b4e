#!/usr/bin/env python3
"""Fetch sessions (KIP-227) request by request: the table of ids and epochs, what an incremental answer holds, waiting, turns of
partitions, deleted topics, the limit of sessions. Codes as Apache Kafka 4.3 answers them."""
import random
import sys
import threading
import time
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call, receive, send  # noqa: E402
from rawkafka import Connection, batch, produce  # noqa: E402


class Fetcher:
    """Fetches one topic, by name (version 12) or by id (13 and later)."""

    def __init__(self, broker, topic, version=12):
        self.client, self.topic, self.version = Connection(broker.port), topic, version
        metadata = call(self.client, "Metadata", 12, Topics=[dict(Name=topic)], AllowAutoTopicCreation=False)
        self.id = metadata["Topics"][0]["TopicId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.socket.close()

    def send(self, session, epoch, parts=(), forget=(), wait=0, most=1 << 20, least=1, part_most=1 << 20, isolation=0):
        """`parts`: (partition, offset)."""
        topic = dict(TopicId=self.id) if self.version >= 13 else dict(Topic=self.topic)
        asked = [dict(Partition=part, FetchOffset=offset, PartitionMaxBytes=part_most) for part, offset in parts]
        send(self.client, "Fetch", self.version, MaxWaitMs=wait, MinBytes=least, MaxBytes=most, SessionId=session,
             SessionEpoch=epoch, IsolationLevel=isolation, Topics=[dict(topic, Partitions=asked)] if asked else [],
             ForgottenTopicsData=[dict(topic, Partitions=list(forget))] if forget else [])

    def receive(self):
        """(error, session, [(partition, error, high watermark, bytes)])"""
        answer = receive(self.client, "Fetch", self.version)
        rows = [(part["PartitionIndex"], part["ErrorCode"], part["HighWatermark"], len(part["Records"] or b""))
                for topic in answer["Responses"] for part in topic["Partitions"]]
        return answer["ErrorCode"], answer["SessionId"], rows

    def fetch(self, session, epoch, *arguments, **more):
        self.send(session, epoch, *arguments, **more)
        return self.receive()

    def begin(self, *parts, **more):
        error, session, _ = self.fetch(0, 0, parts, **more)
        assert error == 0 and session > 0
        return session


def create(broker, name, partitions):
    with Connection(broker.port) as client:
        topics = [dict(Name=name, NumPartitions=partitions, ReplicationFactor=1)]
        assert call(client, "CreateTopics", 7, Topics=topics, timeoutMs=10000)["Topics"][0]["ErrorCode"] == 0
        asked = [dict(Name=name, Partitions=[dict(PartitionIndex=part, Timestamp=-1) for part in range(partitions)])]
        # Apache Kafka answers before the partitions are there
        until(lambda: call(client, "ListOffsets", 7, ReplicaId=-1, Topics=asked)["Topics"][0]["Partitions"],
              lambda rows: all(row["ErrorCode"] == 0 for row in rows))


def write(broker, topic, partition, value=b"v"):
    with Connection(broker.port) as connection:
        error, _ = produce(connection, batch(value), topic=topic.encode(), partition=partition)
        assert error == 0, error


def until(ask, good):
    """The first good answer, or the last one after a while."""
    for _ in range(200):
        answer = ask()
        if good(answer):
            break
        time.sleep(0.05)
    return answer


def check_table(broker):
    create(broker, "table", 2)
    both, empty = [(0, 0), (1, 0)], [(0, 0, 0, 0), (1, 0, 0, 0)]
    for version in (7, 11, 12, 13, 16, 18):
        with Fetcher(broker, "table", version) as f:
            assert f.fetch(0, -1, both) == (0, 0, empty)  # no session
            error, session, rows = f.fetch(0, 0, both)
            assert error == 0 and session > 0 and rows == empty
            assert f.fetch(session, 1) == (0, session, [])  # nothing is new
            assert f.fetch(session, 2, [(0, 99)]) == (0, session, [(0, 1, -1, 0)])
            assert f.fetch(session, 3) == (0, session, [(0, 1, -1, 0)])  # an error is told again
            assert f.fetch(session, 4, [(0, 0)]) == (0, session, [(0, 0, 0, 0)])  # and that it is over
            assert f.fetch(session, 5) == (0, session, [])
            assert f.fetch(session, 9) == (71, 0, []) and f.fetch(session, 5) == (71, 0, [])
            assert f.fetch(session, 6, forget=[1]) == (0, session, [])
            assert f.fetch(session, 7, forget=[0]) == (0, 0, [])  # an empty session is closed
            assert f.fetch(session, 8) == (70, 0, [])
            assert f.fetch(12345, 3) == (70, 0, []) and f.fetch(0, 5, both) == (70, 0, [])
            session = f.begin(*both)
            assert f.fetch(session, -1, both) == (0, 0, empty)  # closes it
            assert f.fetch(session, 1) == (70, 0, [])
            session = f.begin((0, 0))
            error, other, rows = f.fetch(session, 0, both)  # closes it and begins another
            assert error == 0 and other not in (0, session) and rows == empty
            assert f.fetch(session, 1) == (70, 0, [])
            unknown = 3
            assert f.fetch(other, 1, [(9, 0)]) == (0, other, [(9, unknown, -1, 0)])
            assert f.fetch(other, 2) == (0, other, [(9, unknown, -1, 0)])
            f.version = 12 if version >= 13 else 13  # from ids to names within a session, or back
            assert f.fetch(other, 3) == (106, 0, [])
            f.version = version
            assert f.fetch(other, 3, forget=[9]) == (0, other, [])
            f.fetch(other, -1)


def check_news(broker):
    """Only what is new is answered, and everything that is."""
    create(broker, "news", 3)
    with Fetcher(broker, "news") as f:
        session = f.begin((0, 0), (1, 0), (2, 0))
        write(broker, "news", 1)
        error, _, rows = f.fetch(session, 1, wait=20000)
        assert error == 0 and [row[:3] for row in rows] == [(1, 0, 1)] and rows[0][3] > 0
        again = f.fetch(session, 2)[2]
        assert again == rows  # the client did not move its offset: the same records
        assert f.fetch(session, 3, [(1, 1)])[2] == []
        write(broker, "news", 0)
        write(broker, "news", 2)
        assert {row[0] for row in f.fetch(session, 4, wait=20000, least=100)[2]} == {0, 2}


def check_waiting(broker):
    create(broker, "wait", 2)
    with Fetcher(broker, "wait") as f, Fetcher(broker, "wait") as other:
        session = f.begin((0, 0), (1, 0))
        start = time.monotonic()
        assert f.fetch(session, 1, wait=300) == (0, session, []) and time.monotonic() - start > 0.28
        f.send(session, 2, wait=20000)
        in_use = until(lambda: other.fetch(session, 3), lambda answer: answer[0] != 71)
        assert in_use == (70, 0, [])  # by another request
        start = time.monotonic()
        write(broker, "wait", 1)
        error, _, rows = f.receive()
        assert error == 0 and [row[0] for row in rows] == [1] and time.monotonic() - start < 10
        f.send(session, 3, [(1, 1)], wait=20000, least=1000)
        for _ in range(3):
            write(broker, "wait", 0, b"x" * 400)  # two are not enough, three are
        error, _, rows = f.receive()
        assert error == 0 and rows[0][3] > 1000
        f.send(session, 4, [(0, 3)], wait=20000)
        in_use = until(lambda: other.fetch(session, 5), lambda answer: answer[0] != 71)
        assert in_use == (70, 0, [])
        f.client.socket.close()  # while it waits
        assert until(lambda: other.fetch(session, 5), lambda answer: answer[0] != 70) == (0, session, [])


def check_turns(broker):
    """A response that holds one batch only: the partitions come in turns, whole batches however small the limits."""
    create(broker, "turns", 4)
    for part in range(4):
        for _ in range(3):
            write(broker, "turns", part, b"x" * 5000)
    with Fetcher(broker, "turns") as f:
        error, session, rows = f.fetch(0, 0, [(part, 0) for part in range(4)], most=100)
        assert error == 0 and len(rows) == 4 and [row[3] > 5000 for row in rows].count(True) == 1
        served, offsets, epoch = [next(row[0] for row in rows if row[3])], {part: 0 for part in range(4)}, 1
        while len(served) < 12:
            offsets[served[-1]] += 1
            error, _, rows = f.fetch(session, epoch, [(served[-1], offsets[served[-1]])], most=100)
            full = [row for row in rows if row[3]]
            assert error == 0 and len(full) == 1 and full[0][3] > 5000, rows
            served.append(full[0][0])
            epoch += 1
        for turn in range(3):
            assert sorted(served[turn * 4:turn * 4 + 4]) == [0, 1, 2, 3], served
        session = f.begin((0, 0), (1, 0), part_most=10)
        rows = f.fetch(session, 1, part_most=10)[2]
        assert [row[3] > 5000 for row in rows].count(True) == 1


def check_deleted(broker):
    for version, code in ((12, 3), (13, 100)):
        create(broker, "gone", 2)
        with Fetcher(broker, "gone", version) as f, Connection(broker.port) as client:
            session = f.begin((0, 0), (1, 0))
            idle = f.begin((0, 0), (1, 0))
            f.send(session, 1, wait=20000)
            assert call(client, "DeleteTopics", 6, TimeoutMs=10000, Topics=[dict(Name="gone")])["Responses"][0]["ErrorCode"] == 0
            gone = [(0, code, -1, 0), (1, code, -1, 0)]
            error, _, rows = f.receive()  # as soon as the first of them is gone
            assert error == 0 and rows and set(rows) <= set(gone), rows
            assert sorted(f.fetch(session, 2)[2]) == gone
            start = time.monotonic()
            create(broker, "gone", 1)  # no session holds the old partitions
            assert time.monotonic() - start < 5
            write(broker, "gone", 0)
            rows = sorted(f.fetch(idle, 1)[2])
            if version == 12:  # the name stands for the new topic now
                assert rows[0][:3] == (0, 0, 1) and rows[1] == (1, 3, -1, 0), rows
            else:
                assert rows == [(0, 100, -1, 0), (1, 100, -1, 0)]
            call(client, "DeleteTopics", 6, TimeoutMs=10000, Topics=[dict(Name="gone")])


def check_limit(broker):
    create(broker, "limit", 1)
    with Fetcher(broker, "limit") as f, Connection(broker.port) as client:
        def slots(operation, text=None):
            name = "max.incremental.fetch.session.cache.slots"
            resources = [dict(ResourceType=4, ResourceName="1",
                              Configs=[dict(Name=name, ConfigOperation=operation, Value=text)])]
            answer = call(client, "IncrementalAlterConfigs", 1, Resources=resources)
            assert answer["Responses"][0]["ErrorCode"] == 0
        slots(0, "0")
        assert f.fetch(0, 0, [(0, 0)]) == (0, 0, [(0, 0, 0, 0)])  # declined: a full fetch without session
        slots(1)
        assert f.begin((0, 0)) > 0


def check_many(broker):
    """A thousand partitions where nothing happens: the answer is empty, and so is the request; one that changes is found."""
    create(broker, "many", 1000)
    with Fetcher(broker, "many") as f:
        session = f.begin(*[(part, 0) for part in range(1000)])
        assert f.fetch(session, 1) == (0, session, [])
        for epoch in range(2, 50):
            assert f.fetch(session, epoch) == (0, session, [])
        write(broker, "many", 777)
        error, _, rows = f.fetch(session, 50, wait=20000)
        assert error == 0 and [row[:3] for row in rows] == [(777, 0, 1)]


class Storm(threading.Thread):
    """A client that does to sessions what comes to its mind, also to those of others."""

    ids = [1]

    def __init__(self, broker, seed):
        super().__init__()
        self.broker, self.random, self.failure = broker, random.Random(seed), None

    def some_parts(self):
        return [(part, self.random.choice((0, 0, 0, 5, 99))) for part in range(4) if self.random.random() < 0.5]

    def step(self, f, mine):
        """The session to go on with: (id, epoch)."""
        session, epoch = mine
        turn = self.random.random()
        if turn < 0.15:
            session, epoch = self.random.choice(self.ids[-20:]), self.random.choice((-1, 0, 1, 2, 3))
        elif turn < 0.3 or session == 0:
            session, epoch = self.random.choice((0, session)), 0
        error, session, rows = f.fetch(session, epoch, self.some_parts(), forget=self.some_forgotten(),
                                       wait=self.random.choice((0, 0, 20)), isolation=self.random.choice((0, 1)))
        assert error in (0, 70, 71), error
        assert all(row[1] in (0, 1, 3, 100) for row in rows), rows
        self.ids.append(session)
        return (session, 1 if epoch <= 0 else epoch + 1) if error == 0 else (0, 0)

    def some_forgotten(self):
        return [part for part in range(4) if self.random.random() < 0.1]

    def run(self):
        try:
            for _ in range(5):
                with Fetcher(self.broker, self.random.choice(("storm0", "storm1")), 12) as f:
                    mine = (0, 0)
                    for _ in range(60):
                        mine = self.step(f, mine)
        except (AssertionError, OSError, EOFError) as error:
            self.failure = repr(error)


def check_storm(broker):
    """Many clients, records and deleted topics at once: every answer is one of those above, and nothing is held for ever."""
    storms = [Storm(broker, seed) for seed in range(6)]
    for name in ("storm0", "storm1"):
        create(broker, name, 4)
    for storm in storms:
        storm.start()
    with Connection(broker.port) as client, Connection(broker.port) as producer:
        turn = 0
        while any(storm.is_alive() for storm in storms):
            turn += 1
            topic = f"storm{turn % 2}"
            for part in range(4):
                assert produce(producer, batch(b"x" * 300), topic=topic.encode(), partition=part)[0] in (0, 3)
            if turn % 5 == 0:
                call(client, "DeleteTopics", 6, TimeoutMs=10000, Topics=[dict(Name=topic)])
                create(broker, topic, 4)
    for storm in storms:
        storm.join()
        assert storm.failure is None, storm.failure


def main():
    with Broker() as broker:
        for check in (check_table, check_news, check_waiting, check_turns, check_deleted, check_limit, check_many,
                      check_storm):
            check(broker)
    passed("fetch sessions", "ids and epochs, news only, waiting, turns, deleted topics, limits")


main()
