"""A connection that speaks every API of spec/kafka by name, for tests that ask for one API and look at every field.

    with Client(port) as client:
        answer = client.call("DescribeConfigs", 4, Resources=[{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}])
        answer["Results"][0]["ErrorCode"]

Fields that are not given have their default (kafkaspec.py). Works against any Kafka. Python's standard library only.
"""
import socket
import struct

import kafkaspec


class Client:
    """`call` sends one request and waits for its answer; `send` and `receive` do it in two steps."""

    def __init__(self, port, client_id="test"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.client_id, self.correlation = client_id.encode(), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # what kafkaspec asks of a connection

    def send_body(self, key, version, body, flexible):
        self.correlation += 1
        head = struct.pack(">hhih", key, version, self.correlation, len(self.client_id)) + self.client_id
        frame = head + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError("the other side closed the connection")
            data += more
        return data

    def answer(self):
        frame = self.read(struct.unpack(">i", self.read(4))[0])
        assert struct.unpack(">i", frame[:4])[0] == self.correlation, "an answer to another request"
        return frame[4:]

    # by name

    def send(self, name, version, **values):
        kafkaspec.send(_Sender(self), name, version, **values)

    def receive(self, name, version):
        return kafkaspec.receive(self, name, version)

    def call(self, name, version, **values):
        self.send(name, version, **values)
        return self.receive(name, version)


class _Sender:
    """kafkaspec calls send with a key and bytes."""

    def __init__(self, client):
        self.client = client

    def send(self, key, version, body, flexible):
        self.client.send_body(key, version, body, flexible)
