"""SASL: handshakes, mechanisms, tokens that are odd, what is asked before and after, the same once more before its time is over."""
import base64
import hashlib
import hmac
import struct
import time

import kafkaspec
from harness import patient

from .listeners import CLOSED, LIFETIME, Link, PASSWORDS, SHORT_LIFETIME

SALT, ITERATIONS, NONCE = b"a salt of the test", 4096, "fyko+d2lbbFgONRv9qkxdawL"
HASHES = {"SCRAM-SHA-256": ("sha256", 1), "SCRAM-SHA-512": ("sha512", 2)}
SCRAM_USERS = [("alice", "SCRAM-SHA-256"), ("alice", "SCRAM-SHA-512"), ("bob", "SCRAM-SHA-256"), ("ü", "SCRAM-SHA-256"), ("a,b=c", "SCRAM-SHA-256")]


def password_of(user):
    return PASSWORDS.get(user, "some-Wort")


def salted(mechanism, password):
    return hashlib.pbkdf2_hmac(HASHES[mechanism][0], password.encode(), SALT, ITERATIONS)


def users(s):
    """Those of SCRAM, on both brokers alike."""
    rows = [dict(Name=user, Mechanism=HASHES[mechanism][1], Iterations=ITERATIONS, Salt=SALT, SaltedPassword=salted(mechanism, password_of(user)))
            for user, mechanism in SCRAM_USERS]
    for row in rows:
        s.quiet("AlterUserScramCredentials", 0, Upsertions=[row])
    s.until(lambda got: sum(len(row["CredentialInfos"]) for row in got["Results"]) >= len(rows), "DescribeUserScramCredentials", 0, Users=None)


# PLAIN -------------------------------------------------------------------------------------------------------------------


def plain(user="alice", password=None, authzid=""):
    return f"{authzid}\0{user}\0{password_of(user) if password is None else password}".encode()


def authenticate(link, token, version=2, what=None):
    return link.call("SaslAuthenticate", version, AuthBytes=token, what=what)


def known(s, listener="SASL", user="alice", version=2):
    """A link that has proved who it is by PLAIN."""
    link = Link(s, listener)
    link.call("SaslHandshake", 1, Mechanism="PLAIN")
    authenticate(link, plain(user), version)
    return link


def case_handshakes(s):
    users(s)
    for version in (0, 1):
        for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "", "plain", " PLAIN", "x" * 300, "ä"):
            for listener in ("SASL", "BOTH"):
                link = Link(s, listener)
                link.call("SaslHandshake", version, Mechanism=name, what=f"{name[:9]} {listener}")
                link.call("SaslHandshake", version, Mechanism="SCRAM-SHA-512", what="after it")
                link.call("SaslAuthenticate", 2, AuthBytes=plain(), what="after it")
                link.lives("after it")


def case_before(s):
    """What is asked of a connection that nobody has come on yet."""
    users(s)
    for name, version, values in (("Metadata", 9, dict(Topics=[])), ("Produce", 9, dict(Acks=1, TimeoutMs=1)), ("SaslAuthenticate", 2, dict(AuthBytes=plain())),
                                  ("ListGroups", 5, {}), ("FindCoordinator", 4, dict(CoordinatorKeys=["x"]))):
        Link(s, "SASL").call(name, version, values)
        link = Link(s, "SASL")
        link.call("ApiVersions", 3, ClientSoftwareName="some", ClientSoftwareVersion="1.0")
        link.call(name, version, values, what="after ApiVersions")
        link = Link(s, "SASL")
        link.call("SaslHandshake", 1, Mechanism="PLAIN")
        if name != "SaslAuthenticate":
            link.call(name, version, values, what="after SaslHandshake")
    for version in range(5):
        link = Link(s, "SASL")
        link.call("ApiVersions", version, dict(ClientSoftwareName="some", ClientSoftwareVersion="1.0") if version >= 3 else {})
        link.call("SaslHandshake", 1, Mechanism="PLAIN")
        link.call("ApiVersions", 0, what="after SaslHandshake")
    link = Link(s, "SASL")
    link.call("ApiVersions", 3, ClientSoftwareName="-", ClientSoftwareVersion="")
    link.call("ApiVersions", 3, ClientSoftwareName="some", ClientSoftwareVersion="1.0", what="after a bad one")
    link.call("ApiVersions", 3, ClientSoftwareName="some", ClientSoftwareVersion="1.0", what="once more")
    for label, data in (("no request", b"\0\0\0\4abcd"), ("a large one", struct.pack(">i", 524289)), ("a negative one", b"\xff\xff\xff\xff"), ("an empty one", b"\0\0\0\0"),
                        ("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("version 9 of SaslHandshake", b"\0\0\0\x0b\0\x11\0\x09\0\0\0\7\0\1c")):
        link = Link(s, "SASL")
        link.exchange(link.connection.socket.sendall, data)
        link.note(label, {}, link.exchange(link.connection.answer))
    link = Link(s, "SASL")
    link.exchange(link.connection.send, 18, 99, b"", 7, True)
    link.note("ApiVersions v99", {}, str(link.exchange(link.connection.answer))[:12])
    link.call("SaslHandshake", 1, Mechanism="PLAIN")


PLAIN_TOKENS = [
    ("right", plain()), ("another", plain("bob")), ("wrong password", plain(password="guess")), ("nobody", plain("nobody", "guess")), ("no user", plain("")), ("no password", plain(password="")),
    ("as itself", plain(authzid="alice")), ("as another", plain(authzid="bob")), ("as another, wrong", plain(password="guess", authzid="bob")), ("empty", b""), ("one part", b"alice"),
    ("two parts", b"\0alice"), ("four parts", plain() + b"\0more"), ("zero at the end", plain() + b"\0"), ("zeros", b"\0\0\0"), ("no zero", b"alice alice-Wort-2"), ("no letters", b"\xff\xfe\0alice\0alice-Wort-2"),
    ("no letters in it", b"\0alice\0\xff\xfe"), ("large", plain(password="x" * 30000)), ("blank", plain("alice ")), ("capitals", plain("ALICE")),
]


def case_plain(s):
    users(s)
    for what, token in PLAIN_TOKENS:
        for version in (0, 1, 2):
            link = Link(s, "SASL")
            link.call("SaslHandshake", 1, Mechanism="PLAIN")
            authenticate(link, token, version, what)
            link.lives(f"after {what}")


def raw_token(link, token, what):
    """A token as it was sent before SaslAuthenticate was: its bytes behind their length."""
    answer = link.exchange(link.connection.socket.sendall, struct.pack(">i", len(token)) + token)
    if answer is None:
        answer = link.exchange(lambda: link.connection.read(struct.unpack(">i", link.connection.read(4))[0]))
    link.session.note(f"token {what}", {}, answer.decode(errors="replace") if isinstance(answer, bytes) else answer)
    return answer


def case_plain_raw(s):
    """After SaslHandshake v0."""
    users(s)
    for what, token in PLAIN_TOKENS:
        link = Link(s, "SASL")
        link.call("SaslHandshake", 0, Mechanism="PLAIN")
        raw_token(link, token, what)
        link.lives(f"after {what}")
    link = Link(s, "SASL")
    link.call("SaslHandshake", 0, Mechanism="PLAIN")
    authenticate(link, plain(), what="in a request")


def case_after(s):
    """What belongs to a login when it is over."""
    users(s)
    for ask, version, values in (("SaslHandshake", 0, dict(Mechanism="PLAIN")), ("SaslHandshake", 1, dict(Mechanism="PLAIN")), ("SaslHandshake", 1, dict(Mechanism="nonsense")),
                                 *[("SaslAuthenticate", version, dict(AuthBytes=plain())) for version in range(3)], ("ApiVersions", 0, {})):
        link = known(s)
        link.call(ask, version, values, what="when known")
        link.lives("after it")
    for version in range(3):
        known(s, version=version).lives("when known")


class Kept:
    """Takes what is sent, to be sent in one piece."""

    def __init__(self, connection):
        self.connection, self.data, self.socket = connection, b"", self

    def sendall(self, data):
        self.data += data

    def send(self, *arguments, **more):
        type(self.connection).send(self, *arguments, **more)

    @property
    def client_id(self):
        return self.connection.client_id


def case_one_piece(s):
    """Who does not wait for answers: they come in order, until one refuses."""
    users(s)
    for what, mechanism, token, listener in (("right", "PLAIN", plain(), "SASL"), ("no such mechanism", "GSSAPI", plain(), "SASL"), ("wrong", "PLAIN", plain(password="guess"), "SASL"), ("again", "PLAIN", plain(), "AGAIN")):
        link = known(s, listener) if listener == "AGAIN" else Link(s, listener)
        kept = Kept(link.connection)
        asked = [("SaslHandshake", 1, dict(Mechanism=mechanism)), ("SaslAuthenticate", 2, dict(AuthBytes=token)), ("Metadata", 9, dict(Topics=[]))]
        for name, version, values in asked:
            kafkaspec.send(kept, name, version, values)
        link.exchange(link.connection.socket.sendall, kept.data)
        for name, version, values in asked:
            link.note(f"{name} v{version} {what}", values, link.exchange(kafkaspec.receive, link.connection, name, version))


# SCRAM -------------------------------------------------------------------------------------------------------------------


class Scram:
    """A client's side (RFC 5802) that may be told to err."""

    def __init__(self, mechanism, user="alice", password=None, header="n,,", more="", nonce=NONCE):
        self.mechanism, self.hash, self.header = mechanism, HASHES[mechanism][0], header
        self.nonce, self.password = nonce, password_of(user) if password is None else password
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}{more}"

    def first(self):
        return (self.header + self.bare).encode()

    def mac(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def final(self, server_first, binding=None, nonce=None, more="", proof=None):
        parts = dict(part.split("=", 1) for part in server_first.split(","))
        keys = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        start = f"c={base64.b64encode((self.header if binding is None else binding).encode()).decode()},r={parts['r'] if nonce is None else nonce}{more}"
        message = f"{self.bare},{server_first},{start}".encode()
        key = self.mac(keys, b"Client Key")
        own = self.mac(hashlib.new(self.hash, key).digest(), message)
        mixed = base64.b64encode(bytes(one ^ other for one, other in zip(key, own))).decode()
        self.signature = base64.b64encode(self.mac(self.mac(keys, b"Server Key"), message)).decode()
        return f"{start},p={mixed if proof is None else proof}".encode()

    def words(self, answer):
        """An answer with what is random in it by its name."""
        if not isinstance(answer, dict):
            return answer
        text = answer["AuthBytes"].decode()
        if text.startswith("r="):
            nonce, salt, rest = text[2:].split(",", 2)
            salt = salt if base64.b64decode(salt[2:]) == SALT else "another salt"
            text = ("r=mine and more," if nonce.startswith(self.nonce) and len(nonce) >= len(self.nonce) + 16 else "r=wrong,") + f"{salt},{rest}"
        elif text.startswith("v="):
            text = "v=right" if text == f"v={self.signature}" else "v=wrong"
        some_time = answer.get("SessionLifetimeMs", 0) not in (0, LIFETIME, SHORT_LIFETIME)  # of a token, which has its own
        return dict(answer, AuthBytes=text, **({"SessionLifetimeMs": "some"} if some_time else {}))


def step(link, scram, token, what, version=2):
    answer = link.ask("SaslAuthenticate", version, AuthBytes=token)
    link.note(f"SaslAuthenticate v{version} {what}", {}, scram.words(answer))
    return answer


def came_far(answer):
    return isinstance(answer, dict) and answer["ErrorCode"] == 0


def scram_login(s, scram, what, listener="SASL", version=2, link=None, **odd):
    """A whole one: its end is that of its connection when the beginning is refused."""
    link = link or Link(s, listener)
    link.call("SaslHandshake", 1, Mechanism=scram.mechanism)
    answer = step(link, scram, scram.first(), f"first {what}", version)
    if came_far(answer):
        step(link, scram, scram.final(answer["AuthBytes"].decode(), **odd), f"final {what}", version)
    else:
        link.note(f"SaslAuthenticate v{version} final {what}", {}, CLOSED)
    link.lives(f"after {what}")
    return link


def case_scram(s):
    users(s)
    for mechanism in HASHES:
        for version in range(3):
            scram_login(s, Scram(mechanism), "right", version=version)
        for user in ("bob", "nobody", "ü", "a,b=c"):
            scram_login(s, Scram(mechanism, user), user)
        scram_login(s, Scram(mechanism, password="guess"), "wrong password")
        for what, more in (("binding", dict(binding="y,,")), ("no binding", dict(binding="")), ("nonce", dict(nonce=NONCE)), ("other nonce", dict(nonce="x" * 40)), ("proof", dict(proof="AAAA")),
                           ("proof no base64", dict(proof="!!!!")), ("no proof", dict(proof="")), ("long proof", dict(proof=base64.b64encode(bytes(64)).decode())), ("extension", dict(more=",x=1")), ("words", dict(more=",words"))):
            scram_login(s, Scram(mechanism), f"final with {what}", **more)
        for what, more in (("y", dict(header="y,,")), ("p", dict(header="p=tls-unique,,")), ("as itself", dict(header="n,a=alice,")), ("as another", dict(header="n,a=bob,")), ("no header", dict(header="")),
                           ("half a header", dict(header="n,")), ("extension", dict(more=",x=1")), ("token", dict(more=",tokenauth=true")), ("no token", dict(more=",tokenauth=false")), ("words", dict(more=",words")),
                           ("no nonce", dict(nonce="")), ("odd nonce", dict(nonce="a b\tc")), ("comma", dict(nonce="a,b")), ("must", dict(header="n,,m=x,"))):
            scram_login(s, Scram(mechanism, **more), f"first with {what}")


ODD_FIRSTS = [b"", b"n", b"n,,", b"n,,n=", b"n,,n=alice", b"n,,r=abc,n=alice", b"n,,n=alice,", b"n,,n=al=ice,r=abc", b"n,,n=al=2c,r=abc", b"n,,n=alice,r=abc,", b"x,,n=alice,r=abc", b"n,,n=\xff\xfe,r=abc", b"n,,n=alice\0,r=abc",
              b"n,,n=alice,r=" + b"x" * 5000, b"n,,n=" + b"x" * 5000 + b",r=abc", b"N,,n=alice,r=abc", b"n,,N=alice,r=abc", b"n, ,n=alice,r=abc", b"n,,n=alice,r=abc,tokenauth=TRUE"]
ODD_FINALS = [b"", b"c=biws", b"c=biws,r=x", b"r=x,c=biws,p=AAAA", b"c=!,r=x,p=AAAA", b"c=biws,r=x,p=", b"c=biws,r=x,p=A", b"p=AAAA", b"\xff\xfe", b"c=biws,r=" + b"x" * 9000 + b",p=AAAA"]


def case_scram_odd(s):
    users(s)
    for mechanism in HASHES:
        for place, first in enumerate(ODD_FIRSTS):
            link, scram = Link(s, "SASL"), Scram(mechanism)
            scram.nonce = "x" if b"xx" in first else "abc"
            link.call("SaslHandshake", 1, Mechanism=mechanism)
            step(link, scram, first, f"first {place} {first[:30]}")
            link.lives(f"after first {place}")
        for place, final in enumerate(ODD_FINALS):
            link, scram = Link(s, "SASL"), Scram(mechanism)
            link.call("SaslHandshake", 1, Mechanism=mechanism)
            step(link, scram, scram.first(), "first")
            step(link, scram, final, f"final {place} {final[:30]}")
            link.lives("after it")
        link, scram = Link(s, "SASL"), Scram(mechanism)
        link.call("SaslHandshake", 1, Mechanism=mechanism)
        step(link, scram, scram.first(), "first")
        step(link, scram, scram.first(), "first again")
        link, scram = Link(s, "SASL"), Scram(mechanism)
        link.call("SaslHandshake", 0, Mechanism=mechanism)
        answer = link.exchange(link.connection.socket.sendall, struct.pack(">i", len(scram.first())) + scram.first())
        answer = link.exchange(lambda link=link: link.connection.read(struct.unpack(">i", link.connection.read(4))[0])) if answer is None else answer
        if answer != CLOSED:
            token = scram.final(answer.decode())
            link.exchange(link.connection.socket.sendall, struct.pack(">i", len(token)) + token)
            s.note("the end", {}, link.exchange(lambda link=link, scram=scram: link.connection.read(struct.unpack(">i", link.connection.read(4))[0]) == f"v={scram.signature}".encode()))
        link.lives("in the old way")


# once more ---------------------------------------------------------------------------------------------------------------


def case_again(s):
    """KIP-368: where a login lasts for a time, it is renewed on its connection."""
    users(s)
    for version in range(3):
        known(s, "AGAIN", version=version).lives("when known")
    for mechanism in HASHES:
        scram_login(s, Scram(mechanism), "with an end", "AGAIN")
    for what, user, password in (("same", "alice", None), ("another", "bob", None), ("wrong", "alice", "guess")):
        link = known(s, "AGAIN")
        link.call("SaslHandshake", 1, Mechanism="PLAIN", what="again")
        authenticate(link, plain(user, password), what=f"again {what}")
        link.lives(f"after {what}")
    for mechanism in ("SCRAM-SHA-256", "GSSAPI"):
        link = known(s, "AGAIN")
        scram_login(s, Scram("SCRAM-SHA-256"), "again", link=link) if mechanism in HASHES else link.call("SaslHandshake", 1, Mechanism=mechanism, what="again")
        link.lives(f"after {mechanism}")
    link = scram_login(s, Scram("SCRAM-SHA-256"), "to begin", "AGAIN")
    scram_login(s, Scram("SCRAM-SHA-256"), "again", link=link)
    for name, version, values in (("Metadata", 9, dict(Topics=[])), ("ApiVersions", 3, dict(ClientSoftwareName="some", ClientSoftwareVersion="1.0")), ("SaslHandshake", 1, dict(Mechanism="PLAIN"))):
        link = known(s, "AGAIN")
        link.call("SaslHandshake", 1, Mechanism="PLAIN", what="again")
        link.call(name, version, values, what="in the middle")
        link.lives("after it")
    link = known(s, "AGAIN")
    link.call("SaslHandshake", 0, Mechanism="PLAIN", what="again, in the old way")
    raw_token(link, plain(), "again")
    link.lives("after it")
    link = known(s, "AGAIN")
    authenticate(link, plain(), what="again without a handshake")
    link.lives("after it")


def case_changed(s):
    """A user whose password is another one now, or who is no more: whoever has come stays, until he has to prove it again."""
    users(s)
    row = dict(Name="carl", Mechanism=1, Iterations=ITERATIONS, Salt=SALT)

    def set_password(word):
        s.quiet("AlterUserScramCredentials", 0, Upsertions=[dict(row, SaltedPassword=salted("SCRAM-SHA-256", word))])
        for _ in range(2):
            s.settle()

    def come(word, what, listener="AGAIN", link=None):
        return scram_login(s, Scram("SCRAM-SHA-256", "carl", word), what, listener, link=link)

    set_password("first")
    old, again, for_ever = come("first", "with the first"), come("first", "with the first"), come("first", "with the first", "SASL")
    set_password("second")
    come("first", "with the first, which is old")
    for link in (old, again, for_ever):
        link.lives("of before")
    come("first", "again, with the first", link=old)
    come("second", "again, with the second", link=again)
    s.quiet("AlterUserScramCredentials", 0, Deletions=[dict(Name="carl", Mechanism=1)])
    s.until(lambda got: got["Results"][0]["ErrorCode"] == 91, "DescribeUserScramCredentials", 0, Users=[dict(Name="carl")])
    for _ in range(2):
        s.settle()
    come("second", "who is no more")
    for_ever.lives("of before")


def case_over(s):
    """Whose time is over may only renew it."""
    users(s)
    for version in range(3):
        first, second = known(s, "SHORT", version=version), known(s, "SHORT", version=version)
        end = time.monotonic() + patient(15)
        while time.monotonic() < end and isinstance(first.ask("Metadata", 9, Topics=[]), dict):
            time.sleep(0.05)
        first.lives("when its time is over")
        third = known(s, "SHORT", version=version)  # when this one is over, so is the second
        while time.monotonic() < end and isinstance(third.ask("Metadata", 9, Topics=[]), dict):
            time.sleep(0.05)
        second.call("SaslHandshake", 1, Mechanism="PLAIN", what="when it is over")
        authenticate(second, plain(), version, what="when it is over")
        second.lives("after it")


def case_secure(s):
    """Over TLS, where a token may be made: its answer says who one is."""
    users(s)
    for mechanism in HASHES:
        for listener in ("SASL", "BOTH"):
            make_token(scram_login(s, Scram(mechanism), listener, listener))
    make_token(scram_login(s, Scram("SCRAM-SHA-512"), "with a certificate", link=Link(s, "BOTH", certificate="client")))


# delegation tokens -------------------------------------------------------------------------------------------------------


def nobody_s(answer):
    """Without what is random."""
    return dict(answer, Hmac=len(answer["Hmac"])) if isinstance(answer, dict) and "Hmac" in answer else answer


def make_token(link, version=3, **more):
    owner = dict(OwnerPrincipalType=None, OwnerPrincipalName=None) if version >= 3 else {}
    values = dict(dict(owner, MaxLifetimeMs=-1), **more)
    answer = link.ask("CreateDelegationToken", version, values)
    link.note(f"CreateDelegationToken v{version}", values, nobody_s(answer))
    return answer


def tokens_of(link, version=3, owners=None):
    answer = link.ask("DescribeDelegationToken", version, Owners=owners)
    if isinstance(answer, dict):
        answer = dict(answer, Tokens=[dict(row, Hmac=len(row["Hmac"]), TokenId=len(row["TokenId"])) for row in answer["Tokens"]])
    link.note(f"DescribeDelegationToken v{version} {owners}", {}, answer)


def case_tokens(s):
    users(s)
    link, other = known(s), known(s, user="bob")
    made = {}
    for version in (1, 2, 3):
        for more in (dict(), dict(Renewers=[dict(PrincipalType="User", PrincipalName="bob")]), dict(Renewers=[dict(PrincipalType="Group", PrincipalName="bob")]), dict(Renewers=[dict(PrincipalType="User", PrincipalName="")]),
                     dict(MaxLifetimeMs=60000), dict(MaxLifetimeMs=0), dict(MaxLifetimeMs=-2)):
            made[version, str(more)] = make_token(link, version, **more)
    make_token(link, 3, OwnerPrincipalType="User", OwnerPrincipalName="alice")
    make_token(link, 3, OwnerPrincipalType="User", OwnerPrincipalName="bob")
    make_token(link, 3, OwnerPrincipalType="Group", OwnerPrincipalName="bob")
    make_token(link, 3, OwnerPrincipalType="User", OwnerPrincipalName=None)
    make_token(link, 3, OwnerPrincipalType="User", OwnerPrincipalName="")
    last = make_token(link)
    token = made[3, str(dict(Renewers=[dict(PrincipalType="User", PrincipalName="bob")]))]
    if not came_far(token):
        return
    end = time.monotonic() + patient(15)  # an Apache Kafka knows of them a moment later
    while time.monotonic() < end and last["TokenId"] not in repr(link.ask("DescribeDelegationToken", 3, Owners=None)):
        time.sleep(0.05)
    for version in (1, 2, 3):
        for asking in (link, other):
            for owners in (None, [], [dict(PrincipalType="User", PrincipalName="bob")], [dict(PrincipalType="User", PrincipalName="nobody")], [dict(PrincipalType="Group", PrincipalName="alice")]):
                tokens_of(asking, version, owners)
    for mechanism in HASHES:
        for what, name, word in (("right", token["TokenId"], base64.b64encode(token["Hmac"]).decode()), ("wrong", token["TokenId"], "guess"), ("no such", "A" * 22, "guess")):
            scram = Scram(mechanism, name, word, more=",tokenauth=true")
            by = scram_login(s, scram, f"by a token {what}")
            if what == "right":
                scram_login(s, scram, "by a token where logins have an end", "AGAIN")
                make_token(by)
                tokens_of(by)
                for name, more in (("RenewDelegationToken", dict(RenewPeriodMs=-1)), ("ExpireDelegationToken", dict(ExpiryTimePeriodMs=-1))):
                    by.call(name, 2, Hmac=token["Hmac"], **more)
        scram_login(s, Scram(mechanism, token["TokenId"], base64.b64encode(token["Hmac"]).decode()), "by a token that is not called so")
    for version in (1, 2):
        for asking, word in ((link, token["Hmac"]), (other, token["Hmac"]), (other, made[3, str({})]["Hmac"]), (link, b"nonsense"), (link, b"")):
            for period in (-1, 0, 1000, 86400000, 1 << 60):
                asking.call("RenewDelegationToken", version, Hmac=word, RenewPeriodMs=period)
    for version in (1, 2):
        for asking, word, period in ((other, made[3, str({})]["Hmac"], -1), (link, b"nonsense", -1), (link, b"", 0), (link, token["Hmac"], 86400000), (link, made[version, str({})]["Hmac"], -1)):
            asking.call("ExpireDelegationToken", version, Hmac=word, ExpiryTimePeriodMs=period)
    for row in link.ask("DescribeDelegationToken", 3, Owners=None)["Tokens"]:
        link.ask("ExpireDelegationToken", 2, Hmac=row["Hmac"], ExpiryTimePeriodMs=-1)
