"""Access tokens that expire: renewed in time, one renewal at a time, and what renews the next is kept sealed first.

A refresh token that rotates is lost for good when its successor is not kept, so it is stored before the access token
is used. Whoever holds the channel renews it, so there is one who does.
"""

import asyncio
from collections.abc import Callable, Mapping

import httpx2
import msgspec
import structlog

from channels.base import Account, Renews, Result, Token
from channels.http import request
from channels.ports import Contents

log = structlog.get_logger("channels.tokens")

EARLY_S = 120.0
"""A token is renewed this long before it expires."""
NEEDLESS = Token(value="", expires_at=float("inf"))


class Tokens:
    """Of the `providers` by name, those that renew theirs (`Renews`)."""

    def __init__(
        self,
        providers: Mapping[str, object],
        contents: Contents,
        client: httpx2.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self._providers = providers
        self._contents = contents
        self._client = client
        self._clock = clock
        self._tokens: dict[tuple[str, str], tuple[Account, Token]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def account(self, account: Account) -> Account | Result:
        """The account with a token in force, where its provider needs one; else why there is none. Raises Unavailable."""
        provider = self._providers[account.provider]
        if not isinstance(provider, Renews):
            return account
        key = (account.workspace, account.channel)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._tokens.get(key)
            if known is None or not _same(known[0], account) or known[1].expires_at - EARLY_S <= self._clock():
                renewed = await self._renewed(provider, account)
                if isinstance(renewed, Result):
                    return renewed
                known = self._tokens[key] = (account, renewed)
        return msgspec.structs.replace(account, token=known[1].value)

    def refused(self, account: Account) -> None:
        """The provider does not take the token any more, whatever it had said of its life."""
        self._tokens.pop((account.workspace, account.channel), None)

    def expires_at(self, workspace: str, channel: str) -> float | None:
        known = self._tokens.get((workspace, channel))
        return known[1].expires_at if known else None

    async def _renewed(self, provider: Renews, account: Account) -> Token | Result:
        now = self._clock()
        if provider.renew(account, {}, now) is None:
            return NEEDLESS
        kept = await self._contents.kept(account.workspace, account.channel)
        call = provider.renew(account, kept, now)
        if call is None:
            return NEEDLESS
        answer = await request(self._client, call)
        if isinstance(answer, Result):
            return msgspec.structs.replace(answer, kind="retry")  # asking for a token sends nothing to anybody
        token = provider.renewed(account, kept, answer.status, answer.body, now)
        if isinstance(token, Token) and token.kept != kept:
            await self._contents.keep(account.workspace, account.channel, token.kept)
        elif isinstance(token, Result):
            log.warning("token.refused", channel=account.channel, detail=token.detail)
        return token


def _same(one: Account, other: Account) -> bool:
    return (one.provider, one.settings, one.secrets) == (other.provider, other.settings, other.secrets)
