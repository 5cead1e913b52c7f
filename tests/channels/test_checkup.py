"""The steps of `naru channels test`, against a provider of ours that answers over requests without a net."""

from typing import Any

import httpx2
import pytest

from channels.checkup import Checkup, Finding
from channels.providers.telegram import Telegram
from channels.tokens import Tokens
from support.channel import HOOK, NOW, account

OURS = account(Telegram(), secrets={"bot_token": "1:a"})
WELL = "Tue, 14 Nov 2023 22:13:20 GMT"


class House:
    """What a checkup asks of the house, and a Telegram that says `info` with a clock that says `date`."""

    def __init__(self, info: dict[str, Any], date: str = WELL, reconciling: str | None = None) -> None:
        self.info, self.date, self.lost = info, date, reconciling
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        tokens = Tokens({"telegram": Telegram()}, None, self.client, lambda: NOW)  # type: ignore[arg-type]
        self.checkup = Checkup(self, tokens, self, self, self.client, lambda: NOW)  # type: ignore[arg-type]
        self.providers = {"telegram": Telegram()}

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/bot1:a/getWebhookInfo"
        return httpx2.Response(200, json={"ok": True, "result": self.info}, headers={"date": self.date})

    def of(self, workspace: str, channel: str) -> Any:
        return OURS

    def state(self, workspace: str, channel: str) -> str | None:
        return None

    def reconciling(self, workspace: str, channel: str) -> str | None:
        return self.lost

    async def last_received(self, workspace: str, channel: str) -> float | None:
        return NOW - 300

    async def steps(self) -> dict[str, Finding]:
        return {found.step: found for found in await self.checkup.of("ws", "c", "telegram")}


async def test_a_channel_that_is_well() -> None:
    steps = await House({"url": HOOK, "pending_update_count": 0}, reconciling="ok").steps()
    assert [steps[name].ok for name in ("settings", "subscription", "clock", "lost webhooks", "receiving")] == [
        True
    ] * 5


async def test_a_webhook_that_goes_elsewhere_is_told_with_what_mends_it() -> None:
    found = (await House({"url": "https://old.example/"}).steps())["subscription"]
    assert (found.ok, found.cause) == (False, f"its webhook is 'https://old.example/', not {HOOK}")
    assert found.mend == "see docs/channels/telegram.md for how its webhooks are set"


@pytest.mark.parametrize(
    ("date", "cause"),
    [
        ("Tue, 14 Nov 2023 22:03:20 GMT", "ours is 10 minutes ahead of the provider's"),
        ("Tue, 14 Nov 2023 22:15:00 GMT", "ours is 100 seconds behind the provider's"),
    ],
)
async def test_a_clock_that_is_wrong_is_told(date: str, cause: str) -> None:
    found = (await House({"url": HOOK}, date).steps())["clock"]
    assert (found.ok, found.cause) == (False, cause)


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2023 22:03:20 GMT"])
async def test_without_a_providers_time_nothing_is_said_of_ours(date: str) -> None:
    assert "clock" not in await House({"url": HOOK}, date).steps()


@pytest.mark.parametrize("state", [None, "off"])
async def test_of_what_is_not_asked_for_nothing_is_said(state: str | None) -> None:
    assert "lost webhooks" not in await House({"url": HOOK}, reconciling=state).steps()


@pytest.mark.parametrize(("state", "ok"), [("ok", True), ("not yet", None), ("failed: 403 no", False)])
async def test_whether_what_was_lost_can_be_asked_for(state: str, ok: bool | None) -> None:
    found = (await House({"url": HOOK}, reconciling=state).steps())["lost webhooks"]
    assert (found.ok, found.cause) == (ok, None if ok else state)
