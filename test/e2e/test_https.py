#!/usr/bin/env python3
"""HTTP over TLS: HTTP/2 and 1.1 by ALPN, a query that streams, plain HTTP beside it, what is no TLS, clients that must have a certificate,
the warning of an open listener.

    test_https.py BUILD
"""
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from certificates import Authority  # noqa: E402
from server import Server, fail, free_port  # noqa: E402


def curl(url, *words, ca):
    """(exit status, HTTP version, status, body)"""
    done = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", ca, "-w", "\n%{http_version} %{http_code}", *words, url], capture_output=True, text=True)
    body, _, last = done.stdout.rpartition("\n")
    version, status = last.split()
    return done.returncode, version, int(status), body


def check_versions(url, ca):
    for words, version in ((("--http2",), "2"), (("--http1.1",), "1.1"), (("--tls-max", "1.2"), "2")):
        code, spoken, status, body = curl(url + "/info", *words, ca=ca)
        if (code, spoken, status) != (0, version, 200) or "KsqlServerInfo" not in body:
            fail(f"{words}: {code} {spoken} {status} {body}")
    code, *_ = curl(url + "/info", "--tls-max", "1.1", ca=ca)
    if code == 0:
        fail("TLS 1.1 is spoken")


def check_stream(url, ca):
    def ksql(text):
        code, _, status, body = curl(url + "/ksql", "-d", json.dumps({"ksql": text}), ca=ca)
        if (code, status) != (0, 200):
            fail(f"{text}: {status} {body}")
    ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
    ksql(" ".join(f"INSERT INTO s (n) VALUES ({n});" for n in range(20)))
    query = {"sql": "SELECT n FROM s EMIT CHANGES LIMIT 20;", "properties": {"auto.offset.reset": "earliest"}}
    _, version, status, body = curl(url + "/query-stream", "-d", json.dumps(query), ca=ca)
    rows = [json.loads(line) for line in body.splitlines()[1:] if line]
    if (version, status) != ("2", 200) or [row[0] for row in rows] != list(range(20)):
        fail(f"query: {version} {status} {body}")


def check_garbage(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        try:
            while piece := peer.recv(1000):
                answer += piece
        except ConnectionResetError:
            pass
        if b"HTTP/" in answer:
            fail(f"plain HTTP is answered on the TLS port: {answer}")


def main():
    with tempfile.TemporaryDirectory(prefix="rialto-e2e-tls-") as home:
        authority = Authority(home)
        keystore, client = authority.server(), authority.issue("client", "/CN=client")
        secure, plain = free_port(), free_port()
        url = f"https://localhost:{secure}"
        listen = f"http.listen=https://127.0.0.1:{secure},127.0.0.1:{plain}"
        with Server(sys.argv[1], listen, f"ssl.keystore.location={keystore}") as server:
            if f"http=https://127.0.0.1:{secure},127.0.0.1:{plain}" not in server.ready_line:
                fail(server.ready_line)
            check_versions(url, authority.ca)
            check_stream(url, authority.ca)
            check_garbage(secure)
            code, _, status, _ = curl(f"http://localhost:{plain}/info", ca=authority.ca)
            if (code, status) != (0, 200) or "listener_open" in server.stderr():
                fail("the plain port")
        required = (f"ssl.keystore.location={keystore}", f"ssl.truststore.location={authority.ca}", "ssl.client.auth=required")
        with Server(sys.argv[1], listen, *required) as server:
            code, *_ = curl(url + "/info", ca=authority.ca)
            good, _, status, _ = curl(url + "/info", "--cert", client, "--key", client, ca=authority.ca)
            if code == 0 or (good, status) != (0, 200):
                fail(f"client certificates: without {code}, with {good} {status}")
        with Server(sys.argv[1], f"http.listen=0.0.0.0:{plain}") as server:
            if "HTTP does not ask who it is" not in server.stderr():
                fail("no warning")
    print("passed: HTTPS")


main()
