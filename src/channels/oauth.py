"""Access tokens: renewed with a refresh token (RFC 6749, 6), and requests signed by OAuth 1.0a (RFC 5849)."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose, signatures
from channels.base import Account, Call, Result, Token, by_status

OAUTH1 = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
SHORTEST_S, LONGEST_S, DEFAULT_S = 60.0, 366 * 86_400.0, 3600.0


def renew(url: str, account: Account, kept: Mapping[str, str]) -> Call:
    """With what was kept, or the secret `refresh_token` at first and whenever the owner has entered another one."""
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token(account, kept),
        "client_id": account.setting("client_id"),
        "client_secret": (account.secrets.get("client_secret", "").split() or [""])[0],
    }
    return Call(url=url, form=tuple(fields.items()))


def refresh_token(account: Account, kept: Mapping[str, str]) -> str:
    """The refresh token in force: the newest of those that came of the owner's secret."""
    first = account.secrets.get("refresh_token", "")
    return kept.get("refresh_token", first) if kept.get("of") == _mark(first) else first


def remembered(account: Account, newest: str) -> dict[str, str]:
    """What to keep of a refresh token that rotates: `refresh_token` takes it as long as the owner enters no other."""
    return {"refresh_token": newest, "of": _mark(account.secrets.get("refresh_token", ""))}


def renewed(account: Account, kept: Mapping[str, str], status: int, body: bytes, now: float) -> Token | Result:
    """What rotated is kept; else what was kept before."""
    token = granted(status, body, now)
    if isinstance(token, Result):
        return token
    known = remembered(account, token.kept["refresh_token"]) if token.kept else dict(kept)
    return msgspec.structs.replace(token, kept=known)


def granted(status: int, body: bytes, now: float) -> Token | Result:
    """The answer of a token endpoint (RFC 6749, 5); `kept` has the refresh token that came with it, if one did.

    Providers differ in letters only: access_token or accessToken, alone or in `content`.
    """
    said = loose.fields(loose.decoded(body))
    said = loose.fields(said, "content") or said
    value = loose.text(said, "access_token", most=8_000) or loose.text(said, "accessToken", most=8_000)
    if status >= 300 or not value:
        return by_status(status if status >= 300 else 502, words(said)[:300] or "no access token")
    given = loose.number(said, "expires_in") or loose.number(said, "expiresIn") or DEFAULT_S
    again = loose.text(said, "refresh_token", most=8_000) or loose.text(said, "refreshToken", most=8_000)
    kept = {"refresh_token": again} if again else {}
    return Token(value=value, expires_at=now + min(max(given, SHORTEST_S), LONGEST_S), kept=kept)


def words(said: Mapping[str, Any]) -> str:
    """What an error answer says of itself, of the places where providers say it."""
    error = said.get("error")
    inner = error if isinstance(error, dict) else said
    found = (inner.get(name) for name in ("code", "reason", "status", "error", "error_description", "message"))
    return " ".join(str(each)[:200] for each in found if isinstance(each, (str, int)) and each != "")


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def signed(call: Call, account: Account, nonce: str, now: float) -> Call:
    """The call with OAuth 1.0a's Authorization. Query and form are signed, a JSON body is not (RFC 5849, 3.4.1.3).

    `nonce` is anything that does not come twice within a second. Setting `consumer_key`; secrets `consumer_secret`,
    `token`, `token_secret`.
    """
    secrets = {
        "consumer_key": account.setting("consumer_key"),
        "consumer_secret": account.secrets["consumer_secret"],
        "access_token": account.secrets["token"],
        "access_token_secret": account.secrets["token_secret"],
    }
    once = hashlib.sha256(f"{nonce} {now}".encode()).hexdigest()[:32]
    proof = authorization(secrets, call.method, call.url, once, now, call.form)
    return msgspec.structs.replace(call, headers={**call.headers, "authorization": proof})


def authorization(
    secrets: Mapping[str, str], method: str, url: str, nonce: str, now: float, params: Iterable[tuple[str, str]] = ()
) -> str:
    """OAuth 1.0a's header. `params` are those of a form; those of the URL's query are added, a JSON body is not signed
    (3.4.1.3). `nonce` must differ from request to request; `secrets` are called as in OAUTH1."""
    ours = {
        "oauth_consumer_key": secrets["consumer_key"],
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": f"{now:.0f}",
        "oauth_token": secrets["access_token"],
        "oauth_version": "1.0",
    }
    keys = secrets["consumer_secret"], secrets["access_token_secret"]
    ours["oauth_signature"] = signatures.oauth1(method, url, [*ours.items(), *params], *keys)
    return "OAuth " + ", ".join(f'{name}="{quote(value, safe="-._~")}"' for name, value in sorted(ours.items()))


def query(pairs: Iterable[tuple[str, str]]) -> str:
    """As OAuth 1.0a signs it: a space is %20, never +."""
    return "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in pairs)
