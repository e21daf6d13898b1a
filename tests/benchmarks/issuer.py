"""Issues tokens of both kinds, and serves the key set on a loopback server."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

LIFETIME = 3600
KEY_ID = "pbqXHRLvnDuz3kLsWoJT8cNCfGgYe2Ax"
SECRET = "a-shared-secret-of-the-benchmarks-and-nobody-else"


class Issuer:
    """A stand-in for Better Auth. `url` is its issuer, its audience and the base of its key set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._key = Ed25519PrivateKey.generate()
        public = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.key_set = json.dumps({"keys": [{**public, "alg": "EdDSA", "kid": KEY_ID}]}).encode()

    @property
    def environment(self) -> dict[str, str]:
        return {"BETTER_AUTH_URL": self.url, "BETTER_AUTH_SECRET": SECRET}

    def token(self, user_id: str, algorithm: str) -> str:
        """A token with the claims of Better Auth (about 620 characters)."""
        now = int(time.time())
        claims = {
            "name": "Ada Lovelace",
            "email": f"{user_id}@example.com",
            "emailVerified": True,
            "image": None,
            "createdAt": "2026-01-31T12:00:00.000Z",
            "updatedAt": "2026-01-31T12:00:00.000Z",
            "id": user_id,
            "iat": now,
            "exp": now + LIFETIME,
            "iss": self.url,
            "aud": self.url,
            "sub": user_id,
        }
        if algorithm == "HS256":
            return jwt.encode(claims, SECRET, "HS256", headers={"typ": None})
        return jwt.encode(claims, self._key, "EdDSA", headers={"kid": KEY_ID, "typ": None})


@contextmanager
def issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/auth/jwks" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(running.key_set)))
            self.end_headers()
            self.wfile.write(running.key_set)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Issuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
