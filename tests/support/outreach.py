"""A campaign's world for tests: people of a list whose telephones do one thing each, agents who pick up at once, and the
carrier between them. What became of everybody is told by the carrier, and held against the ledger and the journal.

People are in the United States, where every day is open, in whatever zone it is early afternoon now: so the law lets
them be called at any hour at which the tests run.
"""

import asyncio
import contextlib
import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from naru.demo.carrier import Call, Carrier
from support.carrier import Rest, _served, carrier_of, until
from support.center import AgentDesk, Center

AREAS = (646, 917, 718, 347, 310, 213, 415, 312, 305, 404)
ACCOUNT = f"AC{7:032d}"
OURS = "+12127360000"
TALK_S = 60.0
"""Seconds of the carrier's time, three of ours, that a person talks: nobody hangs up before an agent had to be there, however
slow the machine."""
DEEDS: dict[str, dict[str, Any]] = {
    "talks": {"answer_after_s": 3, "hang_up_after_s": TALK_S},
    "busy": {"answer_after_s": None, "busy": True},
    "no_answer": {"answer_after_s": None},
    "declines": {"answer_after_s": None, "reject": True},
    "machine": {"answer_after_s": 4, "answered_by": "machine_start", "hang_up_after_s": 30},
    "fax": {"answer_after_s": 2, "answered_by": "fax", "hang_up_after_s": 30},
    "unreachable": {},
}
"""What a telephone does; one that is unreachable the carrier does not know."""
OUTCOMES = {
    "busy": "busy",
    "declines": "busy",
    "no_answer": "no_answer",
    "machine": "machine",
    "fax": "fax",
    "unreachable": "invalid",
}
"""How the ledger calls each; who talks was `handled`, `nobody_free` or `hung_up`."""


def config(api: str, agents: int, mode: str = "progressive", ring_s: int = 20) -> str:
    people = "\n".join(
        f"- {{id: a{n}, name: A{n}, brands: [shop], mode: outbound, phone: '{agent_phone(n)}'}}" for n in range(agents)
    )
    return f"""\
version: 1
name: Outreach
timezone: America/New_York
brands:
- {{id: shop, name: Shop, default_queue: out, languages: [en]}}
channels:
- id: phone
  name: Phone
  brand: shop
  provider: twilio_voice
  kind: voice
  settings: {{account_sid: {ACCOUNT}, number: '{OURS}', api_url: '{api}', language: en, detect_machines: true}}
  secrets: {{auth_token: 'env:NARU_SECRET_CARRIER'}}
queues:
- {{id: out, name: Outbound, wrap_up_s: 0, dispositions: [sold, do_not_call, later]}}
agents:
- {{id: owner, name: Owner, role: owner}}
{people}
campaigns:
- {{id: renewals, name: Renewals, channel: phone, queue: out, mode: {mode}, ring_s: {ring_s}, most_attempts: 1}}
"""


def agent_phone(n: int) -> str:
    return f"+1212736{9000 + n:04d}"


def phone_of(n: int) -> str:
    return f"+1{AREAS[n // 10_000]}555{n % 10_000:04d}"


def zone_now(hour: int = 13) -> str:
    """A zone of a fixed offset where it is this hour now."""
    hour_now = dt.datetime.now(dt.UTC).hour  # noqa: TID251 - the law goes by the real clock, as the center does
    offset = (hour - hour_now + 12) % 24 - 12
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def sheet(count: int, **columns: str) -> bytes:
    return sheet_of([phone_of(n) for n in range(count)], **columns)


def sheet_of(numbers: Sequence[str], **columns: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    fixed = {"timezone": zone_now(), "consent": "express", "consent source": "form 7", **columns}
    writer.writerow(["phone", "name", "product", *fixed])
    for n, number in enumerate(numbers):
        writer.writerow([number, f"Person {n}", f"plan {n % 7}", *fixed.values()])
    return out.getvalue().encode()


def deeds(count: int, kinds: Sequence[str] = tuple(DEEDS)) -> dict[str, str]:
    """What each person's telephone does, by number."""
    return {phone_of(n): kinds[n % len(kinds)] for n in range(count)}


@dataclass
class World:
    center: Center
    carrier: Carrier
    does: dict[str, str]
    desks: list[AgentDesk] = field(default_factory=list)
    listening: list[asyncio.Task[None]] = field(default_factory=list)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await asyncio.to_thread(self.center.request, method, path, **more)
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        return answer.json()

    async def arrive(self, agents: int) -> None:
        for n in range(agents):
            key = await asyncio.to_thread(self.center.agent_key, f"a{n}")
            desk = await AgentDesk.open(self.center, key)
            await desk.do("status", presence="available")
            self.desks.append(desk)
            self.listening.append(asyncio.create_task(_listens(desk)))

    async def imports(self, body: bytes, name: str = "people.csv", **query: Any) -> dict[str, Any]:
        """Send a list and wait for its end."""
        made = await self.ask(
            "POST", "/v1/campaigns/renewals/lists", files={"file": (name, body)}, params={"country": "US", **query}
        )
        path = f"/v1/campaigns/renewals/lists/{made['list']}"
        return await until(lambda: self.ask("GET", path), lambda found: found["state"] != "running", 120)

    async def start(self) -> None:
        await self.ask("POST", "/v1/campaigns/renewals/start")

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", "/v1/campaigns/renewals/status")
        return found

    async def finished(self, within_s: float) -> dict[str, Any]:
        """Wait until everybody is done with and every attempt has its end."""

        def is_over(found: dict[str, Any]) -> bool:
            states = Counter({row["state"]: row["people"] for row in found["people"]})
            open_ = {row["state"] for row in found["people"]} - {"done"}
            return bool(states) and not open_ and not found["attempts"].get("open")

        return await until(self.status, is_over, within_s)

    async def explain(self) -> None:
        """What a test that failed would be asked."""
        print(await self.status())
        for n in range(len(self.desks)):
            print(await self.ask("GET", f"/v1/agents/a{n}/why-idle?lang=en"))

    async def ledger(self) -> list[dict[str, Any]]:
        """Every row of it, page by page."""
        rows: list[dict[str, Any]] = []
        while True:
            since, after = (rows[-1]["reserved_at"], rows[-1]["id"]) if rows else (0, "")
            path = f"/v1/campaigns/renewals/attempts?limit=200&since={since!r}&after={after}"
            page = (await self.ask("GET", path))["items"]
            rows += page
            if not page:
                return rows

    # -- what the carrier saw

    def calls_to(self, number: str) -> list[Call]:
        return [call for call in self.carrier.calls.values() if call.to == number and call.direction != "inbound"]

    def was_treated(self, call: Call) -> bool:
        """Whether somebody who answered spoke with an agent, heard that nobody is free, or hung up himself before that
        had to be; a line that Naru no longer wanted is hung up on, too."""
        with_agent = call.conference is not None or any("conference" in event for event in call.events)
        return with_agent or any("nobody is free" in event for event in call.events)


async def _listens(desk: AgentDesk) -> None:
    """Agents are there: their desks answer when they are asked whether they are."""
    while True:
        with contextlib.suppress(TimeoutError):
            await desk.next("nothing that comes", timeout_s=3600)


@contextlib.asynccontextmanager
async def world(
    center: Center, port: int, does: dict[str, str], agents: int, speed: float = 20
) -> AsyncIterator[World]:
    """The carrier of a center that runs, with everybody's telephone. Agents pick up at once."""

    carrier = carrier_of(ACCOUNT, speed)
    for number, deed in does.items():
        if DEEDS[deed]:
            carrier.phone(number, **DEEDS[deed])
    for n in range(agents):
        carrier.phone(agent_phone(n), answer_after_s=0.1)
    made = World(center, carrier, does)
    async with _served(Rest(carrier.app), port):
        try:
            yield made
        except BaseException:
            await made.explain()
            raise
        finally:
            for task in made.listening:
                task.cancel()
            for desk in made.desks:
                await desk.close()
            await carrier.close()
