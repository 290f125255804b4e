#!/usr/bin/env python3
"""Runs CTest on a build directory and closes with one line: N passed, N failed.

    tools/run_tests.py BUILD [ctest arguments]

Output of a test is shown only when it failed. Exit status 0 when all passed and there was at least one.
"""
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main() -> int:
    build = Path(sys.argv[1]).resolve()
    report = build / "tests.xml"
    report.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", str(build), "--output-on-failure", "--output-junit", str(report), "-j", "2"]
    status = subprocess.call(command + sys.argv[2:])
    if not report.exists():
        print("0 passed, 1 failed")
        return 1
    suite = ElementTree.parse(report).getroot()
    cases = list(suite.iter("testcase"))
    failed = [case.get("name") for case in cases if case.get("status") not in ("run", "notrun", "disabled") or case.find("failure") is not None]
    passed = sum(1 for case in cases if case.get("status") == "run" and case.get("name") not in failed)
    not_run = [case.get("name") for case in cases if case.get("status") in ("notrun", "disabled")]
    for name in not_run:
        print(f"not run: {name}")
    slowest = sorted(cases, key=lambda case: -float(case.get("time", 0)))[:5]
    print("slowest: " + ", ".join(f"{case.get('name')} {float(case.get('time', 0)):.1f} s" for case in slowest))
    print(f"{passed} passed, {len(failed) + len(not_run)} failed")
    return 0 if status == 0 and passed and not failed and not not_run else 1


if __name__ == "__main__":
    sys.exit(main())
