"""Centers by chance, and what may become of them in mid-flight: more than `naru plan` would let pass, never less.

All names come from a small universe, so that a later configuration has some of the same queues and people, changed,
some new ones, and not some of the old.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from naru.sim.faults.dice import Dice
from router.calendar import WEEKDAYS, Calendar
from router.config import Agent, Brand, Campaign, Channel, Condition, Config, Outcome, Queue, Rule, Skill, Steer, Step
from router.dialing import Mode
from router.model import KINDS, Kind, Requirement

LANGUAGES = ("ko", "en", "ja")
SKILLS = ("billing", "claims", "sales", *(f"lang:{language}" for language in LANGUAGES))
BRANDS = ("shop", "club")
QUEUES = tuple(f"q{number}" for number in range(6))
AGENTS = tuple(f"a{number}" for number in range(12))
CAMPAIGNS = tuple(f"p{number}" for number in range(4))
MODES: tuple[Mode, ...] = ("preview", "progressive", "power", "power", "predictive", "direct")
CALENDARS = ("office", "late")
HOLIDAYS = {"KR": {"2026-03-01": "Independence Movement Day", "2026-03-30": "planted", "2026-10-26": "planted"}}
ZONES = ("Asia/Seoul", "Europe/Berlin", "America/New_York")
STARTS = (1_774_600_000.0, 1_772_300_000.0, 1_792_900_000.0, 1_777_000_000.0)
"""Days before the clocks change in Berlin and New York, the turn of a month, and a day without anything."""
GOES_ON = 0.8
"""How likely something is in the next configuration as it was in the last."""


@dataclass
class Draw:
    """`dials`: a house that mostly calls others, so that its campaigns have agents and lines ring."""

    dice: Dice
    old: Config | None
    dials: bool = False

    def config(self) -> Config:
        dice, old = self.dice, self.old
        calendars = tuple(self._calendar(id_) for id_ in CALENDARS)
        queues = self._several(QUEUES, 2, "queues", self._queue)
        agents = self._several(AGENTS, 3, "agents", self._agent)
        zone = old.timezone if old and dice.chance(0.9) else dice.pick(ZONES)
        brands = tuple(self._brand(id_, queues) for id_ in BRANDS)
        drawn = Config(
            timezone=zone,
            calendars=calendars,
            brands=brands,
            channels=self._channels(queues),
            queues=queues,
            skills=tuple(Skill(id=skill, name=skill) for skill in SKILLS),
            rules=tuple(self._rule(number, queues) for number in range(dice.count(0, 3))),
            agents=agents,
            campaigns=self._several(CAMPAIGNS, 2 * self.dials, "campaigns", lambda id_: self._campaign(id_, queues)),
        )
        return mended(drawn)

    def _several(self, ids: tuple[str, ...], least: int, kind: str, draw: Any) -> tuple[Any, ...]:
        """Some of these; what was there goes on to be there, mostly as it was."""
        dice = self.dice
        before = {item.id: item for item in getattr(self.old, kind)} if self.old else {}
        there = [id_ for id_ in ids if dice.chance(0.85 if id_ in before else 0.5 if not before else 0.15)]
        there += [id_ for id_ in ids if id_ not in there][: max(0, least - len(there))]
        return tuple(before[id_] if id_ in before and dice.chance(GOES_ON) else draw(id_) for id_ in sorted(there))

    def _queue(self, id_: str) -> Queue:
        dice = self.dice
        bounded = dice.chance(0.3)
        return Queue(
            id=id_,
            name=id_,
            requires=self._requires(0.15 if self.dials else 0.5),
            strategy=dice.pick(("longest_idle", "longest_idle", "best_skill", "least_loaded", "most_loaded")),
            tier=dice.pick((1, 5, 5, 5, 9)),
            target_s={kind: float(dice.pick((0, 10, 600))) for kind in dice.some(KINDS, 3)},
            language_wall=dice.chance(0.05 if self.dials else 0.2),
            steps=self._steps(),
            max_wait_s=float(dice.pick((15, 60, 600))) if dice.chance(0.4) else None,
            max_length=dice.count(1, 4) if bounded else None,
            overflow_queue=dice.pick(QUEUES) if bounded and dice.chance(0.6) else None,
            reserve=dice.count(1, 2) if dice.chance(0.3) else 0,
            steer=Steer(service_level=0.9, within_s=float(dice.pick((0, 5, 20)))) if dice.chance(0.15) else None,
            hours=dice.pick(CALENDARS) if dice.chance(0.3) else None,
            when_closed=dice.pick(("wait", "wait", "wait", "callback", "voicemail", "message", "close")),
            idle_after_s=float(dice.pick((10, 60))) if dice.chance(0.3) else None,
            offer_timeout_s=float(dice.pick((5, 15, 20))),
            wrap_up_s=float(dice.pick((0, 0, 5, 30))),
            first_reply_s=float(dice.pick((8, 40))) if dice.chance(0.3) else None,
            auto_accept=dice.chance(0.2),
            prefer_for_s=float(dice.pick((0, 15, 60))),
            leg=dice.pick(("ring", "ring", "on_accept")),
            call_first=dice.pick(("agent", "customer")),
            dispositions=("sold", "not-sold") if dice.chance(0.2) else (),
        )

    def _requires(self, share: float) -> tuple[Requirement, ...]:
        dice = self.dice
        if not dice.chance(share):
            return ()
        return tuple(Requirement(skill=skill, level=dice.count(1, 4)) for skill in dice.some(SKILLS, 2))

    def _steps(self) -> tuple[Step, ...]:
        dice = self.dice
        steps: list[Step] = []
        after_s = float(dice.pick((0, 5, 10)))
        for _ in range(dice.pick((0, 0, 1, 2, 3))):
            steps.append(
                Step(
                    after_s=after_s,
                    requires=self._requires(0.6) if dice.chance(0.6) else None,
                    tier=dice.count(1, 9) if dice.chance(0.3) else None,
                    add_queues=tuple(dice.some(QUEUES, 3)) if dice.chance(0.4) else (),
                    skip_if_nobody=dice.chance(0.4),
                    end=dice.pick(("close", "voicemail", "message", "callback")) if dice.chance(0.15) else None,
                )
            )
            after_s += float(dice.pick((5, 20, 300)))
            if steps[-1].end is not None:
                break
        return tuple(steps)

    def _agent(self, id_: str) -> Agent:
        dice = self.dice
        return Agent(
            id=id_,
            name=id_,
            brands=BRANDS if dice.chance(0.7) else (dice.pick(BRANDS),),
            skills={skill: dice.count(1, 5) for skill in dice.some(SKILLS, 5)},
            mode=dice.pick(("blended", "blended", "outbound", "inbound", *(() if self.dials else ("inbound",)))),
            units=dice.pick((100, 100, 100, 60, 150, 240)),
            maximum={kind: dice.count(self.dials, 4) for kind in dice.some(KINDS, 3)},
            at_once=dice.count(1, 4) if dice.chance(0.25) else None,
            serves_first=tuple(dice.some(QUEUES, 3)) if dice.chance(0.3) else (),
            phone=f"+82{id_}" if self.dials or dice.chance(0.8) else None,
        )

    def _calendar(self, id_: str) -> Calendar:
        dice = self.dice
        spans = dice.pick((("00:00-24:00",), ("09:00-18:00",), ("22:00-06:00",), ("02:30-03:30", "08:00-12:00")))
        return Calendar(
            id=id_,
            name=id_,
            timezone=dice.pick((None, *ZONES)),
            week={day: spans for day in WEEKDAYS if dice.chance(0.8)} or {"mon": spans},
            holidays=("KR",) if dice.chance(0.5) else (),
            days={"2026-03-29": (), "2026-03-08": ("01:00-04:00",)} if dice.chance(0.5) else {},
        )

    def _brand(self, id_: str, queues: tuple[Queue, ...]) -> Brand:
        dice = self.dice
        hours = dice.pick(CALENDARS) if dice.chance(0.2) else None
        return Brand(id=id_, name=id_, default_queue=dice.pick(queues).id, hours=hours, languages=LANGUAGES)

    def _channels(self, queues: tuple[Queue, ...]) -> tuple[Channel, ...]:
        dice = self.dice
        kinds: tuple[tuple[Kind, str], ...] = (
            *((kind, BRANDS[0]) for kind in KINDS),
            ("voice", BRANDS[1]),
            ("chat", BRANDS[1]),
            ("email", BRANDS[1]),
        )
        return tuple(
            Channel(
                id=f"{kind}-{brand}",
                name=kind,
                brand=brand,
                provider="x",
                kind=kind,
                queue=dice.pick(queues).id if dice.chance(0.7) else None,
                enabled=not dice.chance(0.03),
            )
            for kind, brand in kinds
        )

    def _campaign(self, id_: str, queues: tuple[Queue, ...]) -> Campaign:
        dice = self.dice
        mode = dice.pick((*MODES, "power", "power", "power") if self.dials else MODES)
        kind = "voice" if mode != "direct" else dice.pick(("email", "sms", "task", "social"))
        return Campaign(
            id=id_,
            name=id_,
            channel=f"{kind}-{BRANDS[0]}",
            queue=dice.pick(queues).id,
            mode=mode,
            ratio=float(dice.pick((1, 1.5, 3, 3))),
            ceiling=dice.pick((0.03, 0.3, 0.5, 0.8, 0.8)),
            window_days=dice.pick((1, 30)),
            connect_within_s=dice.pick((0.5, 2.0, 2.0)),
            ring_s=float(dice.pick((10, 30))),
            least_ring_s=15.0,
            most_lines=dice.pick((1, 4, 4, 500)),
            priority=dice.pick((1, 5, 5)),
        )

    def _rule(self, number: int, queues: tuple[Queue, ...]) -> Rule:
        dice = self.dice
        field, value = dice.pick((("language", "ko"), ("text", "refund"), ("attributes.vip", "yes"), ("kind", "email")))
        return Rule(
            id=f"r{number}",
            when=Condition(field=field, op="eq" if field != "text" else "contains", value=value),
            then=Outcome(
                queue=dice.pick(queues).id if dice.chance(0.4) else None,
                tier=dice.count(1, 9) if dice.chance(0.3) else None,
                head_start_s=float(dice.pick((0, 30, 600))),
                requires=self._requires(0.3),
                attributes={"rule": f"r{number}"},
            ),
        )


def mended(drawn: Config) -> Config:
    """Without most of what `naru plan` would refuse: queues that are not there, and needs that nobody meets."""
    queues = {queue.id for queue in drawn.queues}

    def met(requires: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
        return tuple(r for r in requires if any((agent.level(r.skill) or 0) >= r.level for agent in drawn.agents))

    def step(old: Step) -> Step:
        requires = None if old.requires is None else met(old.requires)
        added = tuple(queue for queue in old.add_queues if queue in queues)
        return msgspec.structs.replace(old, requires=requires, add_queues=added)

    def queue(old: Queue) -> Queue:
        over = old.overflow_queue if old.overflow_queue in queues and old.overflow_queue != old.id else None
        steps = tuple(step(one) for one in old.steps)
        return msgspec.structs.replace(old, requires=met(old.requires), steps=steps, overflow_queue=over)

    def rule(old: Rule) -> Rule:
        return msgspec.structs.replace(old, then=msgspec.structs.replace(old.then, requires=met(old.then.requires)))

    def agent(old: Agent) -> Agent:
        return msgspec.structs.replace(old, serves_first=tuple(q for q in old.serves_first if q in queues))

    walled = {queue.id for queue in drawn.queues if queue.language_wall}
    campaigns = tuple(c for c in drawn.campaigns if c.queue in queues - walled)
    return msgspec.structs.replace(
        drawn,
        campaigns=campaigns if any(agent.mode != "inbound" for agent in drawn.agents) else (),
        queues=tuple(map(queue, drawn.queues)),
        rules=tuple(map(rule, drawn.rules)),
        agents=tuple(map(agent, drawn.agents)),
    )


def draw(dice: Dice, old: Config | None = None, dials: bool = False) -> Config:
    return Draw(dice, old, dials).config()


def generous(old: Config) -> Config:
    """The same house on its last day: everybody can do everything, nothing ends or refuses a contact by itself, and
    nobody is called any more."""
    queues = [Queue(id=queue.id, name=queue.name, wrap_up_s=queue.wrap_up_s) for queue in old.queues]
    agents = [
        Agent(
            id=agent.id,
            name=agent.name,
            brands=BRANDS,
            skills=dict.fromkeys(SKILLS, 5),
            mode="blended",
            units=1000,
            maximum=dict.fromkeys(KINDS, 50),
            phone="+82",
        )
        for agent in old.agents
    ]
    channels = [msgspec.structs.replace(channel, enabled=True) for channel in old.channels]
    last = {"queues": tuple(queues), "agents": tuple(agents), "channels": tuple(channels)}
    return msgspec.structs.replace(old, **last, rules=(), campaigns=())
