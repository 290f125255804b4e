#!/usr/bin/env python3
"""Pages of other origins do not reach the server; programs and its own page do.

    test_origin.py BUILD

Every HTTP port is asked over HTTP/1.1, HTTP/2 and by a websocket upgrade, with the headers that browsers and programs send. What must
hold beside the status: a refused request has not been executed.
"""
import base64
import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from patience import patient  # noqa: E402
from server import Server, fail, free_port  # noqa: E402

ALLOWED = "http://dev.example:5173"
NAVIGATION = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

# What is sent beside the request -> status of GET /info. PORT becomes the port that is asked.
CASES = [
    ("a program", {}, 200),
    ("a program that names localhost", {"Host": "localhost:PORT"}, 200),
    ("a program that names the fully qualified localhost", {"Host": "localhost.:PORT"}, 200),
    ("a program that names a subdomain of localhost", {"Host": "rialto.localhost:PORT"}, 200),
    ("a program that uses a configured name", {"Host": "rialto.example"}, 200),
    ("the server's own page", {"Origin": "http://127.0.0.1:PORT", "Sec-Fetch-Site": "same-origin"}, 200),
    ("the server's own page, by localhost", {"Host": "localhost:PORT", "Origin": "http://localhost:PORT"}, 200),
    ("an address typed by the user", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
    ("a page of a configured origin", {"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"}, 200),
    ("a foreign page", {"Origin": "http://evil.example"}, 403),
    ("a foreign page over TLS", {"Origin": "https://evil.example"}, 403),
    ("a page without origin, such as a file or a sandbox", {"Origin": "null"}, 403),
    ("a page of another port of this machine", {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403),
    ("a name that begins like ours", {"Origin": "http://127.0.0.1:PORT.evil.example"}, 403),
    ("a name that ends like a configured one", {"Origin": "http://notdev.example:5173"}, 403),
    ("an extension", {"Origin": "chrome-extension://abcdef"}, 403),
    ("no Origin, but a browser says where it comes from", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("the same, a page of this machine", {"Sec-Fetch-Site": "same-site"}, 403),
    ("a link on a foreign page to an API", NAVIGATION, 403),
    ("a rebound name", {"Host": "evil.example"}, 421),
    ("a rebound name and its own origin", {"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT", "Sec-Fetch-Site": "same-origin"}, 421),
    ("a name that begins like an address", {"Host": "127.0.0.1.evil.example"}, 421),
    ("a name that ends like localhost", {"Host": "evillocalhost"}, 421),
]

# (method, path, body): each would be seen if it were executed.
CHANGES = [
    ("POST", "/ksql", {"ksql": "CREATE STREAM intruder (a INT) WITH (kafka_topic='intruder', value_format='json', partitions=1);"}),
    ("POST", "/query-stream", {"sql": "SELECT * FROM intruder;"}),
    ("POST", "/connectors", {"name": "intruder", "config": {"connector.class": "JdbcSink", "topics": "t"}}),
    ("PUT", "/connectors/intruder/config", {"connector.class": "JdbcSink", "topics": "t"}),
    ("DELETE", "/connectors/intruder", None),
    ("OPTIONS", "/ksql", None),
    ("GET", "/connectors", None),
    ("GET", "/api/v1/topics", None),
    ("GET", "/metrics", None),
    ("GET", "/nowhere", None),
]


def with_port(headers, port):
    return {name: value.replace("PORT", str(port)) for name, value in headers.items()}


def ask(port, method, path, headers, body=None):
    """(status, headers, body) of one request; Host only when it is given, else the address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patient(20))
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=with_port(headers, port))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def ask_h2(port, headers):
    """Status of GET /info over HTTP/2 with prior knowledge; Host becomes :authority."""
    words = [word for name, value in with_port(headers, port).items() for word in ("-H", f"{name}: {value}")]
    result = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--http2-prior-knowledge", *words,
                             f"http://127.0.0.1:{port}/info"], capture_output=True, text=True, timeout=patient(30))
    status, version = result.stdout.split()
    if version != "2":
        fail(f"HTTP/2 was not spoken: {result.stdout} {result.stderr}")
    return int(status)


def ask_websocket(port, headers):
    """Status of an upgrade to the live socket: 101 when it is open."""
    lines = {"Host": f"127.0.0.1:{port}", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), **with_port(headers, port)}
    head = "GET /api/v1/live HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=patient(20)) as client:
        client.sendall(head.encode())
        return int(client.recv(4096).split()[1])


def check_statuses(port):
    for what, headers, wanted in CASES:
        status, answered, body = ask(port, "GET", "/info", headers)
        if status != wanted:
            fail(f"{what}: {status} {body}, {wanted} expected")
        shared = answered["Access-Control-Allow-Origin"]
        if shared != (ALLOWED if headers.get("Origin") == ALLOWED else None):
            fail(f"{what}: Access-Control-Allow-Origin is {shared}")
        if status != 200 and "message" not in json.loads(body):
            fail(f"{what}: the refusal has no cause: {body}")
        if (status := ask_h2(port, headers)) != wanted:
            fail(f"{what}, HTTP/2: {status}, {wanted} expected")
        if (status := ask_websocket(port, headers)) != (101 if wanted == 200 else wanted):
            fail(f"{what}, websocket: {status}, {wanted} expected")


def check_changes(port):
    """Refused requests of every kind, as a browser sends them without asking before: nothing was executed."""
    for headers in ({"Origin": "http://evil.example", "Content-Type": "text/plain"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for method, path, body in CHANGES:
            status, answered, text = ask(port, method, path, headers, body)
            if status != 403 or answered["Access-Control-Allow-Origin"] is not None:
                fail(f"{method} {path} with {headers}: {status} {text}")
    if "INTRUDER" in ask(port, "POST", "/ksql", {}, {"ksql": "SHOW STREAMS;"})[2] or ask(port, "GET", "/connectors", {})[2] != "[]":
        fail("a refused request was executed")


def check_preflight(port):
    """The page of a configured origin is told what it may send; others are told nothing."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, answered, _ = ask(port, "OPTIONS", "/ksql", {"Origin": ALLOWED, **asked})
    if status != 204 or answered["Access-Control-Allow-Headers"] != "content-type" or "POST" not in answered["Access-Control-Allow-Methods"]:
        fail(f"preflight of a configured origin: {status} {answered}")


def check_links(port):
    """A link on a foreign page may lead to the page, and to nothing else; the page may not be framed."""
    status, _, body = ask(port, "GET", "/", NAVIGATION)
    if status not in (200, 302, 303, 307, 308):
        fail(f"a link to the start page: {status} {body}")
    framed = {**NAVIGATION, "Sec-Fetch-Dest": "iframe"}
    if (status := ask(port, "GET", "/", framed)[0]) != 403:
        fail(f"the start page in a foreign frame: {status}")


def check_kafka(server):
    """A browser can be made to send HTTP to the Kafka port: it gets nothing, and no bytes of its body are taken for a request."""
    body = b"\0\0\0\x11\0\x12\0\0\0\0\0\7\0\3abc" * 3
    for line in (b"POST / HTTP/1.1", b"GET / HTTP/1.1", b"PUT /x HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", server.kafka_port), timeout=patient(20)) as client:
            client.sendall(line + b"\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            try:
                got = client.recv(100)
            except ConnectionResetError:
                got = b""
            if got:
                fail(f"the Kafka port answered {line}: {got}")


def main(build):
    other = free_port()
    server = Server(build, "http.hosts=rialto.example", f"http.cors.origins={ALLOWED}")
    server.options.append(f"http.listen=127.0.0.1:{server.http_port},127.0.0.1:{other}")
    with server:
        for port in (server.http_port, other):
            check_statuses(port)
            check_changes(port)
            check_preflight(port)
            check_links(port)
        check_kafka(server)
    print(f"{len(CASES)} kinds of visitors on two ports, by HTTP/1.1, HTTP/2 and websocket; {len(CHANGES)} refused requests changed nothing")


if __name__ == "__main__":
    main(sys.argv[1])
