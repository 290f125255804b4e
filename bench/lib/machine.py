"""The machine: processes that are started, watched and ended; their CPU time and memory; free ports; waiting."""
import os
import resource
import signal
import socket
import subprocess
import sys
import time


def fail(text):
    sys.exit(f"bench: {text}")


def note(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_s(pid):
    """CPU seconds of a running process, in nanosecond steps: the kernel's clock of the process."""
    return time.clock_gettime((~pid << 3) | 2)


def busy_s():
    """CPU seconds that the whole machine has worked."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    return sum(fields[i] for i in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
    fail(f"process {pid} has no {name}")


def reset_peak(pid):
    """Makes VmHWM count from now."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def run_measured(command, **options):
    """Runs a program to its end: (status, stdout, seconds, cpu_s, peak_mb)."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **options)
    try:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        stop(process)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return process.returncode, out.decode(), time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def stop(process, seconds=60):
    """Asks it to end, then insists."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# Metadata v1 for all topics: the first request of every client.
METADATA = bytes.fromhex("00000017" "0003" "0001" "00000001" "0009") + b"bench-run" + bytes.fromhex("ffffffff")


def metadata_answers(port):
    """True when a Kafka listener answers Metadata and names at least one broker."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as conn:
            conn.settimeout(5)
            conn.sendall(METADATA)
            head = b""
            while len(head) < 12:
                more = conn.recv(4096)
                if not more:
                    return False
                head += more
            return int.from_bytes(head[8:12], "big") > 0
    except OSError:
        return False


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def http_answers(port, path):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as conn:
            conn.settimeout(5)
            conn.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
            return conn.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def wait_ready(process, conditions, seconds=60):
    """Waits until every condition was true once; the time of the last."""
    until = time.monotonic() + seconds
    for condition in conditions:
        while not condition():
            if process.poll() is not None:
                fail("the server ended while it was starting")
            if time.monotonic() > until:
                fail(f"the server did not answer within {seconds} s")
            time.sleep(0.0005)
    return time.monotonic()


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
