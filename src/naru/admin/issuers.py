"""What OpenID providers say of themselves: their addresses and their keys. Each is believed about its own issuer only.

Nothing that they say is followed: no redirects, no addresses without TLS. Answers, waits and what is kept are bounded.
Sources: OpenID Connect Discovery 1.0 section 4, RFC 7517.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import httpx2
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from msgspec import Meta

from router.sign_in import is_safe

ANSWER_BYTES = 256_000
WITHIN_S = 10.0
KEPT_S = 3600.0
REFETCH_S = 60.0
SILENT_S = 5.0
MAX_ISSUERS, MAX_KEYS = 1000, 100
KEY_TYPES = ("RSA", "EC", "OKP")

Url = Annotated[str, Meta(max_length=2000)]
Answer = TypeVar("Answer")


class Failed(Exception):
    """Nobody came in. `code` is for the person, the reason for the log; neither holds a secret."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Provider(msgspec.Struct, frozen=True):
    """The part of a provider's metadata that we need."""

    issuer: Url
    authorization_endpoint: Url
    token_endpoint: Url
    jwks_uri: Url
    userinfo_endpoint: Url | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Known:
    """What is kept of one issuer. `lock`: whoever misses something fetches it, the others wait for that."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.provider: Provider | None = None
        self.provider_at = 0.0
        self.keys: KeySet | None = None
        self.keys_at = 0.0
        self.refetched_at = float("-inf")
        self.failed_at = float("-inf")


class Issuers:
    def __init__(self, client: httpx2.AsyncClient, clock: Callable[[], float], within_s: float = WITHIN_S) -> None:
        self._client = client
        self._clock = clock
        self._within_s = within_s
        self._known: dict[str, _Known] = {}

    async def provider(self, issuer: str) -> Provider:
        """Raises Failed."""
        known = self._of(issuer)
        async with known.lock:
            if known.provider is None or self._clock() - known.provider_at > KEPT_S:
                url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                known.provider = _trusted(await self._fetch(known, url, Provider), issuer)
                known.provider_at = self._clock()
            return known.provider

    async def keys(self, provider: Provider, anew: bool = False) -> KeySet:
        """`anew`: a key was missing, so they are fetched again, but not for every forged token. Raises Failed."""
        known, now = self._of(provider.issuer), self._clock()
        async with known.lock:
            again = anew and now - known.refetched_at > REFETCH_S
            if again:
                known.refetched_at = now
            if again or known.keys is None or now - known.keys_at > KEPT_S:
                known.keys = _usable(await self._fetch(known, provider.jwks_uri, dict[str, Any]))
                known.keys_at = now
            return known.keys

    def _of(self, issuer: str) -> _Known:
        known = self._known.pop(issuer, None) or _Known()
        self._known[issuer] = known
        while len(self._known) > MAX_ISSUERS:
            del self._known[next(iter(self._known))]
        return known

    async def _fetch(self, known: _Known, url: str, kind: type[Answer]) -> Answer:
        """Who waited for a provider that did not answer does not ask it once more."""
        if self._clock() - known.failed_at < SILENT_S:
            raise Failed("oidc-unreachable", f"{url} has failed a moment ago")
        try:
            return await self.ask("GET", url, kind)
        except Failed:
            known.failed_at = self._clock()
            raise

    async def ask(
        self, method: str, url: str, kind: type[Answer], headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        """One request, whole and in time or not at all. Raises Failed."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with (
                asyncio.timeout(self._within_s),
                self._client.stream(method, url, headers=sent, content=body, follow_redirects=False) as answer,
            ):
                status, said = answer.status_code, await _bounded(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise Failed("oidc-unreachable", f"{url}: {type(error).__name__}") from error
        if status != 200:
            # 4xx to a POST is the token endpoint that does not take this code, or us.
            code = "oidc-refused" if method == "POST" and 400 <= status < 500 else "oidc-unreachable"
            raise Failed(code, f"{url} answered {status} {_error_of(said)}")
        try:
            return msgspec.json.decode(said, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Failed("oidc-unreachable", f"{url} answered something else than was asked") from error


async def _bounded(answer: httpx2.Response) -> bytes:
    """The bytes as they came: what is compressed was not asked for, and could be of any size."""
    body = b""
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise Failed("oidc-unreachable", f"{answer.url} answers more than {ANSWER_BYTES} bytes")
    return body


def _error_of(body: bytes) -> str:
    """OAuth's word for what went wrong (RFC 6749 section 5.2), and nothing else of the answer."""
    found = re.search(rb'"error"\s*:\s*"([a-z_]{1,50})"', body)
    return found[1].decode() if found else ""


def _trusted(provider: Provider, issuer: str) -> Provider:
    if provider.issuer != issuer:
        raise Failed("oidc-unready", f"{issuer} calls itself {provider.issuer[:200]!r}")
    endpoints = (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri)
    for url in (*endpoints, provider.userinfo_endpoint or issuer):
        # A provider elsewhere has no business on this machine.
        if not is_safe(url) or (url.startswith("http:") and not issuer.startswith("http:")):
            raise Failed("oidc-unready", f"{issuer} names an address without TLS")
    return provider


def _usable(document: dict[str, Any]) -> KeySet:
    """The public keys that we understand; a shared secret among them is none."""
    found: list[Key] = []
    listed = document.get("keys")
    for data in listed[:MAX_KEYS] if isinstance(listed, list) else []:
        if isinstance(data, dict) and data.get("kty") in KEY_TYPES:
            try:
                found.append(JWKRegistry.import_key(data))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not found:
        raise Failed("oidc-token", "the provider has no key that can be used")
    return KeySet(found)
