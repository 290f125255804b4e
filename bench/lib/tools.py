"""Builds the load tool, the bare work and the peers' jobs, and fetches the peers, each once for a work directory."""
import subprocess
from pathlib import Path

from machine import fail, note

BENCH = Path(__file__).resolve().parents[1]
C_FLAGS = ["-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter"]


def run(command, what, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        fail(f"{what} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def newer(target, sources):
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)


def build_tools(work):
    """work/load, work/bare and work/sync_delay.so."""
    sources = sorted((BENCH / "tool").glob("*"))
    c_files = [path for path in sources if path.suffix == ".c"]
    load, bare, dataset = work / "load", work / "bare", work / "dataset.o"
    delay, delay_source = work / "sync_delay.so", BENCH / "preload" / "sync_delay.c"
    if not newer(load, sources):
        run(["cc", "-std=gnu11", "-D_GNU_SOURCE", *C_FLAGS, "-o", load, *c_files, "-lrdkafka", "-llz4", "-lpthread"], "building the load tool")
    if not newer(bare, sources):
        run(["cc", "-std=gnu11", "-D_GNU_SOURCE", *C_FLAGS, "-c", "-o", dataset, BENCH / "tool" / "dataset.c"], "building the bare work")
        run(["c++", "-std=c++17", "-O3", "-march=native", "-o", bare, BENCH / "tool" / "bare.cc", dataset, "-lsimdjson", "-lz"], "building the bare work")
    if not newer(delay, [delay_source]):
        run(["cc", "-std=gnu11", "-D_GNU_SOURCE", *C_FLAGS, "-shared", "-fPIC", "-o", delay, delay_source], "building the slow disk")


def fetch_peer(work, name):
    """The libraries of one pom into work/<name>-libs; the sources beside it, if any, into work/<name>-classes."""
    libraries, classes, pom = work / f"{name}-libs", work / f"{name}-classes", BENCH / "peer" / name / "pom.xml"
    done = libraries / ".complete"
    if not newer(done, [pom]):
        note(f"fetching {name} and what it needs from Maven's registry")
        run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={libraries}"], f"fetching {name}")
        done.touch()
    sources = sorted((BENCH / "peer" / name / "src").glob("*.java"))
    if sources and not newer(classes / ".complete", [done, *sources]):
        run(["javac", "--release", "17", "-d", classes, "-cp", f"{libraries}/*", *sources], f"compiling the jobs of {name}")
        (classes / ".complete").touch()
