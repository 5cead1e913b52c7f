"""Who is at the other end of a chat: a visitor that we have named, or a user for whom the shop's own server speaks.

A visitor's token is the name and a code that only we can make. A user's is a JWT (RFC 7519) that the shop's server signs by
HS256 with the channel's secret `app_secret`: claims sub, exp at most an hour ahead, name and email where it likes. Its
thread follows from sub, so it is the same one on all devices of that user; a visitor's token opens it for files and
devices, but not to talk: for that the shop has to vouch anew.
"""

import hashlib
import hmac
from typing import Any

import msgspec

from channels.base import Account
from channels.signatures import jwt_claims
from router.model import Identity

MAX_LIFE_S = 3600.0
LEEWAY_S = 60.0
"""Clocks differ."""
USER = "user:"
"""Before a user's visitor name; the names that we give have no colon."""


class Refused(Exception):
    """A token that is not good, and why."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """`id` names the thread. `sub` is the shop's name of a user, "" for a mere visitor."""

    id: str
    sub: str = ""
    name: str = ""
    email: str = ""

    def identity(self, channel: str, said: Any) -> Identity:
        """A user has the name that the shop gives; a visitor may say one (`said`)."""
        if self.sub:
            return Identity(scope=channel, kind="external", value=self.sub, name=self.name or self.sub[:100])
        name = said[:100] if isinstance(said, str) and said.strip() else f"Visitor {self.id[:4]}"
        return Identity(scope=channel, kind="visitor", value=self.id, name=name)


def token(account: Account, visitor: str) -> str:
    return f"{visitor}.{account.sign(f'visitor {visitor}')}"


def named(account: Account, given: Any) -> str | None:
    """The visitor whom a token stands for; None when we did not make it."""
    if not isinstance(given, str):
        return None
    visitor, _, mac = given.rpartition(".")
    good = hmac.compare_digest(account.sign(f"visitor {visitor}").encode(), mac.encode("utf-8", "replace"))
    return visitor if good and visitor else None


def welcome(account: Account, visitor: Any, user_token: Any, fresh: str, now: float) -> Visitor:
    """Who says hello: a user, a visitor who was here before, or one who is now named `fresh`. Raises Refused."""
    if user_token is not None:
        return _user(account, user_token, now)
    known = named(account, visitor)
    if known is not None and known.startswith(USER):
        raise Refused("user_token is missing")
    return Visitor(id=known or fresh)


def _user(account: Account, given: Any, now: float) -> Visitor:
    secrets = account.secrets.get("app_secret", "").split()
    signed = (jwt_claims(given, secret) for secret in secrets) if isinstance(given, str) else ()
    claims = next((one for one in signed if one is not None), None)
    if claims is None:
        raise Refused("not signed with this channel's app_secret")
    sub, expires = claims.get("sub"), claims.get("exp")
    if not isinstance(sub, str) or not 0 < len(sub) <= 200:
        raise Refused("sub must be a text of at most 200 letters")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise Refused("exp is missing")
    if not now - LEEWAY_S < expires <= now + MAX_LIFE_S + LEEWAY_S:
        raise Refused("expired" if expires <= now else "exp is more than an hour ahead")
    where = f"{account.workspace}\x1f{account.channel}\x1f{sub}"
    digest = hashlib.sha256(where.encode("utf-8", "replace")).hexdigest()[:40]
    return Visitor(id=USER + digest, sub=sub, name=_claim(claims, "name", 100), email=_claim(claims, "email", 254))


def _claim(claims: dict[str, Any], name: str, most: int) -> str:
    value = claims.get(name)
    return value.strip()[:most] if isinstance(value, str) else ""
