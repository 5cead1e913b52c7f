"""Where an agent's desk registers its own phone: the exchange that takes browsers' phones, the endpoint, its password.

The password is told to whoever acts as that agent and to nobody else, and never kept: a desk that the exchange refuses
asks again, which is all that a rotated password needs.
"""

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from router.config import Channel, Config

Resolve = Callable[[str, str], str | None]
"""(workspace, secret reference) to the secret in the clear; None when it cannot be had."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is the exchange's WebSocket; the phone is `sip:user@domain`."""

    url: str
    domain: str
    user: str
    password: str


class Softphone(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` says why there is no registration though the agent should have one; nothing at all: no softphone."""

    registration: Registration | None = None
    missing: Literal["exchange", "secret"] | None = None


def softphone_of(config: Config, workspace: str, agent: str, resolve: Resolve) -> Softphone:
    profile = next((one for one in config.agents if one.id == agent), None)
    if profile is None or profile.softphone is None or profile.phone is None:
        return Softphone()
    exchange = next((found for channel in config.channels if (found := _exchange(channel))), None)
    if exchange is None:
        return Softphone(missing="exchange")
    password = resolve(workspace, profile.softphone)
    if not password:
        return Softphone(missing="secret")
    url, domain = exchange
    return Softphone(registration=Registration(url=url, domain=domain, user=profile.phone, password=password))


def _exchange(channel: Channel) -> tuple[str, str] | None:
    """(url, domain) of a channel whose exchange takes phones over WebSocket: its setting `webrtc`."""
    said: Any = channel.settings.get("webrtc")
    url = said.get("url") if isinstance(said, dict) else None
    if not channel.enabled or not isinstance(url, str):
        return None
    parts = urlsplit(url)
    domain = said.get("domain") or parts.hostname
    return (url, str(domain)) if parts.scheme in ("ws", "wss") and domain else None
