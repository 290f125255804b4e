"""Kafka's messages in Python from spec/kafka/*.msg: any request and response at any version, for raw protocol tests.

    call(connection, "Heartbeat", 4, GroupId="g", MemberId="m", GenerationId=1)["ErrorCode"]

The connection is rawkafka's. Fields that are left out have their defaults; structs are dicts, arrays lists, uuids 16 bytes.
Shares nothing with the program but the descriptions (spec/kafka/README.md says how they are written), so that a mistake in
the program's tables is not repeated by its tests. Python's standard library only.
"""
import functools
import re
import struct
from pathlib import Path

SPEC = Path(__file__).resolve().parents[2] / "spec" / "kafka"
NUMBERS = {"bool": "?", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint16": "H", "uint32": "I", "float64": "d"}
LINE = re.compile(r"( *)(\w+): (\[?)(\w+)\]? ([0-9+-]+)(.*)")


def versions(text):
    low, plus, high = re.match(r"(\d+)(\+?)-?(\d*)", text).groups()
    return range(int(low), 1000 if plus else int(high or low) + 1)


class Field:
    def __init__(self, match):
        self.name, self.array, self.type = match[2], bool(match[3]), match[4]
        self.versions, self.null, self.tag, self.tagged, self.default, self.fields = versions(match[5]), (), -1, (), None, None
        self.inflexible = False
        for word in match[6].split(", ")[1:]:
            kind, _, rest = word.partition(" ")
            if kind == "null":
                self.null = versions(rest)
            elif kind == "tag":
                number, rest = rest.split(" ")
                self.tag, self.tagged = int(number), versions(rest)
            elif kind == "default":
                self.default = rest
            elif word != "secret":  # which is about printing
                assert word == "inflexible", word
                self.inflexible = True

    def value(self):
        if self.default == "null":
            return None
        if self.array:
            return []
        if self.type in NUMBERS:
            return int(self.default or "0", 0) if self.default not in ("true", "false") else self.default == "true"
        if self.type == "uuid":
            return bytes(16)
        return {"string": "", "bytes": b"", "records": b""}.get(self.type, {})


class Message:
    """The fields of a request or a response."""

    def __init__(self, lines):
        self.structs = {}
        self.fields, rest = self.read(lines, 4)
        assert not rest, rest

    def read(self, lines, depth):
        fields = []
        while lines:
            match = LINE.match(lines[0])
            if len(match[1]) < depth:
                break
            field, lines = Field(match), lines[1:]
            if field.type not in NUMBERS and field.type not in ("string", "bytes", "records", "uuid"):
                if field.type not in self.structs:
                    self.structs[field.type], lines = self.read(lines, depth + 4)
                field.fields = self.structs[field.type]
            fields.append(field)
        return fields, lines


class Api:
    def __init__(self, name):
        lines = [line for line in (SPEC / f"{name}.msg").read_text().splitlines() if line and not line.startswith("#")]
        self.key = int(lines[0].split()[1])
        self.flexible = next((int(line.split()[1].rstrip("+")) for line in lines if line.startswith("flexible")), 1000)
        request, response = lines.index("request"), lines.index("response")
        self.request, self.response = Message(lines[request + 1:response]), Message(lines[response + 1:])


@functools.cache
def api(name):
    return Api(name)


def uvarint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def put_length(length, flexible, short):
    """Length of a text, bytes or array; None is null."""
    if flexible:
        return uvarint(0 if length is None else length + 1)
    return struct.pack(">h" if short else ">i", -1 if length is None else length)


def put_one(field, value, version, flexible):
    if field.type in NUMBERS:
        return struct.pack(">" + NUMBERS[field.type], value)
    if field.type == "uuid":
        return value
    if field.fields is not None:
        pointer = b"" if field.array or not field.null else b"\xff" if value is None else b"\x01"
        return pointer + (put_struct(field.fields, value, version, flexible) if value is not None else b"")
    data = value.encode() if isinstance(value, str) else value
    return put_length(None if data is None else len(data), flexible and not field.inflexible, field.type == "string") + (data or b"")


def put_value(field, value, version, flexible):
    if not field.array:
        return put_one(field, value, version, flexible)
    head = put_length(None if value is None else len(value), flexible, False)
    return head + b"".join(put_one(field, item, version, flexible) for item in value or [])


def put_struct(fields, values, version, flexible):
    unknown = set(values) - {field.name for field in fields}
    assert not unknown, unknown
    out, tagged = b"", []
    for field in fields:
        if version not in field.versions:
            continue
        value = values.get(field.name, field.value())
        if flexible and version in field.tagged:
            if value != field.value():
                tagged.append((field.tag, put_value(field, value, version, flexible)))
        else:
            out += put_value(field, value, version, flexible)
    if flexible:
        out += uvarint(len(tagged)) + b"".join(uvarint(tag) + uvarint(len(data)) + data for tag, data in sorted(tagged))
    return out


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "the answer is too short"
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, code):
        return struct.unpack(">" + code, self.take(struct.calcsize(code)))[0]

    def uvarint(self):
        shift = out = 0
        while True:
            byte = self.take(1)[0]
            out |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return out

    def length(self, flexible, short):
        length = self.uvarint() - 1 if flexible else self.number("h" if short else "i")
        return None if length < 0 else length


def get_one(rd, field, version, flexible):
    if field.type in NUMBERS:
        return rd.number(NUMBERS[field.type])
    if field.type == "uuid":
        return rd.take(16)
    if field.fields is not None:
        if not field.array and field.null and rd.number("b") < 0:
            return None
        return get_struct(rd, field.fields, version, flexible)
    length = rd.length(flexible and not field.inflexible, field.type == "string")
    data = None if length is None else rd.take(length)
    return data.decode() if data is not None and field.type == "string" else data


def get_value(rd, field, version, flexible):
    if not field.array:
        return get_one(rd, field, version, flexible)
    length = rd.length(flexible, False)
    return None if length is None else [get_one(rd, field, version, flexible) for _ in range(length)]


def get_struct(rd, fields, version, flexible):
    """The fields that the version has; a tagged one that is not there has its default."""
    out = {}
    for field in fields:
        if version in field.versions:
            tagged = flexible and version in field.tagged
            out[field.name] = field.value() if tagged else get_value(rd, field, version, flexible)
    for _ in range(rd.uvarint() if flexible else 0):
        tag, size = rd.uvarint(), rd.uvarint()
        part = Reader(rd.take(size))
        for field in fields:
            if field.tag == tag and version in field.tagged:
                out[field.name] = get_value(part, field, version, flexible)
    return out


def send(connection, name, version, values=(), **more):
    """One request; its fields by name, in a dict, or both."""
    flexible = version >= api(name).flexible
    body = put_struct(api(name).request.fields, dict(values, **more), version, flexible)
    connection.send(api(name).key, version, body, flexible=flexible)


def receive(connection, name, version):
    flexible = version >= api(name).flexible
    rd = Reader(connection.answer())
    if flexible and name != "ApiVersions":
        assert rd.uvarint() == 0, "the header has tagged fields"
    out = get_struct(rd, api(name).response.fields, version, flexible)
    assert rd.at == len(rd.data), f"{len(rd.data) - rd.at} bytes follow the answer"
    return out


def call(connection, name, version, values=(), **more):
    send(connection, name, version, values, **more)
    return receive(connection, name, version)
