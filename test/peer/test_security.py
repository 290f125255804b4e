#!/usr/bin/env python3
"""Listeners, TLS, client certificates and SASL with unmodified clients: kcat, confluent-kafka, kafka-python and the Java client;
what nobody's client would send: requests before authentication, silence and garbage on a TLS port; a certificate that changes
under traffic; an authentication that runs out. Certificates and tokens are made here. PEER_JAVA_LIBS names the Java jars."""
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import confluent_kafka
import kafka
from confluent_kafka.admin import AdminClient, NewTopic

from harness import Broker, free_port, passed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from certificates import Authority, Issuer  # noqa: E402
from rawkafka import Connection  # noqa: E402

SOURCE = Path(__file__).resolve().parent / "java/src/SecureClient.java"
PASSWORDS = {"admin": "admin-Wort-1", "alice": "alice-Wort-2", "bob": "bob-Wort-3"}
KINDS = ("OPEN", "TLS", "SASL", "BOTH")


class Secured(Broker):
    """A broker with four listeners, one a protocol, and three users."""

    def __init__(self, home, *options):
        super().__init__()
        self.home = Path(home)
        self.ports = {kind: free_port() for kind in KINDS}
        users = [f"SCRAM-SHA-256=[name={name},password={word}]" for name, word in PASSWORDS.items()]
        users.append(f"SCRAM-SHA-512=[name=alice,password={PASSWORDS['alice']}]")
        self.options += ["kafka.listen=" + ",".join(f"{kind}://127.0.0.1:{self.ports[kind]}" for kind in KINDS),
                         "listener.security.protocol.map=OPEN:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT,BOTH:SASL_SSL",
                         f"ssl.keystore.location={self.home}/server.pem", f"ssl.truststore.location={self.home}/ca.pem",
                         "ssl.client.auth=requested", "ssl.principal.mapping.rules=RULE:^CN=(.*?),.*$/$1/L,DEFAULT",
                         "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
                         f"sasl.oauthbearer.jwks.endpoint.url=file://{self.home}/jwks.json",
                         "sasl.oauthbearer.expected.audience=kafka", "sasl.bootstrap.users=" + ";".join(users), *options]

    def at(self, kind):
        return f"localhost:{self.ports[kind]}"


def settings(broker, kind, mechanism=None, user="alice", certificate=None):
    """What librdkafka's clients need."""
    out = {"bootstrap.servers": broker.at(kind), "log_level": 0, "security.protocol": dict(zip(KINDS, ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")))[kind]}
    if kind in ("TLS", "BOTH"):
        out["ssl.ca.location"] = str(broker.home / "ca.pem")
    if certificate:
        out |= {"ssl.certificate.location": str(certificate), "ssl.key.location": str(certificate)}
    if mechanism:
        out |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": PASSWORDS[user]}
    return out


def talk_confluent(conf, topic, text):
    """A record there and back; gives the address that the broker names."""
    failures = []
    producer = confluent_kafka.Producer(conf)
    producer.produce(topic, text.encode(), on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(20) == 0 and failures == [None], failures
    consumer = confluent_kafka.Consumer({**conf, "group.id": f"g-{text}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values = set()
    until = time.monotonic() + 30
    while text not in values and time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.add(message.value().decode())
    consumer.close()
    assert text in values, (text, values)
    return next(iter(AdminClient(conf).list_topics(timeout=20).brokers.values()))


def check_confluent(broker, issuer):
    token = lambda _: (issuer.token("alice", aud="kafka"), time.time() + 300)
    cases = [settings(broker, "OPEN"), settings(broker, "TLS"), settings(broker, "TLS", certificate=broker.home / "client.pem")]
    cases += [settings(broker, kind, mechanism) for kind in ("SASL", "BOTH") for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")]
    oauth = settings(broker, "BOTH") | {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": token}
    for number, conf in enumerate(cases + [oauth]):
        node = talk_confluent(conf, "confluent", f"c{number}")
        assert f"localhost:{node.port}" == conf["bootstrap.servers"], (node, conf["bootstrap.servers"])


def check_refusals(broker, issuer):
    """Wrong secrets give an authentication error, and a listener's neighbours stay closed to it."""
    def error_of(conf):
        failure = []
        client = AdminClient(conf | {"error_cb": lambda error: failure.append(error.code())})
        try:
            client.list_topics(timeout=2)
        except confluent_kafka.KafkaException:
            client.poll(0.2)
            return failure
        raise SystemExit(f"FAILED: let in: {conf}")
    failed = confluent_kafka.KafkaError._AUTHENTICATION
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        conf = settings(broker, "SASL", mechanism)
        assert failed in error_of(conf | {"sasl.password": "guess"}), mechanism
        assert failed in error_of(conf | {"sasl.username": "nobody"}), mechanism
    for claims in ({"aud": "other"}, {"aud": "kafka", "seconds": -60}):
        token = lambda _: (issuer.token("alice", **claims), time.time() + 300)
        assert failed in error_of(settings(broker, "BOTH") | {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": token}), claims
    stranger = settings(broker, "TLS", certificate=broker.home / "stranger.pem")
    error_of(stranger)
    error_of(settings(broker, "TLS") | {"bootstrap.servers": broker.at("OPEN")})
    error_of(settings(broker, "OPEN") | {"bootstrap.servers": broker.at("SASL")})


def check_kcat(broker):
    for conf in (settings(broker, "TLS", certificate=broker.home / "client.pem"), settings(broker, "BOTH", "SCRAM-SHA-512"),
                 settings(broker, "SASL", "PLAIN")):
        words = [word for name, value in conf.items() if name != "bootstrap.servers" for word in ("-X", f"{name}={value}")]
        start = ["kcat", "-b", conf["bootstrap.servers"], *words, "-t", "kcat"]
        subprocess.run([*start, "-P"], input=b"from kcat\n", check=True, timeout=60)
        read = subprocess.run([*start, "-C", "-e", "-q"], capture_output=True, check=True, timeout=60)
        assert b"from kcat" in read.stdout, read


def check_kafka_python(broker):
    common = {"bootstrap_servers": broker.at("BOTH"), "security_protocol": "SASL_SSL", "ssl_cafile": str(broker.home / "ca.pem"),
              "sasl_plain_username": "bob", "sasl_plain_password": PASSWORDS["bob"]}
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        producer = kafka.KafkaProducer(sasl_mechanism=mechanism, **common)
        producer.send("python", b"value").get(timeout=30)
        producer.close()
    consumer = kafka.KafkaConsumer("python", group_id="python-group", auto_offset_reset="earliest", consumer_timeout_ms=20000,
                                   sasl_mechanism="SCRAM-SHA-256", **common)
    assert next(iter(consumer)).value == b"value"
    consumer.close()


# Java ------------------------------------------------------------------------------------------------------------------


def java_properties(broker, kind, mechanism=None, user="alice", certificate=None):
    lines = {"bootstrap.servers": broker.at(kind), "security.protocol": dict(zip(KINDS, ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")))[kind]}
    if kind in ("TLS", "BOTH"):
        lines |= {"ssl.truststore.location": broker.home / "ca.pem", "ssl.truststore.type": "PEM"}
    if certificate:
        lines |= {"ssl.keystore.location": certificate, "ssl.keystore.type": "PEM"}
    if mechanism:
        module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
        lines |= {"sasl.mechanism": mechanism, "sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
                  f'username="{user}" password="{PASSWORDS[user]}";'}
    path = broker.home / f"{kind}-{mechanism}-{user}.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return path


def java(broker, properties, *words):
    """Facts that the client prints."""
    libs = os.environ.get("PEER_JAVA_LIBS") or sys.exit("PEER_JAVA_LIBS must name the folder of the jars")
    done = subprocess.run(["java", "-cp", os.path.join(libs, "*"), SOURCE, properties, *map(str, words)], capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        broker.fail(f"the Java client failed: {words}")
    return dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line.startswith("fact "))


def check_cli(broker):
    """The command line over TLS and SASL makes a user, who may then log in, and takes him away again."""
    rialto = str(Path(os.environ["BROKER_PROGRAM"]).parent / "rialto")
    environment = os.environ | {"RIALTO_BROKERS": broker.at("BOTH"), "RIALTO_COMMAND_CONFIG": str(java_properties(broker, "BOTH", "SCRAM-SHA-512"))}

    def run(*words, data="", config=None):
        extra = ["--command-config", str(config)] if config else []
        return subprocess.run([rialto, *words, *extra], input=data, capture_output=True, text=True, timeout=60, env=environment)
    made = run("user", "create", "carol", data="carol-Wort-4\n")
    assert made.returncode == 0, made
    listed = run("user", "list").stdout
    assert "carol\tSCRAM-SHA-256\t4096" in listed and "alice\tSCRAM-SHA-512\t4096" in listed, listed
    PASSWORDS["carol"] = "carol-Wort-4"
    carol = java_properties(broker, "SASL", "PLAIN", "carol")
    assert run("topic", "list", "-b", broker.at("SASL"), config=carol).returncode == 0
    assert run("user", "delete", "carol").returncode == 0
    refused = run("topic", "list", "-b", broker.at("SASL"), config=carol)
    assert refused.returncode == 1 and "Invalid username or password" in refused.stderr, refused
    assert "carol" not in run("user", "list").stdout
    assert "no user" in run("user", "delete", "carol").stderr
    assert PASSWORDS.pop("carol") not in broker.stderr()


def check_java(broker):
    assert java(broker, java_properties(broker, "TLS", certificate=broker.home / "client8.pem"), "talk", "java", 50) == {"seen": "50"}
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        facts = java(broker, java_properties(broker, "BOTH", mechanism), "talk", f"java-{mechanism.lower()}", 50)
        assert facts == {"seen": "50"}, facts


# By hand -----------------------------------------------------------------------------------------------------------------


def sasl_plain(connection, user="alice", version=1):
    """Authenticates; gives (error, session lifetime)."""
    connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
    answer = connection.answer()
    assert answer[:2] == b"\0\0", answer
    token = f"\0{user}\0{PASSWORDS[user]}".encode()
    connection.send(36, version, struct.pack(">i", len(token)) + token)
    answer = connection.answer()
    error, text = struct.unpack(">hh", answer[:4])
    rest = answer[4 + max(text, 0):]
    return error, struct.unpack(">q", rest[4:12])[0] if version >= 1 and not error else None


def metadata_works(connection):
    connection.send(3, 1, struct.pack(">i", 0))
    try:
        return len(connection.answer()) > 10
    except (EOFError, ConnectionError):
        return False


def check_by_hand(broker):
    port = broker.ports["SASL"]
    for key, version, body in ((3, 1, struct.pack(">i", 0)), (0, 7, b""), (36, 0, struct.pack(">i", 0))):
        with Connection(port) as connection:  # nothing else before authentication
            connection.send(key, version, body)
            assert connection.closed(), key
    with Connection(port) as connection:  # a large request before it
        connection.socket.sendall(struct.pack(">i", 524289))
        assert connection.closed()
    with Connection(port) as connection:
        connection.send(18, 0, b"")
        assert connection.answer()[:2] == b"\0\0"
        connection.send(17, 1, struct.pack(">h", 6) + b"GSSAPI")
        error, count = struct.unpack(">hi", connection.answer()[:6])
        assert (error, count) == (33, 4) and connection.closed()  # the list of what there is (KIP-43)
    with Connection(port) as connection:
        connection.send(18, 0, b"")
        assert connection.answer()[:2] == b"\0\0"
        assert sasl_plain(connection) == (0, 0)
        assert metadata_works(connection)
        connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
        assert connection.answer()[:2] == b"\0\x22"  # ILLEGAL_SASL_STATE: nothing ends, so nothing is renewed
        assert metadata_works(connection)
    with Connection(port) as connection:  # in the middle of it
        connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
        connection.answer()
        connection.send(3, 1, struct.pack(">i", 0))
        assert connection.closed()
    with Connection(port) as connection:  # SaslHandshake v0: bare tokens
        connection.send(17, 0, struct.pack(">h", 5) + b"PLAIN")
        assert connection.answer()[:2] == b"\0\0"
        token = f"\0bob\0{PASSWORDS['bob']}".encode()
        connection.socket.sendall(struct.pack(">i", len(token)) + token)
        assert connection.read(4) == b"\0\0\0\0"
        assert metadata_works(connection)
    with Connection(port) as connection:  # a refusal takes its time, says little and closes
        connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
        connection.answer()
        token, start = b"\0alice\0guess", time.monotonic()
        connection.send(36, 0, struct.pack(">i", len(token)) + token)
        answer = connection.answer()
        assert answer[:2] == b"\0\x3a" and b"Invalid username or password" in answer, answer
        assert time.monotonic() - start >= 0.1 and connection.closed()
    with Connection(broker.ports["OPEN"]) as connection:
        connection.send(17, 1, struct.pack(">h", 5) + b"PLAIN")
        assert connection.answer()[:2] == b"\0\x22"


def dropped(port, data=b"", seconds=20):
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        if data:
            peer.sendall(data)
        try:
            while peer.recv(1000):
                pass
        except ConnectionResetError:
            pass
        return True


def check_bad_peers(home):
    """Silence, half a handshake and garbage on TLS ports; a SASL client that never proves who it is."""
    with Secured(home, "connection.setup.timeout.ms=1000") as broker:
        tls, sasl = broker.ports["TLS"], broker.ports["SASL"]
        with Connection(broker.ports["OPEN"]) as other:
            start = time.monotonic()
            threads = [threading.Thread(target=dropped, args=(port, data)) for port in (tls, broker.ports["BOTH"])
                       for data in (b"", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)) for _ in range(20)]
            threads += [threading.Thread(target=dropped, args=(sasl,)) for _ in range(20)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                assert metadata_works(other)
                time.sleep(0.05)
            assert time.monotonic() - start < 15
        assert "tls_handshake_failed" in broker.stderr()


def serial(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, context.wrap_socket(plain) as peer:
        return peer.getpeercert(binary_form=True)


def check_reload(broker, authority):
    """The certificate changes while a producer works; it notices nothing, newcomers get the new one."""
    failures, stop = [], threading.Event()
    producer = confluent_kafka.Producer(settings(broker, "BOTH", "SCRAM-SHA-256") | {"linger.ms": 1})

    def produce():
        while not stop.is_set():
            producer.produce("reload", b"x" * 1000, on_delivery=lambda error, _: error and failures.append(error))
            producer.poll(0.002)
    worker = threading.Thread(target=produce)
    before = serial(broker.ports["TLS"])
    worker.start()
    authority.server()
    until = time.monotonic() + 30
    while serial(broker.ports["TLS"]) == before:
        assert time.monotonic() < until, "the new certificate is not served"
        time.sleep(0.1)
    stop.set()
    worker.join()
    assert producer.flush(20) == 0 and not failures, failures


def check_renewal(home):
    """connections.max.reauth.ms: the Java client renews and goes on; who does not is closed."""
    with Secured(home, "connections.max.reauth.ms=2000") as broker:
        with Connection(broker.ports["SASL"]) as lazy, Connection(broker.ports["SASL"]) as other:
            assert sasl_plain(lazy) == (0, 2000)
            assert sasl_plain(other) == (0, 2000)
            facts = java(broker, java_properties(broker, "BOTH", "SCRAM-SHA-256"), "slow", "slow", 30, 200)
            assert facts == {"reauthenticated": "true", "sent": "30"}, facts
            assert not metadata_works(lazy)
            assert sasl_plain(other)[0] == 0 and metadata_works(other)  # late, but it is the first thing that it does
            connection_error, _ = sasl_plain(other, "bob")
            assert connection_error == 58 and other.closed()  # somebody else may not take over


def check_java_admin(home):
    """The Java admin client makes users and rules and takes them away; it is told what it may do."""
    with Secured(home, "authorizer.class.name=StandardAuthorizer", "super.users=User:admin") as broker:
        facts = java(broker, java_properties(broker, "BOTH", "SCRAM-SHA-256", "admin"), "admin", "zoe")
        assert facts["user"] == "[ScramCredentialInfo{mechanism=SCRAM_SHA_512, iterations=4096}]", facts
        assert facts["users"] == "[admin, alice, bob]" and facts["deleted"] == "1", facts
        assert "PREFIXED" in facts["rules"] and "User:zoe" in facts["rules"], facts
        wanted = {"ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "IDEMPOTENT_WRITE"}
        assert set(facts["operations"].strip("[]").split(", ")) == wanted, facts
        refused = AdminClient(settings(broker, "BOTH", "SCRAM-SHA-256"))  # alice may nothing
        assert refused.list_topics(timeout=20).topics == {}
        error = refused.create_topics([NewTopic("no", 1)])["no"].exception(20).args[0]
        assert error.code() == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED, error


def check_warnings(home):
    """Who listens beyond loopback and asks nobody who he is, or lets passwords travel in the clear, is told so; others are not."""
    def said(listen, *options):
        broker = Broker()
        broker.options += [f"kafka.listen={listen}", f"ssl.keystore.location={home}/server.pem", f"ssl.truststore.location={home}/ca.pem", *options]
        with broker:
            text = broker.stderr()
        return {word for word in ("listener_open", "password_in_clear") if word in text}
    plain = "sasl.enabled.mechanisms=PLAIN"
    assert said("127.0.0.1:0,SSL://127.0.0.1:0") == set()
    assert said("0.0.0.0:0") == {"listener_open"}
    assert said("SSL://0.0.0.0:0") == {"listener_open"} == said("SSL://0.0.0.0:0", "ssl.client.auth=requested")
    assert said("SSL://0.0.0.0:0", "ssl.client.auth=required") == set() == said("SASL_SSL://0.0.0.0:0", plain)
    assert said("SASL_PLAINTEXT://0.0.0.0:0", plain) == {"password_in_clear"}
    assert said("SASL_PLAINTEXT://0.0.0.0:0") == set()  # SCRAM does not send it


def check_refused_starts(home):
    """Options that cannot be meant end the start with a sentence that names them."""
    program = os.environ["BROKER_PROGRAM"]
    cases = [("SSL://127.0.0.1:0", (), "ssl.keystore.location"), ("HOME://127.0.0.1:0", (), "listener.security.protocol.map"),
             ("127.0.0.1:0", ("listener.security.protocol.map=HOME:TCP",), "'HOME:TCP'"), ("127.0.0.1:0", ("listener.security.protocol.map=HOME",), "'HOME'"),
             ("127.0.0.1:0", ("sasl.enabled.mechanisms=GSSAPI",), "sasl.enabled.mechanisms"), ("127.0.0.1:0", ("super.users=admin",), "super.users"),
             ("127.0.0.1:0", ("authorizer.class.name=Mine",), "authorizer.class.name"),
             ("127.0.0.1:0", (f"ssl.keystore.location={home}/ca.pem",), "private key"),
             ("127.0.0.1:0", ("sasl.enabled.mechanisms=OAUTHBEARER",), "sasl.oauthbearer.jwks.endpoint.url"),
             ("127.0.0.1:0", ("sasl.bootstrap.users=admin=secret-Wort",), "sasl.bootstrap.users")]
    for listen, options, named in cases:
        words = [word for option in (f"kafka.listen={listen}", "http.listen=127.0.0.1:0", *options) for word in ("--set", option)]
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([program, "server", "--data", data, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and named in done.stderr and "secret-Wort" not in done.stderr, (listen, options, done.stderr)


def check_secrets(broker):
    """No password and no token in a log line, a config answer or the list of users."""
    admin = AdminClient(settings(broker, "OPEN"))
    configs = admin.describe_configs([confluent_kafka.admin.ConfigResource("BROKER", "1")])
    text = broker.stderr() + "".join(str(entry.value) for future in configs.values() for entry in future.result(20).values())
    for word in PASSWORDS.values():
        assert word not in text, "a password is shown"
    assert "eyJ" not in text, "a token is shown"


def main():
    with tempfile.TemporaryDirectory(prefix="rialto-peer-tls-") as home:
        authority, issuer = Authority(home), Issuer(home)
        authority.server()
        client = authority.issue("client", "/C=DE/CN=Alice")
        pkcs8 = Path(home) / "client8.pem"
        pkcs8.write_bytes(client.read_bytes())  # openssl genpkey writes PKCS#8, which Java wants
        Authority(Path(home) / "other").issue("stranger", "/CN=stranger").rename(Path(home) / "stranger.pem")
        with Secured(home) as broker:
            admin = AdminClient(settings(broker, "OPEN"))  # must outlive its futures
            admin.create_topics([NewTopic("confluent", 1)])["confluent"].result(20)
            check_confluent(broker, issuer)
            check_refusals(broker, issuer)
            check_kcat(broker)
            check_kafka_python(broker)
            check_java(broker)
            check_cli(broker)
            check_by_hand(broker)
            check_reload(broker, authority)
            broker.restart()  # users are still there
            check_by_hand(broker)
            check_secrets(broker)
        check_java_admin(home)
        check_warnings(home)
        check_refused_starts(home)
        check_bad_peers(home)
        check_renewal(home)
    passed("security", "four clients over TLS, certificates and SASL; bad peers, renewal, a new certificate under traffic")


if __name__ == "__main__":
    main()
