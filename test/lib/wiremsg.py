"""Kafka's messages for tests, read from spec/kafka: dictionaries to bytes and back, in any version. Shares nothing with the
program but the descriptions (spec/kafka/README.md says how they are written). Python's standard library only."""
import re
import struct
import uuid
from pathlib import Path

SPEC = Path(__file__).resolve().parents[2] / "spec/kafka"
NUMBERS = {"bool": ">?", "int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "uint16": ">H", "uint32": ">I", "float64": ">d"}
NEVER = (1, 0)


def span(text):
    low, high = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text).group(1), text
    return int(low), 1 << 15 if high.endswith("+") else int(high.split("-")[-1])


def within(version, versions):
    return versions[0] <= version <= versions[1]


class Field:
    def __init__(self, text):
        name, kind, versions, rest = re.fullmatch(r"(\w+): (\[?\w+\]?) ([\d+-]+)(.*)", text).groups()
        self.name, self.array, self.kind = name, kind.startswith("["), kind.strip("[]")
        self.versions, self.null, self.tag, self.tagged = span(versions), NEVER, None, NEVER
        self.inflexible, self.default, self.fields = False, None, []
        for part in filter(None, rest.split(", ")):
            word, _, value = part.partition(" ")
            if word == "null":
                self.null = span(value)
            elif word == "tag":
                self.tag, self.tagged = int(value.split()[0]), span(value.split()[1])
            elif word == "default":
                self.default = value
            self.inflexible |= word == "inflexible"

    def initial(self, version):
        if self.default == "null":
            return None
        if self.array:
            return []
        if self.kind in NUMBERS:
            return {None: 0, "true": True, "false": False}.get(self.default) if self.default in (None, "true", "false") else int(self.default, 0)
        if self.kind in ("string", "bytes", "records", "uuid"):
            return {"string": self.default or "", "uuid": uuid.UUID(int=0)}.get(self.kind, b"")
        return {}


class Message:
    """The messages of one API: bodies["request"], bodies["response"]."""

    def __init__(self, path):
        self.bodies, self.flexible = {}, 1 << 15
        stack, structs = None, {}
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or words[0] == "#":
                continue
            if line.startswith(" "):
                depth = (len(line) - len(line.lstrip())) // 4
                field = Field(line.strip())
                del stack[depth:]
                stack[depth - 1].append(field)
                if field.kind in structs:
                    field.fields = structs[field.kind]
                structs.setdefault(field.kind, field.fields)
                stack.append(field.fields)
            elif words[0] == "api":
                self.key, self.name = int(words[1]), words[2]
            elif words[0] == "versions":
                self.versions = span(words[1])
            elif words[0] == "flexible":
                self.flexible = span(words[1])[0]
            else:
                stack, structs = [[]], {}
                self.bodies[words[0]] = stack[0]

    # encoding ---------------------------------------------------------------------------------------------------------

    def encode(self, body, version, values):
        return self._struct(self.bodies[body], version, version >= self.flexible, values)

    def _struct(self, fields, version, flex, values):
        out = b""
        for field in fields:
            if within(version, field.versions) and not within(version, field.tagged):
                value = values.get(field.name, field.initial(version))
                out += self._value(field, version, flex and not field.inflexible, value)
        return out + (b"\0" if flex else b"")

    def _value(self, field, version, flex, value):
        if field.array:
            if value is None:
                return b"\0" if flex else struct.pack(">i", -1)
            head = varint(len(value) + 1) if flex else struct.pack(">i", len(value))
            return head + b"".join(self._one(field, version, flex, each) for each in value)
        return self._one(field, version, flex, value)

    def _one(self, field, version, flex, value):
        if field.kind in NUMBERS:
            return struct.pack(NUMBERS[field.kind], value)
        if field.kind == "uuid":
            return value.bytes
        if field.kind in ("string", "bytes", "records"):
            data = value.encode() if isinstance(value, str) else value
            if flex:
                return b"\0" if data is None else varint(len(data) + 1) + data
            size = ">h" if field.kind == "string" else ">i"
            return struct.pack(size, -1) if data is None else struct.pack(size, len(data)) + data
        if field.null != NEVER and not field.array:
            return b"\xff" if value is None else b"\1" + self._struct(field.fields, version, flex, value)
        return self._struct(field.fields, version, flex, value)

    # decoding ---------------------------------------------------------------------------------------------------------

    def decode(self, body, version, data):
        reader = Reader(data)
        values = reader.struct(self.bodies[body], version, version >= self.flexible)
        assert reader.at == len(data), (self.name, version, reader.at, len(data))
        return values


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        assert self.at <= len(self.data), "the answer is cut short"
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def struct(self, fields, version, flex):
        out = {}
        for field in fields:
            if within(version, field.versions) and not within(version, field.tagged):
                out[field.name] = self.value(field, version, flex and not field.inflexible)
        for _ in range(self.varint() if flex else 0):
            tag, size = self.varint(), self.varint()
            data = self.take(size)
            for field in fields:
                if field.tag == tag and within(version, field.tagged):
                    out[field.name] = Reader(data).value(field, version, True)
        return out

    def value(self, field, version, flex):
        if not field.array:
            return self.one(field, version, flex)
        count = self.varint() - 1 if flex else self.number(">i")
        return None if count < 0 else [self.one(field, version, flex) for _ in range(count)]

    def one(self, field, version, flex):
        if field.kind in NUMBERS:
            return self.number(NUMBERS[field.kind])
        if field.kind == "uuid":
            return uuid.UUID(bytes=self.take(16))
        if field.kind in ("string", "bytes", "records"):
            size = self.varint() - 1 if flex else self.number(">h" if field.kind == "string" else ">i")
            data = None if size < 0 else self.take(size)
            return data.decode() if data is not None and field.kind == "string" else data
        if field.null != NEVER and not field.array and self.take(1) == b"\xff":
            return None
        return self.struct(field.fields, version, flex)


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


MESSAGES = {message.key: message for message in (Message(path) for path in SPEC.glob("*.msg") if re.search(r"^api ", path.read_text(), re.M))}
BY_NAME = {message.name: message for message in MESSAGES.values()}


def call(connection, name, version, values):
    """One request and its answer on a rawkafka.Connection."""
    message = BY_NAME[name]
    flex = version >= message.flexible
    connection.send(message.key, version, message.encode("request", version, values), flexible=flex)
    answer = connection.answer()
    if flex and message.key != 18:
        assert answer[:1] == b"\0"  # no tagged fields in the header
        answer = answer[1:]
    return message.decode("response", version, answer)
