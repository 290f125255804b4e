"""Certificates, key files and tokens for tests, made by the openssl program in a directory of the test's own."""
import base64
import json
import re
import subprocess
import time
from pathlib import Path


def run(*words, data=None):
    done = subprocess.run(words, input=data, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {' '.join(map(str, words))}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """A certificate authority in a directory: ca.pem, and what it signs."""

    def __init__(self, directory):
        self.home = Path(directory)
        self.home.mkdir(parents=True, exist_ok=True)
        self.ca = self.home / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA", "-keyout", self.home / "ca.key",
            "-out", self.ca)

    def issue(self, name, subject, hosts=()):
        """Key and chain in one file, name.pem, put in place at once; gives its path."""
        key, cert, request = (self.home / f"{name}.{end}" for end in ("key", "crt", "csr"))
        extensions = self.home / f"{name}.ext"
        extensions.write_text("subjectAltName=" + ",".join(hosts) if hosts else "basicConstraints=CA:FALSE")
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.home / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", cert)
        fresh = self.home / f"{name}.new"
        fresh.write_bytes(key.read_bytes() + cert.read_bytes() + self.ca.read_bytes())
        fresh.replace(self.home / f"{name}.pem")
        return self.home / f"{name}.pem"

    def server(self, name="server"):
        return self.issue(name, "/CN=localhost", ("DNS:localhost", "IP:127.0.0.1"))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with an RSA key; its public half is a JWKS file."""

    def __init__(self, directory, kid="k1"):
        self.key, self.kid, self.jwks = Path(directory) / f"{kid}.key", kid, Path(directory) / "jwks.json"
        run("openssl", "genrsa", "-out", self.key, "2048")
        text = run("openssl", "rsa", "-in", self.key, "-noout", "-modulus").decode()
        modulus = bytes.fromhex(re.match(r"Modulus=(\w+)", text)[1])
        key = {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": base64url(modulus), "e": "AQAB"}
        self.jwks.write_text(json.dumps({"keys": [key]}))

    def token(self, user, seconds=300, **claims):
        header = {"alg": "RS256", "kid": self.kid}
        body = {"sub": user, "iat": int(time.time()), "exp": int(time.time()) + seconds, **claims}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, body)).encode()
        return text.decode() + "." + base64url(run("openssl", "dgst", "-sha256", "-sign", self.key, data=text))
