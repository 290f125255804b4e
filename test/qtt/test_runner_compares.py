#!/usr/bin/env python3
"""Does the conformance runner really compare? Cases of our own pass; each altered in one place fails.

    test_runner_compares.py BUILD
"""
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = [json.loads(line) for line in (Path(__file__).parent / "own.jsonl").read_text().splitlines()]


def run(build, case):
    """True when the runner passes the case."""
    with tempfile.TemporaryDirectory() as directory:
        for suite in ("query", "rest", "sql"):
            (Path(directory) / suite).mkdir()
        (Path(directory) / "query" / "own.jsonl").write_text(json.dumps(case) + "\n")
        result = subprocess.run([f"{build}/conformance", "--suite", "query", "--json", directory], capture_output=True, text=True)
        total = json.loads(result.stdout)["total"]
        assert total["passed"] + total["failed"] == 1, result.stdout
        assert (result.returncode == 0) == (total["passed"] == 1), "exit status and total differ"
        return total["passed"] == 1


def change(case, path, value):
    altered = copy.deepcopy(case)
    at = altered
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return altered


def alterations():
    stream, window, error = CASES
    yield "key", change(stream, ["outputs", 0, "key"], "x")
    yield "integer", change(stream, ["outputs", 0, "value", "V"], 3)
    yield "double", change(stream, ["outputs", 0, "value", "D"], 1.25)
    yield "decimals of a double", json.loads(json.dumps(stream).replace('"D": 2.0}, "timestamp": 9', '"D": 2}, "timestamp": 9'))
    yield "null for a value", change(stream, ["outputs", 0, "value"], None)
    yield "a missing column", change(stream, ["outputs", 0, "value"], {"V": 2})
    yield "a further column", change(stream, ["outputs", 0, "value"], {"V": 2, "D": 1.5, "X": None})
    yield "timestamp", change(stream, ["outputs", 1, "timestamp"], 10)
    yield "header", change(stream, ["outputs", 0, "headers"], [{"key": "h", "value": "AQM="}])
    yield "no header", change(stream, ["outputs", 0, "headers"], None)
    yield "order", change(stream, ["outputs"], stream["outputs"][::-1])
    yield "one record less", change(stream, ["outputs"], stream["outputs"][:1])
    yield "one record more", change(stream, ["outputs"], stream["outputs"] + stream["outputs"][:1])
    yield "schema", change(stream, ["post", "sources", 0, "schema"], "`K` STRING KEY, `V` BIGINT, `D` DOUBLE")
    yield "type of the source", change(stream, ["post", "sources", 0, "type"], "table")
    yield "window start", change(window, ["outputs", 0, "window", "start"], 3000)
    yield "window end", change(window, ["outputs", 0, "window", "end"], 3001)
    yield "window type", change(window, ["outputs", 0, "window", "type"], "session")
    yield "no window", change(window, ["outputs", 0, "window"], None)
    yield "error text", change(error, ["error", "message"], "SOMEWHERE does not exist")
    yield "no error", change(error, ["error"], None)
    yield "an error that does not come", change(stream, ["error"], {"category": "statement", "message": ""})


def main():
    build = sys.argv[1]
    for case in CASES:
        assert run(build, case), f"{case['name']}: should pass"
    for what, case in alterations():
        assert not run(build, case), f"altered {what}: the runner did not notice"
    print("every alteration was noticed")


if __name__ == "__main__":
    main()
