#!/usr/bin/env python3
"""franz-go, sarama, kafkajs and aiokafka once more, whole, over TLS with SASL. test_security.py has the details of both, and other clients.

PEER_GO and PEER_JS name the folders of the programs.
"""
import os
import tempfile

from harness import Broker, check_program, free_port, full_matrix
from test_aiokafka import check as check_aiokafka
from test_franz import WANTED as FRANZ
from test_kafkajs import SOURCE as KAFKAJS_SOURCE, WANTED as KAFKAJS
from test_sarama import SINCE_2_0, WANTED as SARAMA

from certificates import Authority  # by harness: test/lib

USER, PASSWORD = "alice", "alice-Wort-2"


class Secured(Broker):
    """Clients come over TLS with SASL to `address`; the test itself asks the plain `port` what is served."""

    def __init__(self, home):
        super().__init__()
        self.secured = free_port()
        scram = ";".join(f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"))
        self.options += [f"kafka.listen=OPEN://127.0.0.1:{self.port},BOTH://127.0.0.1:{self.secured}",
                         "listener.security.protocol.map=OPEN:PLAINTEXT,BOTH:SASL_SSL", f"ssl.keystore.location={home}/server.pem",
                         "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", f"sasl.bootstrap.users={scram}"]

    @property
    def address(self):
        return f"localhost:{self.secured}"


def check(make_broker):
    """In every run a mechanism a client; `make peers` adds what is slower."""
    franz, sarama = (os.path.join(os.environ["PEER_GO"], name) for name in ("franz", "sarama"))
    runs = [("franz", "SCRAM-SHA-256", [franz], FRANZ), ("sarama", "PLAIN", [sarama, "2.8.0"], {**SARAMA, **SINCE_2_0}),
            ("kafkajs", "SCRAM-SHA-512", ["node", KAFKAJS_SOURCE], KAFKAJS)]
    if full_matrix():
        runs += [("franz", "PLAIN", [franz], FRANZ), ("franz", "SCRAM-SHA-512", [franz], FRANZ),
                 ("kafkajs", "SCRAM-SHA-256", ["node", KAFKAJS_SOURCE], KAFKAJS)]
    for name, mechanism, command, wanted in runs:
        os.environ["PEER_MECHANISM"] = mechanism
        check_program(f"{name} {mechanism}", command, wanted, make_broker=make_broker)
    os.environ["PEER_MECHANISM"] = "SCRAM-SHA-512"
    check_aiokafka("aiokafka SCRAM-SHA-512", make_broker)


def main():
    with tempfile.TemporaryDirectory(prefix="rialto-sasl-") as home:
        authority = Authority(home)
        authority.server()
        os.environ.update(PEER_USER=USER, PEER_PASSWORD=PASSWORD, PEER_CA=str(authority.ca))
        check(lambda: Secured(home))


main()
