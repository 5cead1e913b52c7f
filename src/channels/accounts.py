"""The connected channels of every workspace, as configured now: by hook path, and by workspace and channel."""

from collections.abc import Callable, Iterable

import structlog

from channels.base import Account, Chooses, Inspects, Provider
from channels.picking import picking
from router.config import Channel, Config

log = structlog.get_logger("channels.accounts")

Resolve = Callable[[str, str], str | None]
"""(workspace, secret reference) to the secret in the clear; None when it cannot be had."""


class Accounts:
    """`token(use, *parts)` makes names nobody can guess; `public_url` is where providers reach us."""

    def __init__(
        self, providers: dict[str, Provider], token: Callable[..., str], resolve: Resolve, public_url: str
    ) -> None:
        self.providers = providers
        self._token = token
        self._resolve = resolve
        self._public_url = public_url.rstrip("/")
        self._by_hook: dict[str, Account] = {}
        self._by_channel: dict[tuple[str, str], Account] = {}
        self._faults: dict[tuple[str, str], str] = {}

    def hook(self, workspace: str, channel: str) -> str:
        return self._token("hook", workspace, channel)

    def configure(self, workspace: str, config: Config) -> None:
        """Take over a workspace's configuration: channels that cannot work are named with the reason."""
        kept = {hook: account for hook, account in self._by_hook.items() if account.workspace != workspace}
        self._faults = {key: fault for key, fault in self._faults.items() if key[0] != workspace}
        for channel in config.channels:
            if not channel.enabled:
                continue
            made = self._account(workspace, channel)
            if isinstance(made, Account):
                kept[made.hook] = made
            else:
                self._faults[workspace, channel.id] = made
                log.warning("channel.unusable", workspace=workspace, channel=channel.id, fault=made)
        self._by_hook = kept
        self._by_channel = {(account.workspace, account.channel): account for account in kept.values()}

    def _account(self, workspace: str, channel: Channel) -> Account | str:
        provider = self.providers.get(channel.provider)
        if provider is None:
            return f"there is no provider '{channel.provider}'; known: {', '.join(sorted(self.providers))}"
        if channel.kind not in provider.kinds:
            return f"provider '{channel.provider}' serves {', '.join(provider.kinds)}, not {channel.kind}"
        missing = [name for name in provider.required_settings if not channel.settings.get(name)]
        secrets = {name: self._resolve(workspace, reference) for name, reference in channel.secrets.items()}
        missing += [name for name in _secrets_of(provider, channel) if not secrets.get(name)]
        if missing:
            return f"missing: {', '.join(missing)}"
        try:
            picking(channel.settings)
        except ValueError as error:
            return str(error)
        fault = settings_fault(provider, channel)
        if fault is not None:
            return fault
        hook = self.hook(workspace, channel.id)
        return Account(
            workspace=workspace,
            channel=channel.id,
            brand=channel.brand,
            kind=channel.kind,
            provider=channel.provider,
            hook=hook,
            hook_url=f"{self._public_url}/hooks/{hook}",
            settings=channel.settings,
            secrets={name: value for name, value in secrets.items() if value},
            sign=lambda text: self._token("sign", workspace, channel.id, text),
        )

    def at(self, hook: str) -> Account | None:
        return self._by_hook.get(hook)

    def of(self, workspace: str, channel: str) -> Account | None:
        return self._by_channel.get((workspace, channel))

    def all(self) -> Iterable[Account]:
        return list(self._by_hook.values())

    def fault(self, workspace: str, channel: str) -> str | None:
        return self._faults.get((workspace, channel))


def _secrets_of(provider: Provider, channel: Channel) -> tuple[str, ...]:
    return provider.secrets_for(channel.settings) if isinstance(provider, Chooses) else provider.required_secrets


def settings_fault(provider: Provider, channel: Channel) -> str | None:
    """What its provider finds wrong with a channel's settings."""
    return provider.settings_fault(channel.settings) if isinstance(provider, Inspects) else None
