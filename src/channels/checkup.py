"""Whether a connected channel works, step by step, each failure with its cause and what mends it (`naru channels test`).

Nothing is sent to anybody: the credentials are tried by the provider's own harmless request, where it has one.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx2
import msgspec

from channels.accounts import Accounts
from channels.base import Account, Checks, Provider, Renews, Result, Subscribed
from channels.connections import Connections
from channels.http import Answered, request
from channels.ports import Contents, Unavailable
from channels.tokens import Tokens

MOST_SKEW_S = 60.0
"""Signatures with a time are good for five minutes, at some providers for one."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """`ok` is None where there is nothing that could be tried from here."""

    step: str
    ok: bool | None
    cause: str | None = None
    mend: str | None = None


class Checkup:
    def __init__(
        self,
        accounts: Accounts,
        tokens: Tokens,
        connections: Connections,
        contents: Contents,
        client: httpx2.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self._contents = contents
        self._clock = clock
        self._accounts = accounts
        self._tokens = tokens
        self._connections = connections
        self._client = client

    async def of(self, workspace: str, channel: str, provider: str) -> list[Finding]:
        """The steps in order, up to the first that fails; `provider` is the configured name of it."""
        account = self._accounts.of(workspace, channel)
        if account is None:
            cause = self._accounts.fault(workspace, channel) or "the channel is switched off"
            return [Finding("settings", False, cause, f"see docs/channels/{provider}.md for what it needs")]
        found = [Finding("settings", True)]
        known = self._accounts.providers[account.provider]
        for step in (self._token, self._credentials, self._connection):
            finding = await step(account, known)
            found.append(finding)
            if finding.ok is False:
                return found
        found += await self._subscription(account, known)
        found += self._reconciling(account)
        found.append(await self._receiving(account, known))
        return found

    async def _token(self, account: Account, provider: Provider) -> Finding:
        if not isinstance(provider, Renews):
            return Finding("access token", None, "this provider has none")
        try:
            token = await self._tokens.account(account)
        except Unavailable as error:
            return Finding("access token", False, str(error), "the database is away: see naru doctor")
        if isinstance(token, Result):
            mend = "log in at the provider anew and store the new secrets: PUT /v1/secrets/…"
            return Finding("access token", False, token.detail, mend)
        expires_at = self._tokens.expires_at(account.workspace, account.channel)
        left = None if expires_at is None else f"good for {_span(expires_at - self._clock())}, and renewed before that"
        return Finding("access token", True, left)

    async def _credentials(self, account: Account, provider: Provider) -> Finding:
        if not isinstance(provider, Checks):
            return Finding("credentials", None, "this provider has no request that shows them and sends nothing")
        token = await self._tokens.account(account)
        if isinstance(token, Result):
            return Finding("credentials", False, token.detail)
        answer = await request(self._client, provider.check(token, self._clock()))
        if isinstance(answer, Result):
            return Finding("credentials", False, answer.detail, "can this machine reach the provider?")
        if answer.status >= 400:
            said = f"{answer.status} {answer.body[:200].decode(errors='replace')}"
            return Finding("credentials", False, said, f"compare the secrets with docs/channels/{provider.name}.md")
        return Finding("credentials", True)

    async def _subscription(self, account: Account, provider: Provider) -> list[Finding]:
        """Whether the provider tells us, and whether its clock is ours, where it can be asked."""
        if not isinstance(provider, Subscribed):
            return []
        token = await self._tokens.account(account)
        if isinstance(token, Result):
            return []
        answer = await request(self._client, provider.ask_subscription(token, self._clock()))
        if isinstance(answer, Result):
            return [Finding("subscription", False, answer.detail, "can this machine reach the provider?")]
        fault = provider.subscription(token, answer.status, answer.body, self._clock())
        mend = f"see docs/channels/{provider.name}.md for how its webhooks are set" if fault else None
        return [Finding("subscription", fault is None, fault, mend), *self._skew(answer)]

    def _skew(self, answer: Answered) -> list[Finding]:
        try:
            skew_s = self._clock() - parsedate_to_datetime(answer.date).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError, OSError):
            return []
        if abs(skew_s) <= MOST_SKEW_S:
            return [Finding("clock", True)]
        cause = f"ours is {_span(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} the provider's"
        return [Finding("clock", False, cause, "let this machine follow a time server (NTP)")]

    def _reconciling(self, account: Account) -> list[Finding]:
        """Whether what was lost can be asked for. A channel lives without it, so nothing else waits for its mending."""
        state = self._connections.reconciling(account.workspace, account.channel)
        if state in (None, "off"):
            return []
        is_well = None if state == "not yet" else state == "ok"
        mend = (
            "what is lost while this center is away stays lost: may the key read lists?" if is_well is False else None
        )
        return [Finding("lost webhooks", is_well, None if is_well else state, mend)]

    async def _connection(self, account: Account, provider: Provider) -> Finding:
        state = self._connections.state(account.workspace, account.channel)
        if state is None:
            return Finding("connection", None, "it has none, or another process holds it")
        return Finding("connection", state == "ok", None if state == "ok" else state)

    async def _receiving(self, account: Account, provider: Provider) -> Finding:
        last = await self._contents.last_received(account.workspace, account.channel)
        if last is not None:
            return Finding("receiving", True, f"the last message came {_span(self._clock() - last)} ago")
        where = f"; its provider must call {account.hook_url}" if provider.transport == "webhook" else ""
        return Finding("receiving", None, "nothing has come yet", f"write to it from outside{where}")


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"
