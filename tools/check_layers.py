#!/usr/bin/env python3
"""Checks the walls of src/layers.txt: which module may include which, and which library only its owner may see.

    tools/check_layers.py            exit status 1 and file:line of every breach
    tools/check_layers.py --dot      the arrows as a graph for Graphviz

A breach is: an include of a module that the table does not allow, of a foreign private header (x_int.h), of a
library outside its owner, or a cycle in the table itself.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERYWHERE = ["base", "conf", "metric"]
LIBRARY_HEADERS = {  # header pattern -> name in the table
    r"uv\.h": "uv", r"nghttp2/.*": "nghttp2", r"wslay/.*": "wslay", r"openssl/ssl\.h": "ssl", r"openssl/.*": "crypto", r"zlib\.h": "z",
    r"lz4.*\.h": "lz4", r"zstd.*\.h": "zstd", r"snappy-c\.h": "snappy", r"simdjson\.h": "simdjson",
    r"pcre2\.h": "pcre2", r"re2/.*": "re2", r"gmp\.h": "gmp", r"utf8proc\.h": "utf8proc", r"rocksdb/.*": "rocksdb",
    r"libpq-fe\.h": "pq", r"histedit\.h": "edit", r"editline/.*": "edit", r"xxhash\.h": "xxhash",
    r"librdkafka/.*": "rdkafka",
}


def read_table():
    allowed, owned = {}, {}
    for line in (ROOT / "src/layers.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s*:([^|]*)\|(.*)", line)
        if not match:
            sys.exit(f"src/layers.txt: cannot read: {line}")
        allowed[match[1]] = match[2].split()
        owned[match[1]] = match[3].split()
    return allowed, owned


def find_cycle(allowed):
    done, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module):] + [module]
        if module in done or module not in allowed:
            return None
        path.append(module)
        for dep in allowed[module]:
            cycle = visit(dep) if dep != "*" else None
            if cycle:
                return cycle
        path.pop()
        done.add(module)
        return None

    for module in allowed:
        cycle = visit(module)
        if cycle:
            return cycle
    return None


def module_of(path, allowed):
    parts = path.split("/")
    for n in (2, 1):
        name = "/".join(parts[:n])
        if len(parts) > n and name in allowed:
            return name
    return None


def check_file(path, allowed, owned):
    module = module_of(str(path.relative_to(ROOT / "src")), allowed)
    if module is None:
        yield f"{path.relative_to(ROOT)}:1: its folder is not in src/layers.txt"
        return
    may = set(allowed[module]) | set(EVERYWHERE) | {module}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        where, header = f"{path.relative_to(ROOT)}:{number}", match[2]
        if match[1] == '"':
            target = module_of(header, allowed)
            if target is None:
                continue  # generated files and headers beside the file
            if target not in may and "*" not in may:
                yield f"{where}: {module} may not include {target} (src/layers.txt)"
            elif target != module and header.endswith("_int.h"):
                yield f"{where}: {header} is private to {target}"
        else:
            for pattern, library in LIBRARY_HEADERS.items():
                if re.fullmatch(pattern, header) and library not in owned[module]:
                    yield f"{where}: {module} may not see the library {library} (src/layers.txt)"


def main():
    allowed, owned = read_table()
    if "--dot" in sys.argv:
        print("digraph rialto {")
        for module, deps in allowed.items():
            for dep in deps:
                print(f'  "{module}" -> "{dep}";')
        print("}")
        return 0
    breaches = []
    cycle = find_cycle(allowed)
    if cycle:
        breaches.append("src/layers.txt: cycle: " + " -> ".join(cycle))
    tracked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        if name.endswith((".c", ".h", ".cc")) and (ROOT / name).exists():
            breaches += check_file(ROOT / name, allowed, owned)
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
