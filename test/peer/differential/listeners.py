"""Brokers with a listener for each way to come in, and a connection to one of them as a case sees it.

    Several(home, ...)          both brokers with the listeners of LISTENERS, certificates in `home`
    Link(session, "SASL")       a connection of its own: what is asked there is noted as by Session.call
"""
import ssl
import sys
from pathlib import Path

import kafkaspec
from harness import Broker, free_port, patient
from rawkafka import Connection

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from certificates import Authority  # noqa: E402

# The first is the node's own; the others by what is special about them.
LISTENERS = {"PLAINTEXT": "PLAINTEXT", "SASL": "SASL_PLAINTEXT", "AGAIN": "SASL_PLAINTEXT", "SHORT": "SASL_PLAINTEXT",
             "TLS": "SSL", "MAPPED": "SSL", "CERT": "SSL", "BOTH": "SASL_SSL"}
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
LIFETIME, SHORT_LIFETIME = 3600000, int(patient(2) * 1000)
PASSWORDS = {"alice": "alice-Wort-2", "bob": "bob-Wort-3", "ü": "ü-Wort"}
SUBJECTS = {"client": "/CN=client", "several": "/C=DE/ST=Some State/L=Town/O=Org, Inc./OU=Unit/CN=Name With Blanks", "mail": "/emailAddress=a@b.c/CN=m",
            "odd": r"/O=a\+b <c>;d=\"e\"/CN= #lead", "plus": "/O=x+OU=y/CN=z", "letters": "/CN=Ünïcode", "rare": "/DC=org/DC=example/UID=77/serialNumber=5/CN=r",
            "twice": "/OU=one/OU=two/CN=t"}
RULES = r"RULE:^CN=([a-z]*)$/mapped-$1/U,RULE:^.*CN=(Name With Blanks).*$/$1/L,RULE:^CN=m,(.*)$/$1/,DEFAULT"
CLOSED, NO_ANSWER, REFUSED = "closed", "no answer", "no connection"


def certificates(home):
    """Those of the server and of clients; of one whom nobody knows too."""
    authority, other = Authority(home), Authority(Path(home) / "other")
    authority.server()
    for name, subject in SUBJECTS.items():
        authority.issue(name, subject)
    other.issue("stranger", "/CN=client")


def options(home):
    """What both brokers are told."""
    return (f"sasl.enabled.mechanisms={MECHANISMS}", "listener.name.both.sasl.enabled.mechanisms=SCRAM-SHA-512",
            f"listener.name.again.connections.max.reauth.ms={LIFETIME}", f"listener.name.short.connections.max.reauth.ms={SHORT_LIFETIME}",
            f"ssl.keystore.location={home}/server.pem", "ssl.keystore.type=PEM", f"ssl.truststore.location={home}/ca.pem", "ssl.truststore.type=PEM",
            "listener.name.cert.ssl.client.auth=required", "listener.name.mapped.ssl.client.auth=requested",
            f"listener.name.mapped.ssl.principal.mapping.rules={RULES}", "delegation.token.secret.key=some secret",
            "connection.failed.authentication.delay.ms=10")


def jaas():
    """What an Apache Kafka is told besides: its users of PLAIN are in its configuration."""
    users = " ".join(f'user_{name}="{word}"' for name, word in PASSWORDS.items() if name.isascii())
    module = "org.apache.kafka.common.security"
    for listener, protocol in LISTENERS.items():
        if protocol.startswith("SASL"):
            start = f"listener.name.{listener.lower()}"
            yield f"{start}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required {users};"
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                yield f"{start}.{mechanism}.sasl.jaas.config={module}.scram.ScramLoginModule required tokenauth=\"true\";"


class Several(Broker):
    """A broker that is reached in several ways; `ports` by listener."""

    def __init__(self, *more, program=None):
        super().__init__(*more, program=program)
        self.ports = {name: free_port() for name in LISTENERS}
        self.ports["PLAINTEXT"] = self.port
        self.options += ["kafka.listen=" + ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()),
                         "listener.security.protocol.map=" + ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items())]


class Link:
    """A connection to a listener: its answers are noted, and when there are none."""

    def __init__(self, session, listener, certificate=None, client_id="c"):
        self.session, self.open = session, True
        self.connection = Connection(session.ports[listener], client_id)
        self.connection.socket.settimeout(patient(6))
        session.more.append(self.connection)
        if LISTENERS[listener].endswith("SSL"):
            self.open = self.secure(session.home, certificate)

    def secure(self, home, certificate):
        context = ssl.create_default_context(cafile=f"{home}/ca.pem")
        if certificate:
            context.load_cert_chain(certificate if "/" in certificate else f"{home}/{certificate}.pem")
        try:
            self.connection.socket = context.wrap_socket(self.connection.socket, server_hostname="localhost")
            return True
        except (OSError, EOFError):
            return False

    def exchange(self, ask, *arguments):
        """What `ask` gives, or that the connection has ended."""
        if not self.open:
            return CLOSED
        try:
            return ask(*arguments)
        except TimeoutError:
            answer = NO_ANSWER
        except (EOFError, OSError):
            answer = CLOSED
        self.open = False
        return answer

    def ask(self, name, version, values=(), **more):
        """The answer, which is not noted."""
        return self.exchange(kafkaspec.call, self.connection, name, version, dict(values, **more))

    def call(self, name, version, values=(), what=None, **more):
        """Asks and notes; texts of errors too, because clients show them to their users."""
        answer = self.ask(name, version, values, **more)
        return self.note(f"{name} v{version}" + (f" {what}" if what else ""), dict(values, **more), answer)

    def note(self, label, values, answer):
        words = answer
        if isinstance(answer, dict) and "ErrorMessage" in answer:
            words = dict(answer, Words=answer["ErrorMessage"])
        if isinstance(answer, dict) and "Mechanisms" in answer:  # their order is no promise
            words = dict(answer, Mechanisms=sorted(answer["Mechanisms"]))
        self.session.note(label, values, words)
        return answer

    def lives(self, what):
        """Notes whether another request is answered."""
        answer = self.ask("Metadata", 9, Topics=[])
        self.session.note(f"lives {what}", {}, "an answer" if isinstance(answer, dict) else answer)
        return isinstance(answer, dict)
