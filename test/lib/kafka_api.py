"""Kafka's requests by name, from the message descriptions in spec/kafka: for tests that ask for one API and look at every field.

    with Client(port) as client:
        answer = client.call("DescribeConfigs", 4, Resources=[{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}])
        answer["Results"][0]["ErrorCode"]

Fields that are not given have their default. Works against any Kafka. Python's standard library only.
"""
import importlib.util
import socket
import struct
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {"bool": ">?", "int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "uint16": ">H", "uint32": ">I",
           "float64": ">d"}


def _generator():
    spec = importlib.util.spec_from_file_location("gen_wire", ROOT / "tools/gen_wire.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_Message = _generator().Message


def _load(name):
    message = _Message(ROOT / f"spec/kafka/{name}.msg")
    for body in message.bodies.values():  # a struct is described where it occurs first
        known = {}

        def walk(fields):
            for field in fields:
                if field.is_struct:
                    field.fields = known.setdefault(field.type, field.fields)
                    walk(field.fields)
        walk(body)
    return message


def _within(versions, version):
    return versions[0] <= version <= versions[1]


def uvarint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


class _Writer:
    def __init__(self, version, flexible):
        self.version, self.flexible = version, flexible

    def length(self, size, narrow):
        """Of a string (narrow: two bytes), bytes or array; None: null."""
        if self.flexible:
            return uvarint(0 if size is None else size + 1)
        return struct.pack(">h" if narrow else ">i", -1 if size is None else size)

    def value(self, field, value):
        if field.type in NUMBERS:
            return struct.pack(NUMBERS[field.type], value)
        if field.type == "uuid":
            return uuid.UUID(int=0).bytes if value is None else value
        if field.type == "string":
            data = None if value is None else value.encode() if isinstance(value, str) else value
            return self.length(None if data is None else len(data), True) + (data or b"")
        if field.type in ("bytes", "records"):
            return self.length(None if value is None else len(value), False) + (value or b"")
        if field.null != (0, -1) and not field.array:  # a struct that may be null
            return b"\xff" if value is None else b"\x01" + self.fields(field.fields, value)
        return self.fields(field.fields, value)

    def field(self, field, value):
        if not field.array:
            return self.value(field, value)
        items = b"".join(self.element(field, item) for item in value or [])
        return self.length(None if value is None else len(value), False) + items

    def element(self, field, item):
        return self.fields(field.fields, item) if field.is_struct else self.value(field, item)

    @staticmethod
    def default(field):
        if field.default == "null":
            return None
        if field.array:
            return []
        if field.type in NUMBERS:
            number = {None: "0", "true": "1", "false": "0"}.get(field.default, field.default)
            return float(number) if field.type == "float64" else int(number, 0)
        return {"string": "", "bytes": b"", "records": None, "uuid": None}.get(field.type, {})

    def fields(self, fields, values):
        unknown = set(values) - {field.name for field in fields}
        assert not unknown, f"no such fields: {unknown}"
        out, tagged = b"", []
        for field in fields:
            value = values.get(field.name, self.default(field))
            if _within(field.tagged, self.version) and self.flexible:
                if field.name in values:
                    tagged.append((field.tag, self.field(field, value)))
            elif _within(field.versions, self.version):
                out += self.field(field, value)
        if self.flexible:
            out += uvarint(len(tagged)) + b"".join(uvarint(tag) + uvarint(len(data)) + data for tag, data in sorted(tagged))
        return out


class _Reader:
    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def take(self, size):
        assert self.at + size <= len(self.data), "the answer ends early"
        self.at += size
        return self.data[self.at - size:self.at]

    def uvarint(self):
        number, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def length(self, narrow):
        if self.flexible:
            return self.uvarint() - 1
        return struct.unpack(">h" if narrow else ">i", self.take(2 if narrow else 4))[0]

    def value(self, field, element=False):
        if field.type in NUMBERS:
            return struct.unpack(NUMBERS[field.type], self.take(struct.calcsize(NUMBERS[field.type])))[0]
        if field.type == "uuid":
            return self.take(16)
        if field.type in ("string", "bytes", "records"):
            size = self.length(field.type == "string")
            if size < 0:
                return None
            return self.take(size).decode() if field.type == "string" else self.take(size)
        if field.null != (0, -1) and not element and self.take(1) == b"\xff":
            return None
        return self.fields(field.fields)

    def field(self, field):
        if not field.array:
            return self.value(field)
        count = self.length(False)
        return None if count < 0 else [self.value(field, True) for _ in range(count)]

    def fields(self, fields):
        out, tags = {}, {}
        for field in fields:
            if _within(field.tagged, self.version) and self.flexible:
                tags[field.tag] = field
                out[field.name] = _Writer.default(field)
            elif _within(field.versions, self.version):
                out[field.name] = self.field(field)
        for _ in range(self.uvarint() if self.flexible else 0):
            tag, size = self.uvarint(), self.uvarint()
            end = self.at + size
            if tag in tags:
                out[tags[tag].name] = self.field(tags[tag])
            assert self.at <= end
            self.at = end
        return out


class Client:
    """A connection; `call` sends one request and waits for its answer."""

    def __init__(self, port, client_id="test", host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=30)
        self.client_id, self.correlation, self.messages = client_id, 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def message(self, name):
        if name not in self.messages:
            self.messages[name] = _load(name)
        return self.messages[name]

    def send(self, name, version, **values):
        message = self.message(name)
        flexible = version >= message.flexible
        self.correlation += 1
        client = b"\xff\xff" if self.client_id is None else \
            struct.pack(">h", len(self.client_id)) + self.client_id.encode()
        head = struct.pack(">hhi", message.key, version, self.correlation) + client + (b"\0" if flexible else b"")
        body = _Writer(version, flexible).fields(message.bodies[name + "Request"], values)
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError("the other side closed the connection")
            data += more
        return data

    def receive(self, name, version):
        message = self.message(name)
        flexible = version >= message.flexible
        frame = self.read(struct.unpack(">i", self.read(4))[0])
        reader = _Reader(frame, version, flexible)
        assert struct.unpack(">i", reader.take(4))[0] == self.correlation, "an answer to another request"
        if flexible and name != "ApiVersions":
            assert reader.take(1) == b"\0"
        answer = reader.fields(message.bodies[name + "Response"])
        assert reader.at == len(frame), f"{name} v{version}: {len(frame) - reader.at} bytes follow the answer"
        return answer

    def call(self, name, version, **values):
        self.send(name, version, **values)
        return self.receive(name, version)
