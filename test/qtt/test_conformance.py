#!/usr/bin/env python3
"""Runs the peer's SQL cases; every id listed in test/conformance.passing must pass.

    test_conformance.py BUILD [--update]

The cases are not part of the project: their folder is $CONFORMANCE_DIR, or ../shared/conformance/sql beside the checkout.
Where there is none the test says so and has nothing to check. --update writes the ids that pass now into the list.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "test/conformance.passing"


def main():
    build = sys.argv[1]
    cases = Path(os.environ.get("CONFORMANCE_DIR", ROOT.parent / "shared/conformance/sql"))
    if not cases.is_dir():
        print(f"no cases in {cases.name}: set CONFORMANCE_DIR to check them")
        return 0
    result = subprocess.run([f"{build}/conformance", "--json", str(cases)], capture_output=True, text=True)
    if not result.stdout:
        print(f"the runner ended with status {result.returncode}:\n{result.stderr[-2000:]}")
        return 1
    answer = json.loads(result.stdout)
    failed = set(answer["failed"])
    print(f"{answer['total']['passed']} passed, {answer['total']['failed']} not", *(f"{k}: {v}" for k, v in answer["suites"].items()))
    if "--update" in sys.argv:
        every = [json.loads(line)["id"] for path in sorted(cases.glob("*/*.jsonl")) for line in path.read_text().splitlines() if line]
        LIST.write_text("\n".join(sorted(case for case in every if case not in failed)) + "\n")
        return 0
    listed = LIST.read_text().split() if LIST.exists() else []
    broken = [case for case in listed if case in failed]
    for case in broken:
        print(f"listed in conformance.passing but fails: {case} (build/conformance --case {case} -v DIR says why)")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
