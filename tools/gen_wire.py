#!/usr/bin/env python3
"""Makes wire_messages.h (structs) and wire_tables.c (field tables) from message descriptions (spec/kafka/README.md).

    gen_wire.py OUT_DIR FILE.msg...
"""
import re
import sys
from pathlib import Path

NUMBERS = {"bool": "bool", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
           "uint16": "uint16_t", "uint32": "uint32_t", "float64": "double"}
SLICES = {"uuid": "struct uuid", "string": "struct str", "bytes": "struct str", "records": "struct wire_records"}
NEVER = (0, -1)


def fail(path, number, text):
    sys.exit(f"{path}:{number}: {text}")


def parse_range(text):
    """'4+', '4-18', '4' as (first, last)."""
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        raise ValueError(f"'{text}' is not a version range like 4+, 4-18 or 4")
    first = int(match[1])
    return (first, 32767) if match[2] == "+" else (first, int(match[3]) if match[3] else first)


class Field:
    def __init__(self, text):
        match = re.fullmatch(r"(\w+): (\[?)(\w+)(\]?) ([\d+-]+)((?:, .*)?)", text)
        if not match or bool(match[2]) != bool(match[4]):
            raise ValueError(f"'{text}' is not 'Name: type versions, ...'")
        self.name, self.array, self.type = match[1], bool(match[2]), match[3]
        self.versions, self.null, self.tag, self.tagged = parse_range(match[5]), NEVER, -1, NEVER
        self.inflexible, self.secret, self.default, self.fields, self.struct = False, False, None, [], None
        for part in match[6].split(", ")[1:]:
            word, _, rest = part.partition(" ")
            if word == "null":
                self.null = parse_range(rest)
            elif word == "tag":
                number, versions = rest.split()
                self.tag, self.tagged = int(number), parse_range(versions)
            elif word == "inflexible":
                self.inflexible = True
            elif word == "secret":
                self.secret = True
            elif word == "default":
                self.default = rest
            else:
                raise ValueError(f"unknown attribute '{word}'")
        self.is_struct = self.type not in NUMBERS and self.type not in SLICES

    def pointer(self):
        return self.is_struct and not self.array and self.null != NEVER

    def c_declaration(self):
        base = NUMBERS.get(self.type) or SLICES.get(self.type) or f"struct {self.struct}"
        if self.array:
            return f"wire_array_of({base}) {self.name};"
        return f"{base} {'*' if self.pointer() else ''}{self.name};"

    def c_row(self, owner):
        flags = ["WIRE_ARRAY"] * self.array + ["WIRE_DEFAULT_NULL"] * (self.default == "null")
        flags += ["WIRE_INFLEXIBLE"] * self.inflexible + ["WIRE_SECRET"] * self.secret
        init = {None: "0", "null": "0", "true": "1", "false": "0"}.get(self.default, self.default)
        init = "INT64_MIN" if init == "-9223372036854775808" else f"INT64_C({init})" if len(init) > 10 else init
        ranges = ", ".join(f"{{{low}, {high}}}" for low, high in (self.versions, self.null, self.tagged))
        kind = "WIRE_STRUCT" if self.is_struct else f"WIRE_{self.type.upper()}"
        sub = f"&WIRE_{self.struct}" if self.is_struct else "NULL"
        return (f'    {{"{self.name}", {kind}, {" | ".join(flags) or "0"}, {self.tag}, '
                f"offsetof(struct {owner}, {self.name}), {ranges}, {sub}, {init}}},")


class Message:
    """One file: `kind` is api, data, key or value; `bodies` maps the C name of a struct to its fields."""

    def __init__(self, path):
        self.bodies, self.flexible, self.key = {}, 32767, -1
        stack = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                if line.startswith(" "):
                    self.add_field(stack, line)
                else:
                    stack = self.head_line(line.split(), stack)
            except (ValueError, IndexError, TypeError) as error:
                fail(path, number, error)

    def head_line(self, words, stack):
        word = words[0]
        if word in ("api", "key", "value"):
            self.kind, self.key, self.name = word, int(words[1]), words[2]
        elif word == "data":
            self.kind, self.name = word, words[1]
        elif word == "versions":
            self.versions = parse_range(words[1])
        elif word == "flexible":
            self.flexible = parse_range(words[1])[0]
        elif word in ("request", "response", "fields"):
            stack = [[]]
            self.bodies[self.name + {"request": "Request", "response": "Response", "fields": ""}[word]] = stack[0]
        else:
            raise ValueError(f"'{word}' is not known")
        return stack

    @staticmethod
    def add_field(stack, line):
        """stack[i] is the list that takes fields of depth i + 1."""
        depth = (len(line) - len(line.lstrip())) // 4
        del stack[depth:]
        field = Field(line.strip())
        stack[depth - 1].append(field)
        stack.append(field.fields)


def structs_of(body, fields):
    """(C name, fields) of every struct in a body, inner ones first; names the struct of each field."""
    out, seen = [], {}

    def walk(fields):
        for field in fields:
            if not field.is_struct:
                continue
            field.struct = f"{body}_{field.type}"
            if field.fields:
                walk(field.fields)
                if field.type not in seen:
                    seen[field.type] = True
                    out.append((field.struct, field.fields))
            elif field.type not in seen:
                sys.exit(f"{body}.{field.name}: struct {field.type} has no fields")

    walk(fields)
    return out + [(body, fields)]


def write_struct(header, tables, name, fields):
    header.append(f"struct {name} {{")
    header.extend("    " + field.c_declaration() for field in fields)
    if not fields:
        header.append("    char none; /* no fields */")
    header.append("};")
    header.append(f"extern const struct wire_struct WIRE_{name};\n")
    if fields:
        tables.append(f"static const struct wire_field {name}_fields[] = {{")
        tables.extend(field.c_row(name) for field in fields)
        tables.append("};")
    tables.append(f'const struct wire_struct WIRE_{name} = {{"{name}", {name + "_fields" if fields else "NULL"}, '
                  f"{len(fields)}, sizeof(struct {name})}};\n")


def generate(messages):
    header = ["/* Made by tools/gen_wire.py from spec/; not edited. */", "#ifndef WIRE_MESSAGES_H",
              "#define WIRE_MESSAGES_H\n"]
    tables = ["/* Made by tools/gen_wire.py from spec/; not edited. */", '#include "wire/wire.h"',
              '#include "wire/wire_int.h"\n']
    apis, all_messages = [], []
    for message in messages:
        for body, fields in message.bodies.items():
            for name, members in structs_of(body, fields):
                write_struct(header, tables, name, members)
            low, high = message.versions
            header.append(f"extern const struct wire_message {body}_message;\n")
            tables.append(f'const struct wire_message {body}_message = {{"{body}", {message.key}, {message.flexible}, '
                          f"{{{low}, {high}}}, &WIRE_{body}}};\n")
            all_messages.append(body)
        if message.kind == "api":
            apis.append(message)
    header.append("#endif")
    apis.sort(key=lambda message: message.key)
    tables.append("const struct wire_api wire_apis[] = {")
    tables += [f'    {{{m.key}, "{m.name}", &{m.name}Request_message, &{m.name}Response_message}},' for m in apis]
    tables.append(f"}};\nconst size_t wire_api_count = {len(apis)};\n")
    tables.append("const struct wire_message *const wire_messages[] = {")
    tables += [f"    &{body}_message," for body in sorted(all_messages)]
    tables.append(f"}};\nconst size_t wire_message_count = {len(all_messages)};")
    return "\n".join(header) + "\n", "\n".join(tables) + "\n"


def write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    out = Path(sys.argv[1])
    header, tables = generate([Message(Path(name)) for name in sorted(sys.argv[2:])])
    write_if_changed(out / "wire_messages.h", header)
    write_if_changed(out / "wire_tables.c", tables)


if __name__ == "__main__":
    main()
