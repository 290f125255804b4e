"""TLS: who comes with a certificate, and who he is then; what is no TLS."""
import socket

from harness import patient

from .listeners import Link, SUBJECTS
from .logins import known, users
from .throttles import LARGE, LOOSE, PRODUCE, TIGHT, limit, produced, told


def who(link, what):
    """Notes the principal: a delegation token says whose it is."""
    answer = link.ask("CreateDelegationToken", 3, OwnerPrincipalType=None, OwnerPrincipalName=None, MaxLifetimeMs=-1)
    named = {key: answer[key] for key in ("ErrorCode", "PrincipalType", "PrincipalName")} if isinstance(answer, dict) else answer
    link.session.note(f"who {what}", {}, named)


def case_certificates(s):
    for listener in ("TLS", "MAPPED", "CERT"):
        for certificate in (None, "client", f"{s.home}/other/stranger.pem"):
            what = f"{listener} {certificate and certificate.rpartition('/')[2]}"
            link = Link(s, listener, certificate)
            link.lives(what)
            who(link, what)


def case_principals(s):
    for listener in ("CERT", "MAPPED"):
        for name in SUBJECTS:
            who(Link(s, listener, name), f"{listener} {name}")


def case_sasl(s):
    """On a listener without."""
    link = Link(s, "TLS")
    link.call("SaslHandshake", 1, Mechanism="PLAIN")
    link.call("SaslAuthenticate", 2, AuthBytes=b"\0a\0b")
    link.lives("after it")
    link = Link(s, "BOTH")
    link.lives("before")


def case_plain(s):
    """What is no TLS is closed; a listener without TLS closes what is."""
    for listener in ("TLS", "BOTH"):
        for what, data in (("a request", b"\0\0\0\x0b\0\x12\0\0\0\0\0\7\0\1c"), ("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("zeros", bytes(100))):
            with socket.create_connection(("127.0.0.1", s.ports[listener]), timeout=patient(10)) as plain:
                plain.sendall(data)
                try:
                    while plain.recv(1000):
                        pass
                    s.note(f"{listener} {what}", {}, "closed")
                except TimeoutError:
                    s.note(f"{listener} {what}", {}, "open")
                except ConnectionError:
                    s.note(f"{listener} {what}", {}, "closed")


def case_quotas(s):
    """Limits of users, whether they come by SASL or with a certificate."""
    users(s)
    s.topic("thr-t")
    for name, rate in (("alice", TIGHT), ("CN=client", TIGHT), ("bob", LOOSE), ("ANONYMOUS", None)):
        if rate:
            limit(s, ("user", name), **{PRODUCE: rate})
    for what, link in (("alice", lambda: known(s)), ("bob", lambda: known(s, user="bob")), ("client", lambda: Link(s, "CERT", "client")), ("mail", lambda: Link(s, "CERT", "mail")), ("nobody", lambda: Link(s, "TLS"))):
        answer = link().ask("Produce", 9, produced(LARGE))
        s.note(f"{what} is told", {}, told(answer) if isinstance(answer, dict) else answer)
    for name in ("alice", "CN=client", "bob"):
        limit(s, ("user", name), **{PRODUCE: None})
