"""Java's side of the client tests: Apache Kafka's command line tools in one process, and its servers.

Each process has a small heap and is ended by the one that started it.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import patient

HERE = os.path.dirname(os.path.abspath(__file__))
KAFKA = os.path.join(HERE, "kafka_broker")


def java(libs, *words, heap="256m"):
    """The command line of a Java program: small heap, quick start."""
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(libs, "*"), *words]


def libs_of(variable="PEER_TOOLS_LIBS"):
    return os.environ.get(variable) or sys.exit(f"{variable} must name the folder of the jars")


class Tools:
    """Apache Kafka's tools; `tools(CLASS, ARGUMENT...)` gives (status, what was printed). One process: see PeerTools.java."""

    def __init__(self, libs):
        source = os.path.join(HERE, "java", "src", "PeerTools.java")
        self.process = subprocess.Popen(java(libs, source), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def __call__(self, name, *arguments, stdin=None):
        words = [name, *arguments] + (["<", stdin.replace("\n", "\\n")] if stdin is not None else [])
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("status "):
                return int(line.split()[1]), "".join(lines)
            lines.append(line)
        sys.exit(f"FAILED: {name} ended its process:\n{''.join(lines)}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def apis_of(tools, address):
    """Names of the APIs that a broker announces."""
    _, text = tools("org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server", address)
    return set(re.findall(r"^\s(\w+)\(\d+\): \d+", text, re.MULTILINE))


class Server:
    """A Java server with its configuration file and output in a directory of its own; ended by SIGTERM, then SIGKILL."""

    def __init__(self, libs, name, main, properties, *arguments, heap="256m"):
        self.directory = tempfile.mkdtemp(prefix=f"rialto-{name}-")
        self.config = os.path.join(self.directory, "server.properties")
        self.output = os.path.join(self.directory, "output")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("".join(f"{key}={value}\n" for key, value in properties.items()))
        self.command = java(libs, main, self.config, *arguments, heap=heap)
        self.process = None

    def start(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def said(self):
        with open(self.output, "rb") as output:
            return output.read().decode(errors="replace")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None:
            sys.stderr.write(self.said()[-6000:])
        shutil.rmtree(self.directory)


def wait_for(what, seconds, condition):
    """Calls `condition` until it gives something true, which is returned."""
    end = time.monotonic() + patient(seconds)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what} did not come within {seconds} s")
        time.sleep(0.2)


def found(pattern, text):
    return re.search(pattern, text, re.MULTILINE) is not None
