#!/usr/bin/env python3
"""Delegation tokens (KIP-48): the Java admin client and kafka-delegation-tokens make, renew, describe and end them and log in with them; by
hand every version, the errors, the time of an authentication, restarts, another secret key, rules; and no secret in what is said."""
import base64
import hashlib
import hmac
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from harness import Broker, free_port, passed
from jvm import Tools, java, libs_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from kafkaspec import call  # noqa: E402
from rawkafka import Connection  # noqa: E402

PASSWORD, SECRET = "same-Wort-1", "key-of-tokens-7"
AUTH_DISABLED, NOT_FOUND, OWNER_MISMATCH, NOT_ALLOWED, NO_TOKEN, EXPIRED, PRINCIPAL_TYPE = 61, 62, 63, 64, 65, 66, 67
DAY_MS = 86400000

# What an Apache Kafka 4.3.1 with the same users, options and rules tells the same program.
KAFKA = """own User:alice by User:alice renewers [] expires 86400000 ends 604800000
sizes 22 64
shared User:alice by User:alice renewers [User:bob] expires 3600000 ends 3600000
for-bob-by-alice DelegationTokenAuthorizationException
renewer-of-another-kind InvalidPrincipalTypeException
for-bob-by-admin User:bob by User:admin renewers [] expires 86400000 ends 604800000
by-nobody UnsupportedByAuthenticationException
seen-by-nobody UnsupportedByAuthenticationException
seen-by-admin User:alice by User:alice renewers [User:bob] expires 3600000 ends 3600000; User:alice by User:alice renewers [] expires 86400000 ends 604800000; User:bob by User:admin renewers [] expires 86400000 ends 604800000
seen-by-alice User:alice by User:alice renewers [User:bob] expires 3600000 ends 3600000; User:alice by User:alice renewers [] expires 86400000 ends 604800000
seen-by-bob User:alice by User:alice renewers [User:bob] expires 3600000 ends 3600000; User:bob by User:admin renewers [] expires 86400000 ends 604800000
seen-by-carol []
seen-of-bob-by-admin User:alice by User:alice renewers [User:bob] expires 3600000 ends 3600000; User:bob by User:admin renewers [] expires 86400000 ends 604800000
seen-of-carol-by-admin []
seen-of-nobody-by-admin []
seen-by-carol-with-rules User:alice by User:alice renewers [] expires 86400000 ends 604800000; User:bob by User:admin renewers [] expires 86400000 ends 604800000
for-bob-with-rule User:bob by User:alice renewers [] expires 86400000 ends 604800000
renewed-by-owner 1440
renewed-by-renewer 10
renewed-past-the-end 60
renewed-by-carol DelegationTokenOwnerMismatchException
renewed-unknown DelegationTokenNotFoundException
renewed-by-nobody UnsupportedByAuthenticationException
expired-by-carol DelegationTokenOwnerMismatchException
expired-unknown DelegationTokenNotFoundException
expired-by-nobody UnsupportedByAuthenticationException
expiry-in-20-minutes 20
topic-with-token null
other-topic-with-token TopicAuthorizationException
token-with-token UnsupportedByAuthenticationException
seen-with-token UnsupportedByAuthenticationException
renewed-with-token UnsupportedByAuthenticationException
expired-with-token UnsupportedByAuthenticationException
wrong-secret SaslAuthenticationException
unknown-token SaslAuthenticationException
token-as-user SaslAuthenticationException
expired-at-once 0
expired-twice DelegationTokenNotFoundException
gone SaslAuthenticationException
brief User:alice by User:alice renewers [] expires 1000 ends 1000
brief-renewed-late DelegationTokenNotFoundException"""


class Client(Connection):
    def call(self, name, version, **fields):
        return call(self, name, version, **fields)


class Issuing(Broker):
    def __init__(self, *options):
        super().__init__()
        self.plain_port = free_port()
        users = ";".join(f"SCRAM-SHA-256=[name={name},password={PASSWORD}]" for name in ("admin", "alice", "bob", "carol"))
        self.options += [f"kafka.listen=SASL_PLAINTEXT://127.0.0.1:{self.port},127.0.0.1:{self.plain_port}", f"sasl.bootstrap.users={users}",
                         "authorizer.class.name=StandardAuthorizer", "super.users=User:admin;User:ANONYMOUS", *options]

    def replace(self, name, value):
        """Starts it again with another value of an option."""
        self.stop()
        self.options = [option for option in self.options if not option.startswith(name + "=")] + ([f"{name}={value}"] if value else [])
        self.start()


def scram(client, user, password, token=False, mechanism="SCRAM-SHA-256"):
    """Logs in as RFC 5802 says; gives (error, session lifetime)."""
    digest = "sha256" if mechanism.endswith("256") else "sha512"
    assert client.call("SaslHandshake", 1, Mechanism=mechanism)["ErrorCode"] == 0
    first = f"n={user},r=abcdef" + (",tokenauth=true" if token else "")
    answer = client.call("SaslAuthenticate", 2, AuthBytes=("n,," + first).encode())
    if answer["ErrorCode"]:
        return answer["ErrorCode"], None
    server = answer["AuthBytes"].decode()
    fields = dict(part.split("=", 1) for part in server.split(","))
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    sign = lambda key, text: hmac.new(key, text, digest).digest()
    key = sign(salted, b"Client Key")
    final = f"c=biws,r={fields['r']}"
    signature = sign(hashlib.new(digest, key).digest(), f"{first},{server},{final}".encode())
    proof = bytes(a ^ b for a, b in zip(key, signature))
    answer = client.call("SaslAuthenticate", 2, AuthBytes=(final + ",p=" + base64.b64encode(proof).decode()).encode())
    return answer["ErrorCode"], answer["SessionLifetimeMs"]


def login(broker, user, password=PASSWORD, **more):
    client = Client(broker.port)
    error, lifetime = scram(client, user, password, **more)
    assert error == 0, (user, error)
    return client


def create(client, version=3, **fields):
    return client.call("CreateDelegationToken", version, **{"MaxLifetimeMs": -1, **fields})


def secret_of(made):
    return base64.b64encode(made["Hmac"]).decode()


def let_in(broker, made, **more):
    """(error, lifetime) of a login with the token."""
    with Client(broker.port) as client:
        return scram(client, made["TokenId"], secret_of(made), token=True, **more)


def describe(client, version=3, owners=None):
    return client.call("DescribeDelegationToken", version, Owners=owners)


def principal(name, kind="User"):
    return {"PrincipalType": kind, "PrincipalName": name}


def check_java(broker):
    libs = libs_of("PEER_JAVA_LIBS")
    source = Path(__file__).resolve().parent / "java/src/TokenClient.java"
    done = subprocess.run(java(libs, str(source), broker.address, f"127.0.0.1:{broker.plain_port}", PASSWORD), capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        broker.fail("the Java client failed")
    facts = dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line.startswith("fact "))
    id, word = facts.pop("token").split(" ")
    wanted = dict(line.split(" ", 1) for line in KAFKA.splitlines())
    for name in wanted | facts:
        assert facts.get(name) == wanted.get(name), (name, facts.get(name), wanted.get(name))
    return id, word


def check_tool(broker):
    """kafka-delegation-tokens: what its four calls print."""
    config = Path(broker.directory) / "client.properties"
    config.write_text("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule "
                      f'required username="carol" password="{PASSWORD}";\n')
    with Tools(libs_of()) as tools:
        def run(*words):
            status, text = tools("org.apache.kafka.tools.DelegationTokenCommand", "--bootstrap-server", broker.address, "--command-config", str(config), *words)
            assert status == 0, text
            return text
        made = run("--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob")
        id, word = re.search(r"^(\S{22})\s+(\S{88})\s+User:carol\s+User:carol\s+\[User:bob\]", made, re.MULTILINE).groups()
        assert id in run("--describe", "--owner-principal", "User:carol")
        assert "Completed renew" in run("--renew", "--renew-time-period", "-1", "--hmac", word)
        assert "Completed expire" in run("--expire", "--expiry-time-period", "-1", "--hmac", word)
        assert id not in run("--describe", "--owner-principal", "User:carol")


def check_by_hand(broker):
    """Versions, and what the Java client does not show."""
    with login(broker, "alice") as alice, login(broker, "carol") as carol, Client(broker.plain_port) as nobody:
        for version in (1, 2, 3):
            made = create(alice, version, Renewers=[principal("bob")])
            assert made["ErrorCode"] == 0 and (made["PrincipalType"], made["PrincipalName"]) == ("User", "alice"), made
            assert made["ExpiryTimestampMs"] - made["IssueTimestampMs"] == DAY_MS and abs(made["IssueTimestampMs"] - time.time() * 1000) < 60000, made
            assert made["Hmac"] == hmac.new(SECRET.encode(), made["TokenId"].encode(), "sha512").digest()
            rows = [row for row in describe(alice, version)["Tokens"] if row["TokenId"] == made["TokenId"]]
            assert len(rows) == 1 and rows[0]["Hmac"] == made["Hmac"] and rows[0]["Renewers"] == [principal("bob")], rows
            assert (rows[0]["IssueTimestamp"], rows[0]["ExpiryTimestamp"], rows[0]["MaxTimestamp"]) == tuple(
                made[name] for name in ("IssueTimestampMs", "ExpiryTimestampMs", "MaxTimestampMs")), (rows, made)
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                error, lifetime = let_in(broker, made, mechanism=mechanism)
                assert error == 0 and DAY_MS - 60000 < lifetime <= DAY_MS, (error, lifetime)
            if version < 3:
                renewed = alice.call("RenewDelegationToken", version, Hmac=made["Hmac"], RenewPeriodMs=5000)
                assert renewed["ErrorCode"] == 0 and let_in(broker, made)[1] <= 5000, renewed
                assert alice.call("ExpireDelegationToken", version, Hmac=made["Hmac"], ExpiryTimePeriodMs=-1)["ErrorCode"] == 0
                assert let_in(broker, made)[0] == 58
        # a token that has ended is there until the sweep, and lets nobody in
        brief = create(alice, MaxLifetimeMs=1)
        until = time.monotonic() + 30
        while (code := alice.call("RenewDelegationToken", 2, Hmac=brief["Hmac"], RenewPeriodMs=-1)["ErrorCode"]) == 0:
            assert time.monotonic() < until
        assert code in (EXPIRED, NOT_FOUND) and let_in(broker, brief)[0] == 58, code
        # whoever brings a name with a NUL is somebody else than the one before it
        odd = create(alice, Renewers=[principal("carol\0x")])
        assert odd["ErrorCode"] == 0 and carol.call("RenewDelegationToken", 2, Hmac=odd["Hmac"], RenewPeriodMs=-1)["ErrorCode"] == OWNER_MISMATCH
        assert create(carol, OwnerPrincipalType="User", OwnerPrincipalName="carol\0")["ErrorCode"] == NO_TOKEN
        # limits, faults, and their order
        assert create(alice, Renewers=[principal("x")] * 1001)["ErrorCode"] == 42
        assert create(alice, Renewers=[principal("x" * 2000)])["ErrorCode"] == 42
        assert create(carol, OwnerPrincipalType="User", OwnerPrincipalName="bob", Renewers=[principal("x", "Group")])["ErrorCode"] == NO_TOKEN
        assert create(nobody, OwnerPrincipalType="User", OwnerPrincipalName="bob")["ErrorCode"] == NOT_ALLOWED
        assert create(carol, MaxLifetimeMs=2 ** 63 - 1)["MaxTimestampMs"] - time.time() * 1000 < 8 * DAY_MS
        own = create(carol)
        assert carol.call("ExpireDelegationToken", 2, Hmac=own["Hmac"], ExpiryTimePeriodMs=2 ** 63 - 1)["ExpiryTimestampMs"] == own["MaxTimestampMs"]
        assert describe(alice, owners=[])["Tokens"] == []


def check_renewal(broker):
    """A connection that a token let in ends with the token, unless it proves itself again."""
    with login(broker, "alice") as alice:
        made = create(alice, MaxLifetimeMs=2500)
        with Client(broker.port) as lazy, Client(broker.port) as diligent:
            assert scram(lazy, made["TokenId"], secret_of(made), token=True)[0] == 0
            assert scram(diligent, made["TokenId"], secret_of(made), token=True)[0] == 0
            assert describe(diligent)["ErrorCode"] == NOT_ALLOWED
            assert scram(diligent, "alice", PASSWORD) == (0, 0)  # the same user, who now has proved it by his password
            time.sleep(max(0, made["MaxTimestampMs"] / 1000 - time.time()) + 0.1)
            assert describe(diligent)["ErrorCode"] == 0
            try:
                lazy.call("Metadata", 12, Topics=[])
            except (EOFError, ConnectionError):
                pass
            else:
                raise SystemExit("FAILED: the token has ended, and its connection works on")


def check_restarts(broker, id, word):
    """Tokens and their times are there after a crash; another secret key ends them, none switches them off, the old one brings them back."""
    token = {"TokenId": id, "Hmac": base64.b64decode(word)}
    with login(broker, "alice") as alice:
        before = sorted(describe(alice)["Tokens"], key=lambda row: row["TokenId"])
    broker.restart()
    with login(broker, "alice") as alice:
        assert sorted(describe(alice)["Tokens"], key=lambda row: row["TokenId"]) == before
    assert let_in(broker, token)[0] == 0
    broker.replace("delegation.token.secret.key", "another-key-8")
    assert let_in(broker, token)[0] == 58
    broker.replace("delegation.token.secret.key", None)
    assert let_in(broker, token)[0] == 58
    with login(broker, "alice") as alice, Client(broker.plain_port) as nobody:
        assert create(alice)["ErrorCode"] == describe(alice)["ErrorCode"] == AUTH_DISABLED
        assert create(alice, OwnerPrincipalType="User", OwnerPrincipalName="admin")["ErrorCode"] == NO_TOKEN
        for api, field in (("RenewDelegationToken", "RenewPeriodMs"), ("ExpireDelegationToken", "ExpiryTimePeriodMs")):
            assert alice.call(api, 2, **{"Hmac": token["Hmac"], field: -1})["ErrorCode"] == AUTH_DISABLED
            assert nobody.call(api, 2, **{"Hmac": token["Hmac"], field: -1})["ErrorCode"] == NOT_ALLOWED
        assert describe(nobody)["ErrorCode"] == NOT_ALLOWED
    with Client(broker.port) as client:
        assert scram(client, "alice", PASSWORD, token=True)[0] == 58  # a user is no token
    broker.replace("delegation.token.secret.key", SECRET)
    assert let_in(broker, token)[0] == 0


def check_cli(broker, id, word):
    """The command line with a token, as Java's clients write it."""
    config = Path(broker.directory) / "token.properties"
    rialto = str(Path(os.environ["BROKER_PROGRAM"]).parent / "rialto")

    def run(mechanism, end):
        config.write_text(f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule "
                          f'required username="{id}" password="{word}"{end};\n')
        return subprocess.run([rialto, "topic", "list", "-b", broker.address, "--command-config", str(config)], capture_output=True, text=True, timeout=60)
    for mechanism, end in (("SCRAM-SHA-256", ' tokenauth="true"'), ("SCRAM-SHA-512", " tokenauth=true")):
        done = run(mechanism, end)
        assert done.returncode == 0, done
    refused = run("SCRAM-SHA-256", "")
    assert refused.returncode == 1 and word not in refused.stderr, refused
    assert run("PLAIN", " tokenauth=true").returncode == 2


def check_secrets(broker, id, word):
    """No secret key and no token's secret in a log line, a config answer or a dump; the token's name is in the dump."""
    with Client(broker.plain_port) as client:
        configs = client.call("DescribeConfigs", 4, Resources=[{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": None}])["Results"][0]["Configs"]
    by_name = {row["Name"]: row for row in configs}
    secret = by_name["delegation.token.secret.key"]
    assert secret["IsSensitive"] and secret["Value"] is None, secret
    assert by_name["delegation.token.expiry.check.interval.ms"]["Value"] == "500"
    broker.stop()
    rialto = str(Path(os.environ["BROKER_PROGRAM"]).parent / "rialto")
    data = Path(broker.directory) / "data"
    dump = subprocess.run([rialto, "dump", "security", str(data)], capture_output=True, text=True, timeout=60)
    assert dump.returncode == 0 and id in dump.stdout and "User:alice" in dump.stdout, dump
    raw = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    said = broker.stderr() + dump.stdout + dump.stderr + str(configs)
    for text in (SECRET, word, PASSWORD):
        assert text not in said and text.encode() not in raw, "a secret is shown"
    assert base64.b64decode(word) not in raw
    broker.start()


def main():
    with Issuing(f"delegation.token.secret.key={SECRET}", "delegation.token.expiry.check.interval.ms=500") as broker:
        id, word = check_java(broker)
        check_tool(broker)
        check_by_hand(broker)
        check_renewal(broker)
        check_restarts(broker, id, word)
        check_cli(broker, id, word)
        check_secrets(broker, id, word)
    passed("tokens", "delegation tokens by the Java client, Kafka's tool and by hand; rights, restarts, secrets")


if __name__ == "__main__":
    main()
