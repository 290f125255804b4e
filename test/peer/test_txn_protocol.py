#!/usr/bin/env python3
"""Transactions by raw requests: the state machine and each error to the letter, in old and new versions.

Expected values are those of Apache Kafka 4.x. With PEER_KAFKA=host:port the same requests go to a broker that runs there already,
so that expectation and peer can be compared.
"""
import os
import struct
import sys
import time
from pathlib import Path

from harness import Broker, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from rawkafka import Connection, batch, text  # noqa: E402

FIRST_FLEXIBLE = {22: 2, 24: 3, 25: 3, 26: 3, 28: 3, 0: 9, 9: 6, 8: 8, 61: 0, 65: 0, 66: 0, 10: 3, 27: 1, 11: 6, 18: 3, 3: 9}
stamp = f"{int(time.time() * 1000)}"
fresh = 0


def new_id():
    global fresh
    fresh += 1
    return f"txn-{stamp}-{fresh}".encode()


class Writer:
    """A request body in the old or the compact form."""

    def __init__(self, flexible):
        self.flexible, self.bytes = flexible, b""

    def number(self, form, value):
        self.bytes += struct.pack(">" + form, value)
        return self

    def length(self, count):
        if not self.flexible:
            return self.number("i", count)
        count += 1
        while count > 127:
            self.bytes += bytes([count & 127 | 128])
            count >>= 7
        self.bytes += bytes([count])
        return self

    def string(self, word):
        if self.flexible:
            self.length(-1 if word is None else len(word))
        else:
            self.number("h", -1 if word is None else len(word))
        self.bytes += word or b""
        return self

    def end(self):
        """Of a struct: no tagged fields."""
        if self.flexible:
            self.bytes += b"\0"
        return self


class Reader:
    def __init__(self, data, flexible):
        self.data, self.flexible = data, flexible

    def number(self, form):
        size = struct.calcsize(">" + form)
        value, self.data = struct.unpack(">" + form, self.data[:size])[0], self.data[size:]
        return value

    def length(self):
        if not self.flexible:
            return self.number("i")
        value, shift = 0, 0
        while True:
            byte, self.data = self.data[0], self.data[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value - 1

    def string(self):
        size = self.length() if self.flexible else self.number("h")
        if size < 0:
            return None
        word, self.data = self.data[:size], self.data[size:]
        return word

    def end(self):
        if self.flexible:
            assert self.data[0] == 0, self.data
            self.data = self.data[1:]


class Client:
    def __init__(self, port):
        self.connection = Connection(port)

    def ask(self, key, version, fill):
        flexible = version >= FIRST_FLEXIBLE[key]
        body = Writer(flexible)
        fill(body)
        self.connection.send(key, version, body.bytes, flexible=flexible)
        answer = self.connection.answer()
        return Reader(answer[1:] if flexible and key != 18 else answer, flexible)

    def init(self, name, version=4, timeout=60000, pid=-1, epoch=-1, retry=True):
        """(error, producer id, epoch)"""
        def fill(body):
            body.string(name).number("i", timeout)
            if version >= 3:
                body.number("q", pid).number("h", epoch)
            body.end()
        end = time.monotonic() + 30
        while True:
            answer = self.ask(22, version, fill)
            answer.number("i")
            result = answer.number("h"), answer.number("q"), answer.number("h")
            if not (retry and result[0] in (14, 15, 16, 51)) or time.monotonic() > end:
                return result
            time.sleep(0.02)

    def add(self, name, pid, epoch, topics=((b"t", [0]),), version=3, verify=False):
        """Errors by partition, in order."""
        def fill(body):
            if version >= 4:
                body.length(1)
            body.string(name).number("q", pid).number("h", epoch)
            if version >= 4:
                body.number("b", verify)
            body.length(len(topics))
            for topic, partitions in topics:
                body.string(topic).length(len(partitions))
                for partition in partitions:
                    body.number("i", partition)
                body.end()
            if version >= 4:
                body.end()
            body.end()
        answer = self.ask(24, version, fill)
        answer.number("i")
        if version >= 4:
            assert answer.number("h") == 0
            assert answer.length() == 1 and answer.string() == name
        errors = {}
        for _ in range(answer.length()):
            topic = answer.string()
            for _ in range(answer.length()):
                partition = answer.number("i")
                errors[topic, partition] = answer.number("h")
                answer.end()
            answer.end()
        return [errors[topic, partition] for topic, partitions in topics for partition in partitions]

    def end(self, name, pid, epoch, commit=True, version=3, retry=True):
        """error; from version 5 on (error, producer id, epoch)"""
        end = time.monotonic() + 30
        while True:
            answer = self.ask(26, version, lambda body: body.string(name).number("q", pid).number("h", epoch)
                              .number("b", commit).end())
            answer.number("i")
            error = answer.number("h")
            if not (retry and error == 51) or time.monotonic() > end:
                return error if version < 5 else (error, answer.number("q"), answer.number("h"))
            time.sleep(0.02)

    def produce(self, name, records, topic=b"t", partition=0, version=9, retry=True):
        """(error, base offset)"""
        def fill(body):
            body.string(name).number("h", -1).number("i", 5000).length(1).string(topic).length(1)
            body.number("i", partition).length(len(records))
            body.bytes += records
            body.end().end().end()
        end = time.monotonic() + 30
        while True:
            answer = self.ask(0, version, fill)
            assert answer.length() == 1 and answer.string() == topic and answer.length() == 1
            assert answer.number("i") == partition
            result = answer.number("h"), answer.number("q")
            if not (retry and result[0] in (19, 51, 6)) or time.monotonic() > end:
                return result
            time.sleep(0.02)

    def add_offsets(self, name, pid, epoch, group, version=3):
        answer = self.ask(25, version, lambda body: body.string(name).number("q", pid).number("h", epoch).string(group).end())
        answer.number("i")
        return answer.number("h")

    def commit_offset(self, name, pid, epoch, group, offset, version=3, generation=-1, member=b"", instance=None, topic=b"t",
                      metadata=b"", retry=True):
        def fill(body):
            body.string(name).string(group).number("q", pid).number("h", epoch)
            if version >= 3:
                body.number("i", generation).string(member).string(instance)
            body.length(1).string(topic).length(1).number("i", 0).number("q", offset)
            if version >= 2:
                body.number("i", -1)
            body.string(metadata).end().end().end()
        end = time.monotonic() + 30
        while True:
            answer = self.ask(28, version, fill)
            answer.number("i")
            assert answer.length() == 1
            answer.string()
            assert answer.length() == 1
            answer.number("i")
            error = answer.number("h")
            if not (retry and error in (14, 15, 16, 51)) or time.monotonic() > end:
                return error
            time.sleep(0.02)

    def fetch_offset(self, group, stable, topic=b"t"):
        """(error, offset)"""
        def fill(body):
            body.string(group).length(1).string(topic).length(1).number("i", 0).end().number("b", stable).end()
        answer = self.ask(9, 7, fill)
        answer.number("i")
        assert answer.length() == 1
        answer.string()
        assert answer.length() == 1
        answer.number("i")
        offset = answer.number("q")
        answer.number("i")
        answer.string()
        return answer.number("h"), offset

    def describe(self, name):
        """(error, state, timeout, started, producer id, epoch, {(topic, partition)})"""
        answer = self.ask(65, 0, lambda body: body.length(1).string(name).end())
        answer.number("i")
        assert answer.length() == 1
        error, _, state = answer.number("h"), answer.string(), answer.string()
        found = (error, state, answer.number("i"), answer.number("q"), answer.number("q"), answer.number("h"))
        parts = set()
        for _ in range(answer.length()):
            topic = answer.string()
            parts |= {(topic, answer.number("i")) for _ in range(answer.length())}
            answer.end()
        return found + (parts,)

    def settle(self, name):
        """Waits until markers are written: Apache Kafka answers EndTxn before."""
        while self.describe(name)[1].startswith(b"Prepare"):
            time.sleep(0.02)

    def list(self, states=(), pids=(), duration=None, pattern=None):
        """(error, unknown states, {id: (producer id, state)})"""
        version = 0 if duration is None else 1
        version = version if pattern is None else 2

        def fill(body):
            body.length(len(states))
            for state in states:
                body.string(state)
            body.length(len(pids))
            for pid in pids:
                body.number("q", pid)
            if version >= 1:
                body.number("q", -1 if duration is None else duration)
            if version >= 2:
                body.string(pattern)
            body.end()
        answer = self.ask(66, version, fill)
        answer.number("i")
        error = answer.number("h")
        unknown = [answer.string() for _ in range(answer.length())]
        found = {}
        for _ in range(answer.length()):
            name, pid, state = answer.string(), answer.number("q"), answer.string()
            answer.end()
            found[name] = (pid, state)
        return error, unknown, found

    def producers(self, topic, partition):
        """{producer id: (epoch, last sequence, coordinator epoch, start of its transaction)}, or an error."""
        answer = self.ask(61, 0, lambda body: body.length(1).string(topic).length(1).number("i", partition).end().end())
        answer.number("i")
        assert answer.length() == 1
        answer.string()
        assert answer.length() == 1
        answer.number("i")
        error = answer.number("h")
        answer.string()
        if error:
            return error
        found = {}
        for _ in range(answer.length()):
            pid, epoch, last = answer.number("q"), answer.number("i"), answer.number("i")
            answer.number("q")
            found[pid] = epoch, last, answer.number("i"), answer.number("q")
            answer.end()
        return found

    def write_marker(self, pid, epoch, commit, topic=b"t", partition=0, version=1):
        def fill(body):
            body.length(1).number("q", pid).number("h", epoch).number("b", commit).length(1).string(topic).length(1)
            body.number("i", partition).end().number("i", 0)
            if version >= 2:
                body.number("b", 0)
            body.end().end()
        answer = self.ask(27, version, fill)
        assert answer.length() == 1 and answer.number("q") == pid and answer.length() == 1
        answer.string()
        assert answer.length() == 1
        answer.number("i")
        return answer.number("h")

    def find_coordinators(self):
        """Apache Kafka makes the topics behind its coordinators when they are asked for first."""
        end = time.monotonic() + 30
        for kind in (0, 1):
            while time.monotonic() < end:
                answer = self.ask(10, 2, lambda body: body.string(b"x").number("b", kind))
                if answer.number("i") == 0 and answer.number("h") == 0:
                    break
                time.sleep(0.1)

    def metadata(self, topic=b"t"):
        """Makes the topic if need be, and waits until it is there."""
        for _ in range(100):
            answer = self.ask(3, 4, lambda body: body.length(1).string(topic).number("b", 1))
            if b"\0\0" + text(topic) in answer.data:
                return
            time.sleep(0.1)
        sys.exit(f"FAILED: no topic {topic}")


def data(pid, epoch, seq, value=b"v", transactional=True):
    return batch(value, attributes=0x10 if transactional else 0, pid=pid, epoch=epoch, seq=seq)


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found}, wanted {wanted}")


# --- the cases --------------------------------------------------------------------------------------------------------


def check_init(client):
    name = new_id()
    same(client.init(b"", retry=False)[0], 42, "an empty id")
    same(client.init(name, timeout=0)[0], 50, "no timeout")
    same(client.init(name, timeout=-1)[0], 50, "a negative timeout")
    same(client.init(name, timeout=900001)[0], 50, "a timeout above the limit")
    same(client.init(name, pid=5, epoch=-1)[0], 42, "a producer id without epoch")
    same(client.init(name, pid=-1, epoch=3)[0], 42, "an epoch without producer id")
    error, pid, epoch = client.init(name)
    same((error, epoch), (0, 0), "a new id")
    same(client.init(name, version=1), (0, pid, 1), "known: the epoch is bumped")
    same(client.init(name, pid=pid, epoch=1), (0, pid, 2), "recovery with the present epoch")
    same(client.init(name, pid=pid, epoch=1), (0, pid, 2), "recovery repeated")
    same(client.init(name, pid=pid, epoch=0)[0], 90, "recovery of a zombie")
    same(client.init(name, pid=pid, epoch=0, version=3)[0], 47, "recovery of a zombie, version 3")
    same(client.init(name, pid=pid + 100000, epoch=2)[0], 90, "recovery with a foreign producer id")
    other = client.init(None)
    assert other[0] == 0 and other[2] == 0 and other[1] != pid, other
    same(client.init(new_id(), pid=7, epoch=3)[2], 0, "recovery of an id that was forgotten")


def check_add(client):
    name = new_id()
    same(client.add(name, 5, 0), [49], "an unknown id")
    _, pid, epoch = client.init(name)
    same(client.add(b"", pid, 0), [42], "an empty id")
    same(client.add(name, pid + 1, epoch), [49], "another producer id")
    same(client.add(name, pid, epoch + 1), [90], "another epoch")
    same(client.add(name, pid, epoch + 1, version=1), [47], "another epoch, version 1")
    same(client.add(name, pid, epoch, ((b"t", [0, 99]),)), [55, 3], "an unknown partition spoils all")
    same(client.add(name, pid, epoch, ((b"t", [0]), (b"nowhere", [0]))), [55, 3], "an unknown topic")
    same(client.describe(name)[1], b"Empty", "nothing was added")
    same(client.add(name, pid, epoch, version=0), [0], "version 0")
    same(client.add(name, pid, epoch), [0], "repeated")
    same(client.add(name, pid, epoch, ((b"t", [0, 1]),)), [0, 0], "one more")
    found = client.describe(name)
    same(found[:3] + found[4:], (0, b"Ongoing", 60000, pid, epoch, {(b"t", 0), (b"t", 1)}), "described")
    assert abs(found[3] / 1000 - time.time()) < 60, found
    same(client.end(name, pid, epoch), 0, "commit")


def check_batched(client):
    """Versions 4 and 5, as brokers speak among themselves."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.add(name, pid, epoch, version=4, verify=True), [120], "verified: not in it")
    same(client.add(name, pid, epoch, version=4), [0], "added")
    same(client.add(name, pid, epoch, ((b"t", [0, 1]),), version=5, verify=True), [0, 120], "verified: one of two")
    same(client.add(name, pid, epoch + 1, version=5, verify=True), [90], "verified: another epoch")
    same(client.add(name, pid + 1, epoch, version=5, verify=True), [49], "verified: another producer id")
    same(client.end(name, pid, epoch, commit=False), 0, "abort")


def check_end(client):
    """EndTxn of version 3 in every state that can be waited for."""
    name = new_id()
    same(client.end(name, 5, 0), 49, "an unknown id")
    _, pid, epoch = client.init(name)
    same(client.end(b"", pid, epoch), 42, "an empty id")
    same(client.end(name, pid + 1, epoch), 49, "another producer id")
    same(client.end(name, pid, epoch + 1), 90, "another epoch")
    same(client.end(name, pid, epoch + 1, version=1), 47, "another epoch, version 1")
    for commit in (True, False):
        same(client.end(name, pid, epoch, commit), 48, "Empty")
    client.add(name, pid, epoch)
    same(client.end(name, pid, epoch, True), 0, "Ongoing, commit")
    same(client.end(name, pid, epoch, True), 0, "CompleteCommit, commit again")
    same(client.end(name, pid, epoch, False), 48, "CompleteCommit, abort")
    same(client.describe(name)[1], b"CompleteCommit", "state")
    client.add(name, pid, epoch)
    same(client.end(name, pid, epoch, False), 0, "Ongoing, abort")
    same(client.end(name, pid, epoch, False), 0, "CompleteAbort, abort again")
    same(client.end(name, pid, epoch, True), 48, "CompleteAbort, commit")
    same(client.describe(name)[1], b"CompleteAbort", "state")
    same(client.init(name), (0, pid, epoch + 1), "the next producer")


def check_end_bumped(client):
    """EndTxn of version 5 (KIP-890)."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(epoch, 0, "epoch")
    same(client.end(name, pid, 0, True, 5)[0], 48, "Empty, commit")
    same(client.end(name, pid, 0, False, 5), (0, pid, 1), "Empty, abort: bumped")
    same(client.end(name, pid, 0, False, 5), (0, pid, 1), "repeated: the same answer")
    same(client.end(name, pid, 1, False, 5), (0, pid, 2), "CompleteAbort, abort: bumped again")
    client.settle(name)
    same(client.add(name, pid, 2), [0], "Ongoing")
    same(client.end(name, pid, 1, True, 5)[0], 90, "Ongoing, the epoch before")
    same(client.end(name, pid, 3, True, 5)[0], 90, "Ongoing, a later epoch")
    same(client.end(name, pid, 2, True, 5), (0, pid, 3), "commit")
    same(client.end(name, pid, 2, True, 5), (0, pid, 3), "commit repeated")
    same(client.end(name, pid, 2, False, 5)[0], 48, "CompleteCommit, abort with the old epoch")
    same(client.end(name, pid, 3, True, 5)[0], 48, "CompleteCommit, commit with the new epoch")
    same(client.end(name, pid, 3, False, 5), (0, pid, 4), "CompleteCommit, abort with the new epoch")
    same(client.end(name, pid, 4, True, 5)[0], 48, "CompleteAbort, commit")
    same(client.end(name, pid, 9, False, 5)[0], 90, "an epoch that nobody has")


def check_fencing(client):
    """A second producer of the id: the first one's transaction is aborted and it is fenced everywhere."""
    name = new_id()
    _, pid, epoch = client.init(name)
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 0))[0], 0, "produce")
    error, _, _ = client.init(name, retry=False)
    same(error, 51, "while one is ongoing")
    same(client.init(name), (0, pid, epoch + 2), "then two epochs later")
    same(client.describe(name)[1], b"Empty", "state")
    same(client.add(name, pid, epoch), [90], "the first one adds")
    same(client.end(name, pid, epoch), 90, "the first one commits")
    same(client.produce(name, data(pid, epoch, 1))[0], 47, "the first one produces")
    same(client.produce(name, data(pid, epoch, 1), version=12)[0], 47, "the first one produces, version 12")
    same(client.add_offsets(name, pid, epoch, b"g"), 90, "the first one adds offsets")


def check_produce(client):
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.produce(None, data(pid, epoch, 0))[0], 53, "without transactional id")
    same(client.produce(new_id(), data(pid, epoch, 0))[0], 49, "an unknown id")
    same(client.produce(name, data(pid, epoch, 0), version=10)[0], 48, "not in it, version 10")
    same(client.produce(name, data(pid, epoch, 0), version=11)[0], 120, "not in it, version 11")
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 0), partition=1, version=11)[0], 120, "another partition")
    same(client.produce(name, data(pid, epoch, 0))[0], 0, "in it")
    same(client.produce(name, data(pid, epoch, 1, transactional=False))[0], 48, "a plain batch of the producer")
    same(client.produce(name, data(pid, epoch, 2))[0], 45, "a gap")
    same(client.end(name, pid, epoch), 0, "commit")
    client.settle(name)
    same(client.produce(name, data(pid, epoch, 1), version=11)[0], 120, "after the end")
    client.add(name, pid, epoch)
    same(client.produce(name, data(pid, epoch, 1))[0], 0, "version 1 goes on with its sequences")
    same(client.end(name, pid, epoch, False), 0, "abort")


def check_joins(client):
    """Produce of version 12 adds its partition by itself."""
    name = new_id()
    _, pid, epoch = client.init(name)
    same(client.produce(name, data(pid, epoch, 0), version=12)[0], 0, "joins")
    same(client.describe(name)[1:2] + client.describe(name)[6:], (b"Ongoing", {(b"t", 0)}), "described")
    same(client.produce(name, data(pid, epoch, 1), version=12)[0], 0, "goes on")
    same(client.produce(name, data(pid, epoch, 0), partition=1, version=12)[0], 0, "another one joins")
    same(client.describe(name)[6], {(b"t", 0), (b"t", 1)}, "described")
    same(client.end(name, pid, epoch, True, 5), (0, pid, epoch + 1), "commit")
    client.settle(name)
    same(client.produce(name, data(pid, epoch, 2), version=12)[0], 47, "late")
    same(client.produce(name, data(pid, epoch + 1, 1), version=12)[0], 45, "sequences start again")
    same(client.produce(name, data(pid, epoch + 1, 0), version=12)[0], 0, "the next transaction")
    same(client.produce(name, data(pid + 1, epoch, 0), version=12)[0], 49, "another producer id")
    same(client.end(name, pid, epoch + 1, False, 5), (0, pid, epoch + 2), "abort")


def check_offsets(client):
    name, group = new_id(), new_id()
    _, pid, epoch = client.init(name)
    same(client.add_offsets(name, pid + 1, epoch, group), 49, "another producer id")
    same(client.add_offsets(name, pid, epoch + 1, group), 90, "another epoch")
    same(client.add_offsets(name, pid, epoch + 1, group, version=1), 47, "another epoch, version 1")
    same(client.add_offsets(b"", pid, epoch, group), 42, "an empty id")
    same(client.commit_offset(name, pid, epoch, group, 5), 48, "not in a transaction, version 3")
    same(client.commit_offset(name, pid, epoch, group, 5, version=4), 120, "not in a transaction, version 4")
    same(client.add_offsets(name, pid, epoch, group), 0, "added")
    same(client.commit_offset(name, pid, epoch, b"", 5), 24, "no group")
    same(client.commit_offset(name, pid, epoch, group, 5, generation=1, member=b"m"), 22, "a generation of no group")
    same(client.commit_offset(name, pid, epoch, group, 5, topic=b"nowhere"), 3, "an unknown topic")
    same(client.commit_offset(name, pid, epoch, group, 5, metadata=b"x" * 4097), 12, "much metadata")
    same(client.commit_offset(name, pid, epoch, group, 5), 0, "committed")
    same(client.fetch_offset(group, False), (0, -1), "pending")
    same(client.fetch_offset(group, True)[0], 88, "pending, for who wants it stable")
    same(client.commit_offset(name, pid, epoch, group, 6, generation=1, member=b"m"), 25, "an unknown member")
    same(client.commit_offset(name, pid, epoch, group, 6), 0, "committed again")
    same(client.end(name, pid, epoch), 0, "commit")
    client.init(name)  # waits for the markers
    same(client.fetch_offset(group, True), (0, 6), "visible")
    _, pid, epoch = client.init(name)
    same(client.commit_offset(name, pid, epoch, group, 9, version=5), 0, "version 5 joins by itself")
    same(client.fetch_offset(group, False), (0, 6), "pending")
    same(client.commit_offset(name, pid, epoch + 1, group, 9, version=5), 47, "another epoch")
    same(client.commit_offset(name, pid + 1, epoch, group, 9, version=5), 49, "another producer id")
    same(client.end(name, pid, epoch, False, 5), (0, pid, epoch + 1), "abort")
    client.init(name)
    same(client.fetch_offset(group, True), (0, 6), "dropped")


def check_describe(client):
    name, other = new_id(), new_id()
    same(client.describe(name)[0], 105, "an unknown id")
    same(client.describe(b"")[0], 42, "an empty id")
    _, pid, epoch = client.init(name)
    _, other_pid, _ = client.init(other)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    error, unknown, found = client.list()
    assert error == 0 and unknown == [] and found[name] == (pid, b"Ongoing") and found[other] == (other_pid, b"Empty")
    found = client.list(states=(b"Ongoing", b"Nonsense"))
    assert found[1] == [b"Nonsense"] and name in found[2] and other not in found[2], found
    same(client.list(states=(b"Nonsense",))[2], {}, "only an unknown state")
    same(client.list(pids=(other_pid,))[2], {other: (other_pid, b"Empty")}, "by producer id")
    same(client.list(pids=(pid,), duration=0)[2], {name: (pid, b"Ongoing")}, "running for longer than nothing")
    same(client.list(pids=(pid,), duration=3600000)[2], {}, "running for an hour")
    same(client.producers(b"nowhere", 0), 3, "producers of an unknown topic")
    offset = client.producers(b"t", 0)[pid]
    assert offset[0] == epoch and offset[1] == 0 and offset[3] >= 0, offset
    same(client.end(name, pid, epoch), 0, "commit")
    client.init(name)
    same(client.producers(b"t", 0)[pid][3], -1, "nothing open")
    same(client.describe(name)[6], set(), "no partitions")


def check_patterns(client):
    name = new_id()
    _, pid, _ = client.init(name)
    same(client.list(pids=(pid,), pattern=name[:6] + b".*")[2], {name: (pid, b"Empty")}, "a pattern that fits")
    same(client.list(pids=(pid,), pattern=name[:6])[2], {}, "the whole id has to fit")
    same(client.list(pattern=b"(")[0], 128, "no pattern")


def check_write_markers(client):
    """An administrator ends a transaction that hangs in a partition."""
    name = new_id()
    _, pid, epoch = client.init(name)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    same(client.write_marker(pid, epoch, False, topic=b"nowhere"), 3, "an unknown topic")
    assert client.producers(b"t", 0)[pid][3] >= 0
    same(client.write_marker(pid, epoch, False), 0, "abort")
    same(client.producers(b"t", 0)[pid][3], -1, "nothing open")
    same(client.end(name, pid, epoch, False), 0, "the producer aborts")


def check_timeout(client):
    """A transaction older than its timeout is aborted, and its producer fenced."""
    name = new_id()
    _, pid, epoch = client.init(name, timeout=300)
    client.add(name, pid, epoch)
    client.produce(name, data(pid, epoch, 0))
    end = time.monotonic() + 60
    while client.describe(name)[1] != b"CompleteAbort" and time.monotonic() < end:
        time.sleep(0.1)
    same(client.describe(name)[1:2] + client.describe(name)[4:6], (b"CompleteAbort", pid, epoch + 1), "aborted")
    same(client.end(name, pid, epoch), 90, "the producer commits")
    same(client.produce(name, data(pid, epoch, 1))[0], 47, "the producer produces")
    same(client.init(name), (0, pid, epoch + 2), "the next one")


def check_exhausted(client):
    """The epochs of a producer id run out: transactions go on under a fresh one."""
    name = new_id()
    _, pid, epoch = client.init(name)
    for start in range(epoch, 32766, 200):  # in one go each: an abort of nothing takes the next epoch
        epochs = range(start, min(start + 200, 32766))
        for epoch in epochs:
            body = Writer(True).string(name).number("q", pid).number("h", epoch).number("b", 0).end()
            client.connection.send(26, 5, body.bytes, flexible=True)
        for epoch in epochs:
            answer = client.connection.answer()
            assert struct.unpack(">hqh", answer[5:17]) == (0, pid, epoch + 1), (answer, epoch)
    epoch = 32766
    same(client.produce(name, data(pid, epoch, 0), version=12)[0], 0, "the last epoch")
    error, second, epoch = client.end(name, pid, 32766, True, 5)
    assert error == 0 and second != pid and epoch == 0, (error, second, epoch)
    same(client.end(name, pid, 32766, True, 5), (0, second, 0), "repeated")
    same(client.produce(name, data(second, 0, 0), version=12)[0], 0, "the first epoch of the fresh one")
    same(client.end(name, second, 0, True, 5), (0, second, 1), "commit")


def check_features(client):
    def features(version):
        answer = client.ask(18, version, lambda body: body.string(b"test").string(b"1").end())
        return answer.data
    assert features(4).count(b"transaction.version") == 2, features(4)
    assert features(3).count(b"transaction.version") == 1, features(3)  # finalized only: its smallest level is 0


def check_coordinator(client):
    answer = client.ask(10, 4, lambda body: body.number("b", 1).length(2).string(b"one").string(b"two").end())
    answer.number("i")
    assert answer.length() == 2 and answer.string() == b"one" and answer.number("i") == 1
    answer = client.ask(10, 2, lambda body: body.string(b"one").number("b", 1))
    assert answer.number("i") == 0 and answer.number("h") == 0


def check_reserved(client):
    """Ids of the engine are not for clients."""
    name = b"rialto-engine"
    same(client.init(name)[0], 53, "init")
    same(client.add(name, 1, 0), [53], "add")
    same(client.add_offsets(name, 1, 0, b"g"), 53, "add offsets")
    same(client.end(name, 1, 0), 53, "end")
    same(client.produce(name, data(1, 0, 0))[0], 53, "produce")
    same(client.commit_offset(name, 1, 0, b"g", 5), 53, "commit offsets")


SHARED = (check_init, check_add, check_batched, check_end, check_end_bumped, check_fencing, check_produce, check_joins,
          check_offsets, check_describe, check_patterns, check_write_markers, check_timeout, check_features, check_coordinator,
          check_exhausted)


def check_expiry():
    """An id that nobody uses is forgotten, one with a transaction under way is not."""
    with Broker("transaction.abort.timed.out.transaction.cleanup.interval.ms=100", "transactional.id.expiration.ms=300") as broker:
        client = Client(broker.port)
        client.metadata()
        idle, busy = new_id(), new_id()
        _, pid, epoch = client.init(busy)
        client.add(busy, pid, epoch)
        client.init(idle)
        end = time.monotonic() + 30
        while client.describe(idle)[0] == 0 and time.monotonic() < end:
            time.sleep(0.05)
        same(client.describe(idle)[0], 105, "idle")
        broker.restart()
        client = Client(broker.port)
        same(client.describe(idle)[0], 105, "idle, after a restart")
        same(client.describe(busy)[1], b"Ongoing", "busy, after a restart")
        same(client.end(busy, pid, epoch), 0, "its commit")


def run(port, checks):
    client = Client(port)
    client.metadata()
    client.find_coordinators()
    failed = 0
    for check in checks:
        try:
            check(client)
        except (AssertionError, EOFError, KeyError) as error:
            failed += 1
            print(f"{check.__name__}: {error!r}")
            client = Client(port)
    return failed


def main():
    peer = os.environ.get("PEER_KAFKA")
    wanted = [check for check in SHARED + (check_reserved,) if not sys.argv[1:] or check.__name__ in sys.argv[1:]]
    if peer:
        sys.exit(run(int(peer.split(":")[1]), [check for check in wanted if check != check_reserved]))
    with Broker("transaction.abort.timed.out.transaction.cleanup.interval.ms=100") as broker:
        if run(broker.port, wanted):
            broker.fail("transactions by raw requests")
    if not sys.argv[1:]:
        check_expiry()
    passed("txn_protocol", f"{len(wanted)} groups of raw requests")


main()
