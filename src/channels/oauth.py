"""Access tokens: renewed with a refresh token (RFC 6749, 6), and requests signed by OAuth 1.0a (RFC 5849)."""

import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from channels import signatures
from channels.base import Account, Call, Result, Token, by_status

SHORTEST_S, LONGEST_S = 300.0, 366 * 86_400.0


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 3600.0
    refresh_token: str = ""


class _Refused(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


def renew(url: str, account: Account, kept: Mapping[str, str]) -> Call:
    """With what was kept, or the secret `refresh_token` at first and whenever the owner has entered another one."""
    first = account.secrets["refresh_token"]
    known = kept.get("refresh_token") if kept.get("of") == _mark(first) else None
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": known or first,
        "client_id": account.setting("client_id"),
        "client_secret": account.secrets["client_secret"].split()[0],
    }
    return Call(url=url, form=tuple(fields.items()))


def renewed(account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float) -> Token | Result:
    """What rotated is kept; else what was kept before."""
    token = granted(status, body, now)
    if isinstance(token, Result):
        return token
    known = {**token.kept, "of": _mark(account.secrets["refresh_token"])} if token.kept else dict(kept)
    return msgspec.structs.replace(token, kept=known)


def granted(status: int, body: bytes, now: float) -> Token | Result:
    """The answer of a token endpoint (RFC 6749, 5); `kept` has the refresh token that came with it, if one did."""
    try:
        said = msgspec.json.decode(body, type=_Granted)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _refusal(status, body)
    if status >= 300 or not said.access_token:
        return by_status(max(status, 300), "no access token")
    lives_s = min(max(said.expires_in, SHORTEST_S), LONGEST_S)
    kept = {"refresh_token": said.refresh_token} if said.refresh_token else {}
    return Token(value=said.access_token, expires_at=now + lives_s, kept=kept)


def _refusal(status: int, body: bytes) -> Result:
    try:
        said = msgspec.json.decode(body, type=_Refused)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = _Refused()
    return by_status(status if status >= 300 else 502, f"{said.error} {said.error_description}".strip()[:300])


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def signed(call: Call, account: Account, nonce: str, now: float) -> Call:
    """The call with OAuth 1.0a's Authorization. Query and form are signed, a JSON body is not (RFC 5849, 3.4.1.3).

    `nonce` is anything that does not come twice within a second. Setting `consumer_key`; secrets `consumer_secret`,
    `token`, `token_secret`.
    """
    own = {
        "oauth_consumer_key": account.setting("consumer_key"),
        "oauth_nonce": hashlib.sha256(f"{nonce} {now}".encode()).hexdigest()[:32],
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(now)),
        "oauth_token": account.secrets["token"],
        "oauth_version": "1.0",
    }
    secrets = account.secrets["consumer_secret"], account.secrets["token_secret"]
    own["oauth_signature"] = signatures.oauth1(call.method, call.url, [*own.items(), *call.form], *secrets)
    said = ", ".join(f'{name}="{quote(value, safe="-._~")}"' for name, value in own.items())
    return msgspec.structs.replace(call, headers={**call.headers, "authorization": f"OAuth {said}"})


def query(pairs: Iterable[tuple[str, str]]) -> str:
    """As OAuth 1.0a signs it: a space is %20, never +."""
    return "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in pairs)
