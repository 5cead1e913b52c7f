"""Accounts, requests and recorded payloads for the tests of providers.

A recorded payload is a JSON file in `tests/channels/payloads/PROVIDER/`: where it is from, how it comes in, and what it
must be read as. `reads` names of each input what matters (a subset); what is not named may be anything.

    {"source": "https://… or: recorded from …",
     "settings": {…}, "secrets": {…}, "now": 1700000000,
     "request": {"method": "POST", "path": "", "query": {…}, "headers": {…}, "body": "text, or an object sent as JSON"},
                 (or "base64" or "hex" instead of "body", for what is no text)
     "answer": {"status": 200, "body": …}, "cursor": {…},        instead of request: what a poll was answered
     "answer": {…}, "span": [start, end], "asked": "https://…",  what it was answered when asked afterwards (`asked`: the
                                                                 request, if it is not the first), "more": ["https://…"]
     "frame": "…" or {…}, "state": {…},                          instead of request: what a stream said
     "reads": [{"type": "ReceiveMessage", "key": "…", "text": "…", "dedupe_key": "…", …}],
     "comments": [{"text": "…"}], "replies": {"status": 200, "body": "…"}, "cursor_after": {…}}
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from channels.base import (
    Account,
    Call,
    CallView,
    Found,
    Heard,
    Page,
    Polls,
    Provider,
    Reading,
    Reconciles,
    Span,
    Streams,
    Webhook,
)
from router.effects import Deliver
from router.model import Identity, Kind, Thread

PAYLOADS = Path(__file__).parents[1] / "channels" / "payloads"
NOW = 1_700_000_000.0
HOOK = "https://naru.example/hooks/abc"


def account(
    provider: Provider,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    kind: Kind | None = None,
    token: str = "",
) -> Account:
    """A connected channel `c` of workspace `ws`; what the provider requires is there, if only by name."""
    return Account(
        workspace="ws",
        channel="c",
        brand="b",
        kind=kind or provider.kinds[0],
        provider=provider.name,
        hook="abc",
        hook_url=HOOK,
        settings={**{name: name for name in provider.required_settings}, **(settings or {})},
        secrets={**{name: name for name in provider.required_secrets}, **(secrets or {})},
        sign=lambda text: f"signed-{text}",
        token=token,
    )


def hook(
    body: bytes | str | dict[str, Any] | list[Any] = b"",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    path: str = "",
    method: str = "POST",
    now: float = NOW,
) -> Webhook:
    asked = "&".join(f"{name}={value}" for name, value in (query or {}).items())
    url = HOOK + (f"/{path}" if path else "") + (f"?{asked}" if asked else "")
    return Webhook(
        method=method,
        url=url,
        path=path,
        headers={name.lower(): value for name, value in (headers or {}).items()},
        query=dict(query or {}),
        body=as_bytes(body),
        t=now,
    )


def as_bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()


def delivery(thread: Thread, to: str, key: str = "m1", scope: str = "s", kind: str = "external") -> Deliver:
    """A message of ours on its way out, to somebody in a thread of channel `c`."""
    who = Identity(scope=scope, kind=kind, value=to)  # type: ignore[arg-type]
    return Deliver(channel="c", key=key, conversation="v", contact="k", thread=thread, identity=who)


def nobody(call: str) -> CallView | None:
    return None


class Payload:
    """One recorded payload of one provider."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: dict[str, Any] = json.loads(path.read_text())

    @property
    def body(self) -> bytes:
        if "frame" in self.said:
            return as_bytes(self.said["frame"])
        carrier = self.said.get("answer") or self.said["request"]
        if "base64" in carrier:
            return base64.b64decode(carrier["base64"])
        if "hex" in carrier:
            return bytes.fromhex(carrier["hex"])
        return as_bytes(carrier.get("body", b""))

    def read(self, provider: Provider, body: bytes | None = None) -> Reading | Page | Heard | Found:
        """As the provider reads it, or another body in its place."""
        said, raw = self.said, self.body if body is None else body
        ours = account(provider, said.get("settings"), said.get("secrets"), said.get("kind"), said.get("token", ""))
        now = float(said.get("now", NOW))
        if "frame" in said:
            assert isinstance(provider, Streams)
            return provider.hear(ours, said.get("state", {}), raw.decode(errors="replace"), now)
        if "span" in said:
            assert isinstance(provider, Reconciles)
            span = Span(*map(float, said["span"]))
            call = Call(method="GET", url=said["asked"]) if "asked" in said else provider.since(ours, span, now)[0]
            return provider.found(ours, call, span, said["answer"].get("status", 200), raw, now)
        if "answer" in said:
            assert isinstance(provider, Polls)
            return provider.page(ours, said.get("cursor", {}), said["answer"].get("status", 200), raw, now)
        request = said["request"]
        webhook = hook(
            raw,
            request.get("headers"),
            request.get("query"),
            request.get("path", ""),
            request.get("method", "POST"),
            now,
        )
        return provider.read(ours, webhook, nobody)


def payloads(provider: str) -> list[Payload]:
    return [Payload(path) for path in sorted((PAYLOADS / provider).glob("*.json"))]


def summary(reading: Reading | Page | Heard | Found) -> list[dict[str, Any]]:
    """Each input as plain data: its type and fields, its key, and the text and parts of what was said."""
    found = []
    for item in reading.items:
        said = {**msgspec.to_builtins(item.body), "type": type(item.body).__name__, "key": item.key}
        if item.content is not None:
            said["text"] = item.content.text
            said["subject"] = item.content.subject
            said["parts"] = [msgspec.to_builtins(part) for part in item.content.parts]
            said["headers"] = dict(item.content.headers)
        found.append(said)
    return found


def differs(wanted: Any, found: Any, where: str = "") -> str | None:
    """The first place where `found` lacks what is wanted: of objects only the fields that are named."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        faults = (differs(value, found.get(name), f"{where}.{name}") for name, value in wanted.items())
        return next((fault for fault in faults if fault), None)
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return f"{where}: {len(found)} instead of {len(wanted)}: {found}"
        faults = (differs(a, b, f"{where}[{n}]") for n, (a, b) in enumerate(zip(wanted, found, strict=True)))
        return next((fault for fault in faults if fault), None)
    return None if wanted == found else f"{where}: {found!r} instead of {wanted!r}"


def asked(provider: Any, ours: Account, now: float = NOW) -> list[Call]:
    """The requests by which a provider is asked what there was in the hour before."""
    calls: tuple[Call, ...] = provider.since(ours, Span(now - 3600, now), now)
    return list(calls)
