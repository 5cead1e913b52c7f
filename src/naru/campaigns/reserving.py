"""Leave to call: one person at a time is found, locked, checked against lists and law, and written into the ledger.

All of it is one transaction, so that nobody is called whom a list that was there before names, and removals wait for it or
it for them. The attempt's key is the row's: asked again, after a crash or because an answer was lost, it is answered from
the row. A person who may not be called now is put off to when he may, so each is looked at once for each window.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from channels.ports import Unavailable
from naru.campaigns import law, numbers
from naru.store import ledger
from naru.store import tables as db
from naru.store.database import Database, StoreUnavailable
from router import rules as classification
from router.config import Campaign, Channel, Lookup
from router.dialing import BEYOND, RINGING
from router.effects import ReserveAttempt
from router.inputs import EndReserve, Reserved
from router.model import Identity, Thread, derive_id

AT_ONCE = 25
LOOKS = 8
"""So many at a time, so many times, are looked at for one attempt before it is answered that nobody was found yet."""
LOOK_AGAIN_S = 1.0
IN_FLIGHT_S = 30.0
LONGEST_REST_S = 3600.0
HISTORY_S = 366 * 86_400.0
UNDIALLED = ("dropped", *ledger.FREE_AGAIN)
"""Outcomes of attempts by which nobody was rung."""
SCOPES = {"phone": "e164", "email": "email"}

Settings = Callable[[str], Lookup | None]
"""What is in force in a workspace."""


class Reserving:
    def __init__(self, database: Database, lookup: Settings, clock: Callable[[], float]) -> None:
        self._database = database
        self._lookup = lookup
        self._clock = clock

    async def reserve(self, workspace: str, wish: ReserveAttempt) -> EndReserve:
        """Raises Unavailable."""
        try:
            return await self._reserve(workspace, wish)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from error

    async def _reserve(self, workspace: str, wish: ReserveAttempt) -> EndReserve:
        known = self._lookup(workspace)
        campaign = known.campaigns.get(wish.campaign) if known is not None else None
        channel = known.channels.get(campaign.channel) if known is not None and campaign is not None else None
        if campaign is None or channel is None:
            return _nobody(wish, "unknown-campaign")
        async with self._database.write(workspace) as connection:
            work = _Work(connection, workspace, campaign, channel, wish, self._clock())
            return await work.again() or await work.find()


def _nobody(wish: ReserveAttempt, reason: str, again_at: float | None = None) -> EndReserve:
    return EndReserve(campaign=wish.campaign, key=wish.key, reason=reason, again_at=again_at)


class _Work:
    """One reservation inside its transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        workspace: str,
        campaign: Campaign,
        channel: Channel,
        wish: ReserveAttempt,
        now: float,
    ) -> None:
        self._connection = connection
        self._workspace = workspace
        self._campaign = campaign
        self._channel = channel
        self._wish = wish
        self._now = now
        self._registries: dict[str, float] | None = None

    async def again(self) -> EndReserve | None:
        """The answer that was given before, if there was one and it still holds."""
        c = db.prospects.c
        if self._wish.person is not None:
            return None
        held = await self._first(self._mine(db.prospects).where(c.held_by == self._wish.key))
        return None if held is None else self._reserved(held)

    async def find(self) -> EndReserve:
        if self._wish.person is not None:
            return await self._this_one(self._wish.person)
        if await self._is_at_goal():
            return _nobody(self._wish, "goal-reached")
        for _ in range(LOOKS):
            rows = await self._candidates()
            if not rows:
                return await self._none_now()
            for row in rows:
                verdict, facts = await self._verdict(row)
                if verdict.reason is None:
                    await self._take(row, facts)
                    return self._reserved(row)
                await self._put_off(row, verdict)
        return _nobody(self._wish, "looking", self._now + LOOK_AGAIN_S)

    async def _is_at_goal(self) -> bool:
        """Whether so many have been spoken to as the campaign was for."""
        if self._campaign.goal is None:
            return False
        c = db.attempts.c
        mine = (c.workspace == self._workspace) & (c.campaign == self._campaign.id) & (c.outcome == "handled")
        spoken = await self._connection.scalar(select(func.count()).select_from(db.attempts).where(mine))
        return (spoken or 0) >= self._campaign.goal

    async def _this_one(self, person: str) -> EndReserve:
        """The agent has looked, and dials."""
        c = db.prospects.c
        row = await self._first(
            self._mine(db.prospects).where(c.id == person, c.held_by == self._wish.key).with_for_update()
        )
        if row is None:
            return _nobody(self._wish, "not-held")
        known = await self._first(self._mine(db.attempts).where(db.attempts.c.id == self._wish.key))
        if known is not None:
            return self._reserved(row)
        verdict, facts = await self._verdict(row)
        if verdict.reason is not None:
            return _nobody(self._wish, verdict.reason, verdict.until)
        await self._write(row, facts)
        return self._reserved(row)

    def _mine(self, table: Any) -> Any:
        return select(table).where(table.c.workspace == self._workspace)

    async def _first(self, statement: Any) -> Any:
        return (await self._connection.execute(statement)).first()

    async def _candidates(self) -> list[Any]:
        """Whose turn it is, the longest due first. Rows that another has locked are passed over."""
        c = db.prospects.c
        due = self._mine(db.prospects).where(
            c.campaign == self._campaign.id, c.state == "ready", c.next_at <= self._now
        )
        return list(
            await self._connection.execute(
                due.order_by(c.next_at, c.row, c.id).limit(AT_ONCE).with_for_update(skip_locked=True)
            )
        )

    async def _none_now(self) -> EndReserve:
        """Nobody may be called now: when the first may, or when those who are being called may be again."""
        c = db.prospects.c
        mine = (c.workspace == self._workspace) & (c.campaign == self._campaign.id)
        soonest = await self._connection.scalar(select(func.min(c.next_at)).where(mine, c.state == "ready"))
        if soonest is not None:
            again = min(max(soonest, self._now + LOOK_AGAIN_S), self._now + LONGEST_REST_S)
            return _nobody(self._wish, "nobody-now", again)
        in_flight = await self._connection.scalar(select(c.id).where(mine, c.state == "held").limit(1))
        return _nobody(self._wish, "nobody-left", self._now + IN_FLIGHT_S if in_flight is not None else None)

    # -- one person

    async def _verdict(self, row: Any) -> tuple[law.Verdict, dict[str, Any]]:
        """Whether he may be called, and what was looked at."""
        campaign, now = self._campaign, self._now
        listed = await self._listed(row)
        if listed is not None:
            return law.Verdict(listed), {}
        if campaign.filter is not None and not classification.holds(campaign.filter, _fields(row, campaign)):
            return law.Verdict("filtered-out"), {}
        if row.attempts >= campaign.most_attempts:
            return law.Verdict("attempts-used-up"), {}
        rules = law.rules_for(row.country, row.region)
        attempts = await self._attempts(row)
        registry_at = (await self._imported()).get(row.country)
        zones = numbers.zones(row.country, row.region, row.zone)
        person = law.Person(
            country=row.country,
            region=row.region,
            zones=zones,
            consent=row.consent,
            night_consent=row.night_consent,
            attempts=attempts,
            lock_until=row.lock_until,
        )
        intent = law.Intent(
            kind=self._channel.kind,
            purpose=campaign.purpose,
            guaranteed=campaign.mode not in BEYOND,
            ceiling=campaign.ceiling,
            window_days=campaign.window_days,
            registry_at=registry_at,
        )
        verdict = law.may(rules, person, intent, now)
        if verdict.reason is not None or rules is None:
            return verdict, {}
        local = dt.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(zones[0]))
        facts = {
            "rules": rules.name,
            "zone": zones[0] if len(zones) == 1 else f"{zones[0]} and {len(zones) - 1} others",
            "local_time": local.isoformat(timespec="seconds"),
            "checks": {
                "workspace_list": "not listed",
                "brand_list": "not listed",
                "registry": registry_at,
                "attempts_before": len(attempts),
                "last_attempt": max(attempts, default=None),
            },
            "after": {
                "retry_s": campaign.retry_s,
                "most": campaign.most_attempts,
                "lock_s": rules.calls.lock_out_hours * 3600,
                "machine_lock_s": rules.calls.machine_lock_out_hours * 3600,
                "refusals": list(campaign.refusals),
            },
        }
        return law.ALLOWED, facts

    async def _listed(self, row: Any) -> str | None:
        c = db.suppressions.c
        scopes = ("workspace", f"brand:{self._channel.brand}", f"registry:{row.country}")
        found = await self._connection.execute(
            select(c.scope).where(c.workspace == self._workspace, c.value == row.value, c.scope.in_(scopes))
        )
        listed = {name for (name,) in found}
        if row.consent == "express":  # given to this company: stronger than a country's list, and than no other
            listed.discard(f"registry:{row.country}")
        return "listed" if listed else None

    async def _attempts(self, row: Any) -> tuple[float, ...]:
        """When this number was rung, by whatever campaign, and whether it is being rung."""
        c = db.attempts.c
        rows = await self._connection.execute(
            select(c.reserved_at)
            .where(c.workspace == self._workspace, c.value == row.value, c.reserved_at > self._now - HISTORY_S)
            .where(c.outcome.is_(None) | c.outcome.not_in(UNDIALLED))
        )
        return tuple(sorted(at for (at,) in rows))

    async def _imported(self) -> dict[str, float]:
        if self._registries is None:
            c = db.registries.c
            rows = await self._connection.execute(
                select(c.country, c.imported_at).where(c.workspace == self._workspace)
            )
            self._registries = {row.country: row.imported_at for row in rows}
        return self._registries

    # -- what is written

    async def _change(self, row: Any, **values: Any) -> None:
        c = db.prospects.c
        await self._connection.execute(
            update(db.prospects)
            .where(c.workspace == self._workspace, c.id == row.id)
            .values(changed_at=self._now, **values)
        )

    async def _put_off(self, row: Any, verdict: law.Verdict) -> None:
        if verdict.until is None:
            await self._change(row, state="done", outcome=verdict.reason)
        else:
            await self._change(row, next_at=verdict.until, outcome=verdict.reason)

    async def _take(self, row: Any, facts: dict[str, Any]) -> None:
        await self._change(row, state="held", held_by=self._wish.key)
        if not self._wish.look:
            await self._write(row, facts)

    async def _write(self, row: Any, facts: dict[str, Any]) -> None:
        wish, campaign = self._wish, self._campaign
        # Of a person whom the agent has looked at there is the contact already.
        known = {"contact": derive_id("contact", wish.key), "dialled_at": self._now} if wish.person else {}
        await self._connection.execute(
            insert(db.attempts).values(
                workspace=self._workspace,
                id=wish.key,
                campaign=campaign.id,
                prospect=row.id,
                kind=self._channel.kind,
                value=row.value,
                agent=wish.agent,
                reserved_at=self._now,
                purpose=campaign.purpose,
                consent=row.consent,
                consent_source=row.consent_source,
                mode=campaign.mode,
                ceiling=campaign.ceiling if campaign.mode in RINGING else 0.0,
                live=wish.live,
                abandoned=wish.abandoned,
                spare=min(wish.spare, 2**31 - 1),
                **facts,
                **known,
            )
        )

    def _reserved(self, row: Any) -> EndReserve:
        # A call and a mail are conversations of their own, named as a Message-ID can carry it (`letters`); any other message
        # goes on with the one that there is.
        kind = {"voice": "call", "email": "email"}.get(self._channel.kind, "dm")
        external = row.value if kind == "dm" else self._wish.key.replace("-", "")
        attributes = {key: str(value) for key, value in row.attributes.items()}
        return EndReserve(
            campaign=self._wish.campaign,
            key=self._wish.key,
            reserved=Reserved(
                person=row.id,
                identity=Identity(
                    scope=SCOPES.get(row.kind, self._channel.provider),
                    kind=row.kind,
                    value=row.value,
                    name=row.name,
                ),
                thread=Thread(external=external, kind=kind),  # type: ignore[arg-type]
                language=row.language,
                attributes={**attributes, "campaign": self._wish.campaign},
            ),
        )


def _fields(row: Any, campaign: Campaign) -> dict[str, str]:
    found = {"to": row.value, "language": row.language, "customer.name": row.name, "customer.country": row.country}
    found |= {f"customer.{name}": str(value) for name, value in row.attributes.items()}
    return {name: value for name, value in found.items() if value is not None} | {"channel": campaign.channel}
