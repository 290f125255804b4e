#!/usr/bin/env python3
"""Options of single listeners, listener.name.*: two TLS listeners with certificates, client authentication and rules of their own; two
SASL listeners with mechanisms and times of their own; limits of connections, also changed while the broker runs; what tools are
told of them; and what is refused."""
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from harness import Broker, free_port, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from certificates import Authority  # noqa: E402
from rawkafka import Connection  # noqa: E402

PASSWORD = "alice-Wort-2"
STORE_PASSWORD = "Store-Wort-5"
PROTOCOLS = {"OPEN": "PLAINTEXT", "INSIDE": "SSL", "OUTSIDE": "SSL", "WORDS": "SASL_PLAINTEXT", "SCRAM": "SASL_PLAINTEXT"}


class Listening(Broker):
    def __init__(self, home):
        super().__init__()
        self.ports = {name: free_port() for name in PROTOCOLS}
        self.options += ["kafka.listen=" + ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()),
                         "listener.security.protocol.map=" + ",".join(f"{name}:{protocol}" for name, protocol in PROTOCOLS.items()),
                         f"ssl.keystore.location={home}/a/server.pem", f"listener.name.outside.ssl.keystore.location={home}/b/server.p12",
                         "listener.name.outside.ssl.keystore.type=PKCS12", f"listener.name.outside.ssl.keystore.password={STORE_PASSWORD}",
                         f"listener.name.outside.ssl.truststore.location={home}/b/ca.pem", "listener.name.outside.ssl.client.auth=required",
                         "listener.name.outside.ssl.principal.mapping.rules=RULE:^CN=(.*?)$/outside-$1/L",
                         "authorizer.class.name=StandardAuthorizer", "super.users=User:ANONYMOUS;User:outside-bob",
                         "listener.name.words.sasl.enabled.mechanisms=PLAIN", "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
                         "listener.name.words.connections.max.reauth.ms=7000", "listener.name.scram.plain.connections.max.reauth.ms=9000",
                         "listener.name.words.max.connections=2",
                         f"sasl.bootstrap.users=SCRAM-SHA-512=[name=alice,password={PASSWORD}]"]


def certificate(port, **context_files):
    """The certificate that is served; None: the handshake is refused."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if context_files:
        context.load_cert_chain(**context_files)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, context.wrap_socket(plain) as peer:
            peer.sendall(struct.pack(">ihhihh", 10, 18, 0, 7, -1, 0)[:14])
            return peer.getpeercert(binary_form=True) if peer.recv(1) else None
    except (ssl.SSLError, ConnectionResetError):
        return None


def pkcs12(home):
    """The PEM file's key and chain as PKCS#12, put in place at once."""
    done = subprocess.run(["openssl", "pkcs12", "-export", "-in", home / "server.pem", "-inkey", home / "server.pem", "-passout", f"pass:{STORE_PASSWORD}",
                           "-out", home / "server.new"], capture_output=True, text=True)
    assert done.returncode == 0, done
    (home / "server.new").replace(home / "server.p12")


def check_tls(broker, home, other):
    client = other.issue("client", "/CN=Bob")
    inside, outside = broker.ports["INSIDE"], broker.ports["OUTSIDE"]
    first = certificate(inside)
    second = certificate(outside, certfile=client)
    assert first and second and first != second
    assert certificate(outside) is None, "a client without certificate got in"
    settings = {"bootstrap.servers": f"localhost:{outside}", "security.protocol": "ssl", "ssl.ca.location": str(home / "b/ca.pem"), "log_level": 0,
                "ssl.certificate.location": str(client), "ssl.key.location": str(client)}
    node = next(iter(AdminClient(settings).list_topics(timeout=20).brokers.values()))
    assert node.port == outside, node
    producer = confluent_kafka.Producer(settings)  # by the listener's own rule it is a super user
    failures = []
    producer.produce("outside", b"x", on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(20) == 0 and failures == [None], failures
    other.server()
    pkcs12(home / "b")
    until = time.monotonic() + 30
    while certificate(outside, certfile=client) == second:
        assert time.monotonic() < until, "the new certificate of OUTSIDE is not served"
        time.sleep(0.1)
    assert certificate(inside) == first


def mechanisms(port, wanted):
    with Connection(port) as connection:
        name = wanted.encode()
        connection.send(17, 1, struct.pack(">h", len(name)) + name)
        answer = connection.answer()
    error, count = struct.unpack(">hi", answer[:6])
    names, at = [], 6
    for _ in range(count):
        length = struct.unpack(">h", answer[at:at + 2])[0]
        names.append(answer[at + 2:at + 2 + length].decode())
        at += 2 + length
    return error, names


def lifetime(port):
    """What a PLAIN authentication is told of its end."""
    with Connection(port) as connection:
        connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
        assert connection.answer()[:2] == b"\0\0"
        token = f"\0alice\0{PASSWORD}".encode()
        connection.send(36, 1, struct.pack(">i", len(token)) + token)
        answer = connection.answer()
    assert answer[:2] == b"\0\0", answer
    return struct.unpack(">q", answer[-8:])[0]


def check_sasl(broker):
    words, scram = broker.ports["WORDS"], broker.ports["SCRAM"]
    assert mechanisms(words, "SCRAM-SHA-512") == (33, ["PLAIN"])
    assert mechanisms(words, "PLAIN") == (0, ["PLAIN"])
    assert mechanisms(scram, "SCRAM-SHA-256") == (33, ["SCRAM-SHA-512", "PLAIN"])
    assert mechanisms(scram, "SCRAM-SHA-512")[0] == 0
    assert lifetime(words) == 7000 and lifetime(scram) == 9000


def is_open(port):
    """Is a connection taken? It stays open."""
    connection = Connection(port)
    try:
        connection.send(18, 0, b"")
        connection.answer()
        return connection
    except (EOFError, ConnectionError):
        return None


def check_limits(broker):
    def left(port, count):
        """How many of `count` connections are taken; waits until those of before have gone."""
        taken = [connection for connection in (is_open(port) for _ in range(count)) if connection]
        for connection in taken:
            connection.socket.close()
        return len(taken)

    def wait(port, wanted):
        until = time.monotonic() + 30
        while (got := left(port, 5)) != wanted:
            assert time.monotonic() < until, (got, wanted)
            time.sleep(0.2)
    wait(broker.ports["WORDS"], 2)
    wait(broker.ports["SCRAM"], 5)
    admin = AdminClient({"bootstrap.servers": f"localhost:{broker.ports['OPEN']}", "log_level": 0})

    def alter(name, value, operation=AlterConfigOpType.SET):
        resource = ConfigResource("BROKER", "1", incremental_configs=[ConfigEntry(name, value, incremental_operation=operation)])
        try:
            admin.incremental_alter_configs([resource])[resource].result(20)
        except confluent_kafka.KafkaException as failure:
            return failure.args[0].str()
        return None
    assert alter("listener.name.words.max.connections", "3") is None
    wait(broker.ports["WORDS"], 3)
    broker.restart()
    wait(broker.ports["WORDS"], 3)
    assert alter("listener.name.words.max.connections", None, AlterConfigOpType.DELETE) is None
    wait(broker.ports["WORDS"], 2)
    assert "Not a number" in alter("listener.name.words.max.connections", "some")
    for name in ("listener.name.outside.ssl.keystore.location", "ssl.keystore.location"):
        said = alter(name, "/elsewhere")
        assert f"dynamically: [{name}]" in said and "read again" in said, said
    assert "dynamically: [listener.name.words.sasl.enabled.mechanisms]" in alter("listener.name.words.sasl.enabled.mechanisms", "PLAIN")
    assert "Unknown" in alter("listener.name.nowhere.max.connections", "3")


def check_configs(broker):
    admin = AdminClient({"bootstrap.servers": f"localhost:{broker.ports['OPEN']}", "log_level": 0})
    resource = ConfigResource("BROKER", "1")
    configs = admin.describe_configs([resource])[resource].result(20)
    auth = configs["listener.name.outside.ssl.client.auth"]
    assert (auth.value, auth.source, auth.is_read_only) == ("required", 4, True), auth
    assert {name: entry.value for name, entry in auth.synonyms.items()} == {
        "listener.name.outside.ssl.client.auth": "required", "ssl.client.auth": "none"}, auth.synonyms
    word = configs["listener.name.outside.ssl.keystore.password"]
    assert word.is_sensitive and word.value is None, word
    assert configs["ssl.keystore.location"].value.endswith("a/server.pem")
    assert configs["listener.name.words.max.connections"].value == "2"
    assert "listener.name." not in configs
    text = broker.stderr() + "".join(str(entry.value) for entry in configs.values())
    assert STORE_PASSWORD not in text and PASSWORD not in text, "a password is shown"


def check_refusals(home):
    """A start that would not do what is written ends with a sentence that names it."""
    program = os.environ["BROKER_PROGRAM"]
    cases = [("outside.ssl.client.auth=none", "no listener"), ("ssl.log.dirs=/tmp", "no option log.dirs"), ("SSL.ssl.client.auth=none", "small letters"),
             ("ssl.num.partitions=3", "whole server"), ("sasl_plaintext.plain.sasl.jaas.config=x", "no option sasl.jaas.config"),
             ("sasl_plaintext.ssl.client.auth=none", "does not speak TLS"), ("ssl.sasl.enabled.mechanisms=PLAIN", "does not speak SASL"),
             ("sasl_plaintext.plain.sasl.server.max.receive.size=4096", "all mechanisms"), ("ssl.ssl.client.auth=perhaps", "String must be one of"),
             ("sasl_plaintext.sasl.enabled.mechanisms=GSSAPI", "sasl.enabled.mechanisms"), ("sasl_plaintext.sasl.enabled.mechanisms=", "must not be empty"),
             ("ssl.ssl.client.auth=required", "ssl.truststore.location"), ("ssl.ssl.keystore.location=/nowhere", "/nowhere")]
    early = ("no listener", "small letters")  # said before anything is made
    for option, named in cases:
        words = [word for text in ("kafka.listen=SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0", "http.listen=127.0.0.1:0",
                                   f"ssl.keystore.location={home}/a/server.pem", f"listener.name.{option}") for word in ("--set", text)]
        with tempfile.TemporaryDirectory() as directory:
            data = Path(directory) / "data"
            done = subprocess.run([program, "server", "--data", str(data), *words], capture_output=True, text=True, timeout=60)
            assert named in done.stderr, (option, done.stderr)
            assert (done.returncode, data.exists()) == ((2, False) if named in early else (1, True)), (option, done.returncode)


def check_advertised():
    """What is advertised must be of a listener that there is, and an address that clients can connect to."""
    program = os.environ["BROKER_PROGRAM"]
    cases = [("127.0.0.1:0", "OUTSIDE://kafka.example:9093", "no listener of the name OUTSIDE"),
             ("SASL_PLAINTEXT://127.0.0.1:0", "kafka.example:9093", "no listener of the name PLAINTEXT"),
             ("127.0.0.1:0", "0.0.0.0:9092", "cannot connect to"), ("127.0.0.1:0", "[::]:9092", "cannot connect to"), ("127.0.0.1:0", ":9092", "cannot connect to")]
    for listen, advertise, named in cases:
        words = [word for text in (f"kafka.listen={listen}", f"kafka.advertise={advertise}", "http.listen=127.0.0.1:0") for word in ("--set", text)]
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([program, "server", "--data", data, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "kafka.advertise" in done.stderr and named in done.stderr, (listen, advertise, done.stderr)


def check_environment(home):
    """Variables have no '_' and '-' of their own: what they name is found, and shown as it is written elsewhere."""
    broker = Broker(f"kafka.listen=127.0.0.1:{(port := free_port())},SASL_SSL://127.0.0.1:0", "sasl.enabled.mechanisms=SCRAM-SHA-512")
    broker.options.pop(0)
    variables = {"RIALTO_LISTENER_NAME_SASL_SSL_SSL_KEYSTORE_LOCATION": f"{home}/b/server.p12", "RIALTO_LISTENER_NAME_SASL_SSL_SSL_KEYSTORE_TYPE": "PKCS12",
                 "RIALTO_LISTENER_NAME_SASL_SSL_SSL_KEYSTORE_PASSWORD": STORE_PASSWORD,
                 "RIALTO_LISTENER_NAME_SASL_SSL_SCRAM_SHA_512_CONNECTIONS_MAX_REAUTH_MS": "1h"}
    os.environ.update(variables)
    try:
        with broker:
            admin = AdminClient({"bootstrap.servers": f"localhost:{port}", "log_level": 0})
            resource = ConfigResource("BROKER", "1")
            configs = admin.describe_configs([resource])[resource].result(20)
            assert configs["listener.name.sasl_ssl.ssl.keystore.type"].value == "PKCS12"
            assert configs["listener.name.sasl_ssl.scram-sha-512.connections.max.reauth.ms"].value == "3600000"
    finally:
        for name in variables:
            del os.environ[name]


def main():
    with tempfile.TemporaryDirectory(prefix="rialto-peer-listeners-") as directory:
        home = Path(directory)
        Authority(home / "a").server()
        other = Authority(home / "b")
        other.server()
        pkcs12(home / "b")
        with Listening(home) as broker:
            check_configs(broker)
            check_tls(broker, home, other)
            check_sasl(broker)
            check_limits(broker)
        check_environment(home)
        check_refusals(home)
        check_advertised()
    passed("listeners", "two TLS and two SASL listeners with options of their own, limits, what tools are told, refusals")


if __name__ == "__main__":
    main()
