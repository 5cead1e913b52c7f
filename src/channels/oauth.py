"""Access tokens by a refresh token (RFC 6749, 6; developers.google.com/identity, dev.twitch.tv, chzzk.gitbook.io).

A provider that rotates gives a new refresh token with every access token. It is kept, and holds until the owner enters
another secret: a kept one names the secret that it began with.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from channels.base import Account, Call, Result, Token

LEAST_S, LONGEST_S = 60.0, 60 * 86_400.0
DEFAULT_S = 3600.0


def refresh_token(account: Account, kept: Mapping[str, str]) -> str:
    """The refresh token in force: the newest of those that came of the owner's secret."""
    secret = account.secrets.get("refresh_token", "")
    return kept.get("refresh_token", secret) if kept.get("of") == _mark(secret) else secret


def refresh(url: str, account: Account, kept: Mapping[str, str]) -> Call:
    return Call(
        url=url,
        form=(
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token(account, kept)),
            ("client_id", account.setting("client_id")),
            ("client_secret", account.secrets.get("client_secret", "")),
        ),
    )


def renewed(account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float) -> Token | Result:
    """The answer to it. Providers differ in letters only: access_token or accessToken, alone or in `content`."""
    said = decoded(body)
    inner = said.get("content")
    said = inner if isinstance(inner, dict) else said
    value = said.get("access_token", said.get("accessToken"))
    if 200 <= status < 300 and isinstance(value, str) and value:
        again = said.get("refresh_token", said.get("refreshToken"))
        kept = dict(kept)
        if isinstance(again, str) and again:
            kept = {"refresh_token": again, "of": _mark(account.secrets.get("refresh_token", ""))}
        return Token(value=value, expires_at=now + _seconds(said.get("expires_in", said.get("expiresIn"))), kept=kept)
    detail = f"{status} {words(said)}".strip()[:300]
    return Result("rejected" if status in (400, 401, 403) else "retry", detail=detail)


def decoded(body: bytes) -> dict[str, Any]:
    """A JSON object; empty for whatever is none."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def words(said: Mapping[str, Any]) -> str:
    """What an error answer says of itself, of the places where providers say it."""
    error = said.get("error")
    inner = error if isinstance(error, dict) else said
    found = (inner.get(name) for name in ("code", "reason", "status", "error", "error_description", "message"))
    return " ".join(str(each)[:200] for each in found if isinstance(each, (str, int)) and each != "")


def _seconds(given: Any) -> float:
    try:
        return min(LONGEST_S, max(LEAST_S, float(given)))
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_S


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]
