#!/usr/bin/env python3
"""Small habits of the tree, checked: each finding names file:line and the cure.

Long lines, tabs, trailing blanks, words of unfinished work, files over the size at which two things probably live in one,
files of more than 150 lines without an opening design comment, modules without README, bare casts to void of calls.
Formatting itself is clang-format's matter; it is asked here with --dry-run for all C files.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE_MAX = 130
FILE_MAX = 1200
UNFINISHED = re.compile(r"^\s*(/\*|\*|//).*\b(TODO|FIXME|XXX|HACK)\b")
DROPPED = re.compile(r"\(void\)\s*[a-z_]+\w*\(")


def tree_files(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in out.split("\n") if name and (ROOT / name).exists()]


def check_source(path):
    name = path.relative_to(ROOT)
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_MAX and path.suffix != ".def":
            yield f"{name}:{number}: {len(line)} characters; break the line at {LINE_MAX}"
        if "\t" in line:
            yield f"{name}:{number}: tab; use spaces"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end of the line"
        if UNFINISHED.search(line):
            yield f"{name}:{number}: word of unfinished work; finish it or answer with an error that says so"
        if path.suffix == ".c" and DROPPED.search(line):
            yield f"{name}:{number}: dropped result; write ignore(call, \"why\")"
    if len(lines) > FILE_MAX:
        yield f"{name}:1: {len(lines)} lines; probably two things live here: split it"
    if len(lines) > 150 and not lines[0].startswith("/*"):
        yield f"{name}:1: opens without its design; say what it is, its picture, its invariants"


def main():
    findings = []
    sources = tree_files("src/*.c", "src/*.h", "src/*.cc", "test/*.c", "test/*.h", "bench/*.c")
    for path in sources:
        findings += check_source(path)
    for module in sorted({path.relative_to(ROOT / "src").parts[0] for path in tree_files("src/*.c")}):
        if not (ROOT / "src" / module / "README.md").exists():
            findings.append(f"src/{module}: no README.md; say purpose, picture, file map, invariants")
    formatter = shutil.which("clang-format")
    if formatter:
        run = subprocess.run([formatter, "--dry-run", "--Werror", *map(str, sources)], capture_output=True, text=True)
        unformatted = sorted({line.split(":")[0] for line in run.stderr.splitlines() if "error:" in line})
        findings += [f"{Path(name).relative_to(ROOT)}: not in the tree's format; run `make fmt`" for name in unformatted]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
