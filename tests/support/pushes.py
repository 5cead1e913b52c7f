"""The three push services on loopback, over HTTP/2 as Apple's is (the `h2` library): what they are sent is opened and kept."""

import asyncio
import json
import ssl
from typing import Any

import http_ece
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from channels.webpush import base64url, public_key, unbase64url


class Browser:
    """One that has subscribed: its address at a push service, and its keys."""

    def __init__(self, endpoint: str, word: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = word.encode().ljust(16, b"-")[:16]
        scalar = self.key.private_numbers().private_value.to_bytes(32)
        keys = {"p256dh": public_key(base64url(scalar)), "auth": base64url(self.auth)}
        self.subscription = {"endpoint": endpoint, "keys": keys}

    def open(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        found: dict[str, Any] = json.loads(plain)
        return found


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


APPLES = ec.generate_private_key(ec.SECP256R1())
GOOGLES = rsa.generate_private_key(65537, 2048)


class PushServices:
    """`answers` are statuses to give before the usual ones; `gone` are devices that they do not know any more."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self._tls = tls
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.gone: set[str] = set()
        self.granted = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "PushServices":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        asked: dict[int, tuple[dict[str, str], bytearray]] = {}
        try:
            while True:
                writer.write(connection.data_to_send())
                await writer.drain()
                data = await reader.read(65_536)
                if not data:
                    return
                for event in connection.receive_data(data):
                    if isinstance(event, RequestReceived):
                        asked[event.stream_id] = (dict(event.headers), bytearray())
                    elif isinstance(event, DataReceived):
                        asked[event.stream_id][1].extend(event.data)
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        head, body = asked.pop(event.stream_id)
                        status, said = self._answer(head, bytes(body))
                        connection.send_headers(event.stream_id, [(":status", str(status))])
                        connection.send_data(event.stream_id, json.dumps(said).encode(), end_stream=True)
                    elif isinstance(event, ConnectionTerminated):
                        return
        except ConnectionError:
            return
        finally:
            writer.close()

    def _answer(self, head: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        path = head[":path"]
        if path == "/token":
            return self._grant(body)
        self.got.append((path, head, body))
        if self.answers:
            return self.answers.pop(0), {"reason": "planned"}
        if path.startswith("/3/device/"):
            return self._apple(path.removeprefix("/3/device/"), head)
        if path.startswith("/v1/projects/"):
            return self._google(head, body)
        return (410 if path in self.gone else 201), {}

    def _grant(self, body: bytes) -> tuple[int, dict[str, Any]]:
        form = dict(pair.split("=", 1) for pair in body.decode().split("&"))
        claims = jwt.decode(form["assertion"], RSAKey.import_key(pem(GOOGLES)), algorithms=["RS256"]).claims
        if claims["aud"] != f"{self.url}/token" or claims["exp"] - claims["iat"] > 3600:
            return 400, {"error": "invalid_grant"}
        self.granted += 1
        return 200, {"access_token": f"ya29.{self.granted}", "expires_in": 3599, "token_type": "Bearer"}

    def _apple(self, device: str, head: dict[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            found = jwt.decode(head["authorization"].removeprefix("bearer "), ECKey.import_key(pem(APPLES)))
        except JoseError:
            return 403, {"reason": "InvalidProviderToken"}
        if found.claims["iss"] != "TEAM" or found.header["kid"] != "KEY" or head["apns-topic"] != "test.shop":
            return 403, {"reason": "InvalidProviderToken"}
        return (410, {"reason": "Unregistered"}) if device in self.gone else (200, {})

    def _google(self, head: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        if head["authorization"] != f"Bearer ya29.{self.granted}":
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
        if json.loads(body)["message"]["token"] not in self.gone:
            return 200, {"name": "projects/shop-1/messages/1"}
        detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}
        return 404, {"error": {"code": 404, "status": "NOT_FOUND", "details": [detail]}}


__all__ = ["APPLES", "GOOGLES", "Browser", "PushServices", "pem", "unbase64url"]
