"""Public keys of providers that sign with them (`base.Vouched`): asked for once, kept for an hour, a bounded number."""

from collections.abc import Callable

import httpx2
import msgspec

from channels.base import Account, Provider, Result, Vouched, Webhook
from channels.http import request
from channels.ports import Unavailable
from channels.tokens import Tokens

KEEP_S = 3600.0
KEPT = 1_000
ASK_AGAIN_S = 30.0
"""A name that cannot be had is not asked for again so soon: whoever sends forged ones shall not make us ask."""


class Keys:
    def __init__(self, client: httpx2.AsyncClient, tokens: Tokens, clock: Callable[[], float]) -> None:
        self._client = client
        self._tokens = tokens
        self._clock = clock
        self._keys: dict[tuple[str, str, str], tuple[float, str | None]] = {}

    async def account(self, account: Account, provider: Provider, webhook: Webhook) -> Account:
        """The account with the key that a webhook names, where its provider signs with one. Raises Unavailable when
        the provider cannot be asked: it shall send it again."""
        name = provider.key_name(account, webhook) if isinstance(provider, Vouched) else None
        if name is None or not isinstance(provider, Vouched):
            return account
        at = (account.workspace, account.channel, name)
        known = self._keys.get(at)
        if known is None or self._clock() - known[0] > (KEEP_S if known[1] else ASK_AGAIN_S):
            known = self._keys[at] = (self._clock(), await self._ask(account, provider, name))
            while len(self._keys) > KEPT:
                del self._keys[next(iter(self._keys))]
        return msgspec.structs.replace(account, keys={name: known[1]}) if known[1] else account

    async def _ask(self, account: Account, provider: Vouched, name: str) -> str | None:
        with_token = await self._tokens.account(account)
        if isinstance(with_token, Result):
            raise Unavailable(f"no access token to ask for a key: {with_token.detail}")
        answer = await request(self._client, provider.ask_key(with_token, name))
        if isinstance(answer, Result) or answer.status >= 500:
            raise Unavailable("the provider cannot be asked for its key")
        return provider.key(answer.status, answer.body)
