#!/usr/bin/env python3
"""Runs the tour of README.md: every command of its ```console blocks, against a fresh server, on a terminal.

    test_tour.py BUILD

A block holds commands (`$ ...`, continued by lines that begin with `> `) and what each prints. The output must be the same,
but for what changes from run to run, by these rules:
  - ports and the data directory are replaced by free ones and a temporary one;
  - durations, rates and times of the wall clock are compared as words (VOLATILE);
  - in a block that begins with ```console volatile every number is, and every user of the made-up data.
A command that begins with sleep looks at what will soon be there: it is run until that is printed, some times at most.
A command that ends in & is left running; what it prints is its first line. All that the tour started is ended with it.
"""
import difflib
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import fcntl
import termios
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import ROOT, fail, free_port, wait_until  # noqa: E402

HEADING = "## A five-minute tour"
DATA = "/tmp/tour"
PORTS = ["9092", "8080", "8081", "8083", "8088"]
COLUMNS = 110
SOON_RUNS = 20
VOLATILE = [
    (r"ready in \d+ ms", "ready in N ms"),
    (r"in \d+\.\d s \([\d,]+/s\)", "in N s (N/s)"),
    (r"\b1[6-9]\d{11}\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+\b", "TIME"),
]


def read_blocks(text):
    """[(line number, volatile, [(command, expected output)])] of the tour."""
    tour = text.partition(HEADING + "\n")[2].partition("\n## ")[0]
    first = text[: text.index(HEADING)].count("\n") + 1
    blocks = []
    for match in re.finditer(r"^```console( volatile)?\n(.*?)^```", tour, re.M | re.S):
        steps = []
        for line in match[2].split("\n")[:-1]:
            if line.startswith("$ "):
                steps.append([line[2:], ""])
            elif line.startswith("> ") and not steps[-1][1]:
                steps[-1][0] += "\n" + line[2:]
            else:
                steps[-1][1] += line + "\n"
        blocks.append((first + tour[: match.start()].count("\n") + 1, bool(match[1]), steps))
    return blocks


def clean(output):
    """What a terminal shows: a line that was overwritten is gone."""
    text = output.decode(errors="replace").replace("\r\n", "\n")
    text = re.sub(r"[^\n]*\r\x1b\[K", "", text)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


class Tour:
    def __init__(self, build):
        self.directory = Path(tempfile.mkdtemp(prefix="rialto-e2e-tour-"))
        self.ports = {port: str(free_port()) for port in PORTS}
        listen = ",".join(f"127.0.0.1:{self.ports[port]}" for port in PORTS[1:])
        self.env = {**os.environ, "PATH": f"{Path(build).resolve()}:{os.environ['PATH']}", "TERM": "dumb", "LC_ALL": "C.UTF-8",
                    "RIALTO_KAFKA_LISTEN": f"127.0.0.1:{self.ports['9092']}", "RIALTO_HTTP_LISTEN": listen,
                    "RIALTO_URL": f"http://127.0.0.1:{self.ports['8080']}", "RIALTO_BROKERS": f"127.0.0.1:{self.ports['9092']}"}
        self.background = []

    def localised(self, text):
        for port, free in self.ports.items():
            text = re.sub(rf"\b(127\.0\.0\.1|localhost):{port}\b", rf"\1:{free}", text)
        return text.replace(DATA, str(self.directory / "data"))

    def normalised(self, text, volatile):
        for port, free in self.ports.items():
            text = re.sub(rf"\b(127\.0\.0\.1|localhost):{free}\b", rf"\1:{port}", text)
        text = text.replace(str(self.directory / "data"), DATA)
        for pattern, word in VOLATILE:
            text = re.sub(pattern, word, text)
        if volatile:
            text = re.sub(r'"\d-[a-z]+"', "USER", text)
            text = re.sub(r"\d+", "N", text)
            text = re.sub(r"[ \t]+", " ", text)
        return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))

    def start(self, command):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        process = subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, cwd=ROOT, env=self.env,
                                   start_new_session=True)
        os.close(slave)
        return process, master

    def run(self, command):
        if command.endswith(" &"):
            process, master = self.start("exec " + command[:-2])
            output = b""
            while b"\n" not in output or b"ready in" not in output:
                output += self.read(master) or fail(f"{command}: ended without a line")
            self.background.append(process)
            return clean(output).partition("ready in")[1] + clean(output).partition("ready in")[2]
        if command == "kill -9 %1":
            process = self.background.pop()
            process.kill()
            process.wait()
            return ""
        process, master = self.start(command)
        output = b""
        while data := self.read(master):
            output += data
        os.close(master)
        process.wait(timeout=patient(60))
        return clean(output)

    @staticmethod
    def read(master):
        try:
            return os.read(master, 65536)
        except OSError:
            return b""  # the last writer has closed it

    def stop(self):
        for process in self.background:
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=patient(30)) != 0:
                fail(f"the server ended with status {process.returncode}")
        wait_until("the server is gone", lambda: all(process.poll() is not None for process in self.background))
        shutil.rmtree(self.directory)


def main():
    blocks = read_blocks((ROOT / "README.md").read_text())
    if not blocks:
        fail(f"README.md has no console blocks under '{HEADING}'")
    tour = Tour(sys.argv[1])
    wrong = count = 0
    try:
        for line, volatile, steps in blocks:
            for command, expected in steps:
                count += 1
                wanted = tour.normalised(expected, volatile)
                for _ in range(SOON_RUNS if command.startswith("sleep ") else 1):
                    seen = tour.normalised(tour.run(tour.localised(command)), volatile)
                    if seen == wanted:
                        break
                if seen != wanted:
                    wrong += 1
                    print(f"README.md:{line}: $ {command}")
                    print("\n".join(difflib.unified_diff(wanted.split("\n"), seen.split("\n"), "README.md", "printed", lineterm="", n=20)))
    finally:
        tour.stop()
    print(f"{count} commands of the tour, {wrong} of them print something else")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
