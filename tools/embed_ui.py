#!/usr/bin/env python3
"""Builds the page and embeds it: copies ui/ into the build directory, runs its build, writes one C file.

    tools/embed_ui.py SOURCE BUILD OUTPUT.c

BUILD holds node_modules already. Same input gives the same bytes: gzip without times, files in order of their paths.
The build fails when the page grows beyond its budget.
"""
import gzip
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".webmanifest": "application/manifest+json"}
FIRST_LOAD_BYTES_MAX = 330 * 1024  # gzip; without the worker, which loads after the first paint
ALL_BYTES_MAX = 1536 * 1024


def copy_sources(source, build):
    for name in ("src", "public"):
        shutil.rmtree(build / name, ignore_errors=True)
        if (source / name).exists():
            shutil.copytree(source / name, build / name)
    for name in ("index.html", "vite.config.ts", "tsconfig.json"):
        shutil.copy(source / name, build / name)


def c_string(data):
    """Octal escapes of three digits: no escape can swallow the byte behind it."""
    table = {i: chr(i) if 32 <= i < 127 and chr(i) not in '"\\?' else f"\\{i:03o}" for i in range(256)}
    lines = [data[i:i + 96] for i in range(0, len(data), 96)] or [b""]
    return "\n".join('    "' + "".join(table[byte] for byte in line) + '"' for line in lines)


def check_budget(packed):
    first = sum(len(data) for path, data in packed.items() if "worker" not in path)
    total = sum(len(data) for data in packed.values())
    if first > FIRST_LOAD_BYTES_MAX or total > ALL_BYTES_MAX:
        sys.exit(f"embed_ui: the page has {first} bytes at first load (limit {FIRST_LOAD_BYTES_MAX}), {total} in all (limit {ALL_BYTES_MAX})")


def write_c(dist, output):
    paths = sorted(path for path in dist.rglob("*") if path.is_file())
    texts, rows, packed = [], [], {}
    for i, path in enumerate(paths):
        name, data = path.relative_to(dist).as_posix(), path.read_bytes()
        keep = name == "index.html"
        stored = data if keep else gzip.compress(data, 9, mtime=0)
        packed[name] = stored
        texts.append(f"static const char file_{i}[] =\n{c_string(stored)};\n")
        fields = "NULL, 0, file_%d, %d" % (i, len(stored)) if keep else "file_%d, %d, NULL, 0" % (i, len(stored))
        rows.append(f'    {{"{name}", "{TYPES[path.suffix]}", "\\"{hashlib.sha256(data).hexdigest()[:16]}\\"", {fields}}},\n')
    check_budget(packed)
    table = f'const struct ui_file ui_files[] = {{\n{"".join(rows)}}};\nconst size_t ui_file_count = {len(rows)};\n'
    output.write_text('#include "api/ui_files.h"\n\n' + "\n".join(texts) + "\n" + table)


def main():
    source, build, output = map(Path, sys.argv[1:])
    copy_sources(source, build)
    done = subprocess.run(["npm", "run", "build", "--silent"], cwd=build, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    write_c(build / "dist", output)


main()
