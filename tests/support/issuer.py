"""An issuer of our own on loopback that says whatever a test wants it to say: forged tokens, other keys, nothing at all."""

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwk, jws

CLIENT, SECRET = "naru at issuer", "a client's secret: 100%"
WELL_KNOWN = "/.well-known/openid-configuration"

Answer = tuple[int, dict[str, str], bytes]
Claims = dict[str, Any]


def now() -> int:
    """The wall clock, as an issuer would stamp it."""
    return int(time.time())  # noqa: TID251


def encoded(part: bytes | Claims) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Algorithms(jws.JWSRegistry):
    """Any that the library knows, with any header, wise or not."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]

    def check_header(self, header: Any) -> None:
        pass


def signed(claims: Claims, key: Any, **header: Any) -> str:
    return jws.serialize_compact(header, json.dumps(claims), key, registry=Algorithms())


class FakeIssuer:
    """`keys` are what it publishes. `answers` by path stand in for what it would say; `asked` is what it was asked.

    While `speaks` is not set it takes a question and says nothing.
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self.clock = clock
        self.rsa = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1"})
        self.keys: list[Any] = [self.rsa]
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.speaks = threading.Event()
        self.speaks.set()
        self.userinfo: Claims = {}
        self.authorized: dict[str, tuple[str, str]] = {}
        """Codes not redeemed yet: PKCE challenge, ID token."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.metadata: Claims = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }

    def __enter__(self) -> "FakeIssuer":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.speaks.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    # -- what it says of people

    def claims(self, nonce: str, /, **other: Any) -> Claims:
        """What a right ID token of Mina says; None leaves a claim out."""
        at = int(self.clock())
        right = {"iss": self.url, "sub": "m1", "aud": CLIENT, "iat": at, "exp": at + 300, "nonce": nonce}
        right |= {"email": "mina@shop.test", "email_verified": True}
        return {name: value for name, value in (right | other).items() if value is not None}

    def token(self, claims: Claims, key: Any = None, **header: Any) -> str:
        headers = {"alg": "RS256", "kid": "rsa-1", **header}
        return signed(claims, key or self.rsa, **{name: value for name, value in headers.items() if value is not None})

    def authorizes(self, address: str, make: Callable[[str], str] | None = None, code: str = "code") -> Claims:
        """As if somebody had signed in at the address to which we sent the browser. What the browser then brings back."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code" and asked["tenant"] == "1"
        nonce = asked["nonce"]
        token = make(nonce) if make is not None else self.token(self.claims(nonce))
        self.authorized[code] = (asked["code_challenge"], token)
        return {"state": asked["state"], "code": code}

    # -- what it is asked

    def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> Answer:
        self.asked.append(path)
        self.speaks.wait(30)
        if path in self.answers:
            return self.answers[path]
        known = {WELL_KNOWN: self.metadata, "/jwks": {"keys": [key.as_dict(private=False) for key in self.keys]}}
        if path == "/token":
            return self._redeem(form, authorization)
        if path == "/userinfo":
            return _json(self.userinfo) if authorization == "Bearer access" else _json({"error": "invalid_token"}, 401)
        return _json(known[path]) if path in known else _json({}, 404)

    def _redeem(self, form: dict[str, list[str]], authorization: str) -> Answer:
        """A code is good once, for the client whose secret it is, and for who knows the verifier."""
        basic = base64.b64encode(b"naru%20at%20issuer:a%20client%27s%20secret%3A%20100%25").decode()
        challenge, token = self.authorized.pop(form["code"][0], ("", ""))
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        in_form = form.get("client_id"), form.get("client_secret")
        if "token_endpoint_auth_methods_supported" in self.metadata:
            ours = in_form == ([CLIENT], [SECRET]) and not authorization
        else:
            ours = in_form == (None, None) and authorization == f"Basic {basic}"
        if not ours:
            return _json({"error": "invalid_client", "error_description": SECRET}, 401)
        if not token or encoded(digest) != challenge:
            return _json({"error": "invalid_grant"}, 400)
        return _json({"id_token": token, "access_token": "access", "token_type": "Bearer"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer(parse_qs(body))

            def _answer(self, form: dict[str, list[str]]) -> None:
                path = urlsplit(self.path).path
                status, headers, body = issuer.answer(path, form, self.headers.get("authorization", ""))
                with contextlib.suppress(OSError):  # who asked has not waited
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _json(body: Claims, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json", "Set-Cookie": "issuer=1"}, json.dumps(body).encode()
