"""A workspace's configuration as `decide` sees it: one value, versioned, in force from its event on.

The same structures are the YAML document (`naru plan / apply / export`) and the REST bodies, so there is one
definition of every field. Secrets are references (`env:NAME`, `secret:NAME`), never values.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router import calendar, sign_in
from router.calendar import Calendar
from router.dialing import CEILING, RINGING, Mode
from router.model import Kind, Name, Requirement, Side, Slug, Value
from router.sign_in import SignIn

Seconds = Annotated[float, Meta(ge=0, le=366 * 86400)]
Level = Annotated[int, Meta(ge=1, le=5)]
MAX_WRAP_UP_S = 3600.0
Strategy = Literal["longest_idle", "best_skill", "least_loaded", "most_loaded"]

COST_UNITS: dict[Kind, int] = {"voice": 100, "chat": 33, "sms": 20, "email": 20, "social": 20, "task": 50}
TARGET_S: dict[Kind, float] = {"voice": 20, "chat": 180, "sms": 300, "email": 4 * 3600, "social": 600, "task": 3600}
"""Service level targets that a queue takes over when it names none (routing.md, Order of the waiting)."""
CLOSE_AFTER_S: dict[Kind, float] = {
    "voice": 4 * 3600,
    "chat": 1800,
    "sms": 86400,
    "email": 7 * 86400,
    "social": 86400,
    "task": 7 * 86400,
}
REOPEN_WITHIN_S: dict[Kind, float] = {
    "voice": 0,
    "chat": 0,
    "sms": 86400,
    "email": 7 * 86400,
    "social": 86400,
    "task": 0,
}


End = Literal["callback", "voicemail", "message", "close"]
"""What becomes of a caller: called back (from the next opening on), asked to leave a message, told why, or hung up on."""


class Step(Value, frozen=True, kw_only=True):
    """One change of a wait, seconds after enqueueing: what then holds. `requires` None keeps what held before.

    `add_queues` lets those who serve these queues take the contact too. `skip_if_nobody` passes on to the next step at
    once while nobody who is signed in meets what this step requires.
    """

    after_s: Seconds
    requires: tuple[Requirement, ...] | None = None
    tier: Annotated[int, Meta(ge=1, le=9)] | None = None
    add_queues: Annotated[tuple[Slug, ...], Meta(max_length=3)] = ()
    skip_if_nobody: bool = False
    end: End | None = None


class Steer(Value, frozen=True, kw_only=True):
    """A reserve that follows what it is for: so many of the queue's contacts answered within so many seconds."""

    service_level: Annotated[float, Meta(gt=0, lt=1)] = 0.8
    within_s: Seconds = 20


class Queue(Value, frozen=True, kw_only=True):
    """`reserve` idle agents are kept from outbound work, or, with `steer`, at least so many. What is over `max_length` goes
    to `overflow_queue`, or ends.

    `hours` names a calendar (else the brand's holds): steps, `max_wait_s`, `first_reply_s` and the target count while
    it is open, and `when_closed` says what becomes of contacts that come while it is not. `call_first` says whose
    phone a callback rings first: the agent's, or the customer's, for whom an agent is kept (with `leg: ring`).
    """

    id: Slug
    name: Name
    requires: tuple[Requirement, ...] = ()
    strategy: Strategy = "longest_idle"
    tier: Annotated[int, Meta(ge=1, le=9)] = 5
    target_s: dict[Kind, Seconds] = {}
    service_level: Annotated[float, Meta(gt=0, le=1)] = 0.8
    language_wall: bool = False
    steps: Annotated[tuple[Step, ...], Meta(max_length=20)] = ()
    max_wait_s: Seconds | None = None
    max_length: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    overflow_queue: Slug | None = None
    reserve: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    steer: Steer | None = None
    hours: Slug | None = None
    when_closed: Literal["wait", "callback", "voicemail", "message", "close"] = "wait"
    idle_after_s: Annotated[float, Meta(ge=1, le=366 * 86400)] | None = None
    offer_timeout_s: Annotated[float, Meta(ge=1, le=600)] = 20
    wrap_up_s: Annotated[float, Meta(ge=0, le=MAX_WRAP_UP_S)] = 30
    first_reply_s: Annotated[float, Meta(ge=1, le=366 * 86400)] | None = None
    auto_accept: bool = False
    prefer_for_s: Seconds = 60
    leg: Literal["ring", "on_accept"] = "ring"
    call_first: Side = "agent"
    dispositions: Annotated[tuple[Slug, ...], Meta(max_length=200)] = ()

    @property
    def has_reserve(self) -> bool:
        return self.reserve > 0 or self.steer is not None

    def target(self, kind: Kind) -> float:
        """Seconds within which a contact of this kind should be answered."""
        return self.target_s.get(kind, TARGET_S[kind])


class Brand(Value, frozen=True, kw_only=True):
    id: Slug
    name: Name
    default_queue: Slug
    hours: Slug | None = None
    languages: Annotated[tuple[str, ...], Meta(min_length=1, max_length=20)] = ("ko", "en")


class Channel(Value, frozen=True, kw_only=True):
    """A connected account of one provider. `settings` belong to the provider, which checks them."""

    id: Slug
    name: Name
    brand: Slug
    provider: Slug
    kind: Kind
    queue: Slug | None = None
    enabled: bool = True
    settings: dict[str, Any] = {}
    secrets: dict[str, Annotated[str, Meta(pattern=r"^(env|secret|file):[A-Za-z0-9_./-]{1,200}$")]] = {}


class Agent(Value, frozen=True, kw_only=True):
    """A person's routing profile. `skills` hold languages too, as `lang:ko`.

    `units` and `maximum` per kind bound what is held at once, `at_once` bounds the number of contacts of whatever kind.
    `serves_first` are queues whose contacts this agent takes, once free, before older ones of the same tier.

    `softphone` names the password of `phone` where that is an endpoint which the agent's own desk registers. It is the
    one secret that a page is told, so its reference can name no other: a sealed one of the workspace, of its own prefix.
    """

    id: Slug
    name: Name
    email: str | None = None
    role: Literal["owner", "admin", "supervisor", "agent"] = "agent"
    brands: Annotated[tuple[Slug, ...], Meta(max_length=1000)] = ()
    skills: dict[Slug, Level] = {}
    mode: Literal["inbound", "outbound", "blended"] = "inbound"
    units: Annotated[int, Meta(ge=1, le=10_000)] = 100
    maximum: dict[Kind, Annotated[int, Meta(ge=0, le=100)]] = {}
    at_once: Annotated[int, Meta(ge=1, le=100)] | None = None
    serves_first: Annotated[tuple[Slug, ...], Meta(max_length=4)] = ()
    phone: str | None = None
    softphone: Annotated[str, Meta(pattern=r"^secret:softphone-[A-Za-z0-9_-]{1,80}$")] | None = None

    def level(self, skill: str) -> int | None:
        """The level of a skill or of one of Naru's walls (`brand:`, `mode:`); None where it is absent."""
        if skill.startswith("brand:"):
            return 1 if skill[6:] in self.brands else None
        if skill.startswith("mode:"):
            return 1 if self.mode in (skill[5:], "blended") else None
        return self.skills.get(skill)


class Skill(Value, frozen=True, kw_only=True):
    id: Slug
    name: Name


class Condition(Value, frozen=True, kw_only=True):
    """A rule's test: `all`, `any` or `not` of others, or one comparison `{field, op, value}`. Data, never code."""

    all: tuple["Condition", ...] | None = None
    any: tuple["Condition", ...] | None = None
    not_: "Condition | None" = msgspec.field(default=None, name="not")
    field: str | None = None
    op: Literal["eq", "ne", "in", "contains", "starts", "exists", "gt", "lt"] | None = None
    value: str | float | bool | tuple[str, ...] | None = None


class Outcome(Value, frozen=True, kw_only=True):
    """What a matching rule sets on the contact."""

    queue: Slug | None = None
    tier: Annotated[int, Meta(ge=1, le=9)] | None = None
    head_start_s: Seconds = 0
    requires: Annotated[tuple[Requirement, ...], Meta(max_length=8)] = ()
    attributes: dict[str, str] = {}


class Rule(Value, frozen=True, kw_only=True):
    id: Slug
    when: Condition
    then: Outcome
    brand: Slug | None = None


class Campaign(Value, frozen=True, kw_only=True):
    """Calls or messages that we begin, to the people of a list, in the order in which they may be called.

    Its work is `queue`'s: what that requires of an agent, its wrap-up and dispositions. `ratio` is for `power`; `ceiling`
    is the share of live answers in `window_days` that may be abandoned, one of them being whoever has not reached an
    agent within `connect_within_s`. A line rings `ring_s` at most, and in `predictive`, when it has come to be one too
    many, may be cut after `least_ring_s`. Among running campaigns those of the lower `priority` have the agents first.
    `retry_s` says by outcome after how long a person is tried again, at most `most_attempts` times in all; what is not
    in it is final. A disposition among `refusals` puts the number on the workspace's list. `purpose` says which of a
    country's rules hold. After `goal` talks nobody else is called.
    """

    id: Slug
    name: Name
    channel: Slug
    queue: Slug
    mode: Mode = "preview"
    ratio: Annotated[float, Meta(ge=1, le=10)] = 1.0
    ceiling: Annotated[float, Meta(gt=0, le=1)] = CEILING
    window_days: Annotated[int, Meta(ge=1, le=366)] = 30
    connect_within_s: Annotated[float, Meta(ge=0, le=2)] = 2.0
    ring_s: Annotated[float, Meta(ge=1, le=600)] = 30.0
    least_ring_s: Annotated[float, Meta(ge=15, le=600)] = 15.0
    most_lines: Annotated[int, Meta(ge=1, le=1_000_000)] = 500
    priority: Annotated[int, Meta(ge=1, le=9)] = 5
    purpose: Literal["sales", "service"] = "sales"
    caller_id: str | None = None
    script: Annotated[str, Meta(max_length=20_000)] = ""
    filter: Condition | None = None
    retry_s: dict[str, Seconds] = msgspec.field(
        default_factory=lambda: {"busy": 900.0, "no_answer": 4 * 3600.0, "machine": 4 * 3600.0, "hung_up": 86_400.0}
    )
    most_attempts: Annotated[int, Meta(ge=1, le=100)] = 6
    refusals: Annotated[tuple[Slug, ...], Meta(max_length=50)] = ("do_not_call",)
    goal: Annotated[int, Meta(ge=1)] | None = None


class Webhook(Value, frozen=True, kw_only=True):
    """Where events go (docs/events.md). `types` are types or their beginnings (`naru.offer`), none: all.

    `secret` names what deliveries are signed with; while it is rotated it holds two, with a space between.
    """

    id: Slug
    url: Annotated[str, Meta(max_length=2000, pattern=r"^https?://[A-Za-z0-9._~:\[\]-]{1,255}(/[!-~]*)?$")]
    secret: Annotated[str, Meta(pattern=r"^(env|secret|file):[A-Za-z0-9_./-]{1,200}$")]
    types: Annotated[tuple[Annotated[str, Meta(pattern=r"^naru(\.[a-z_]{1,40}){1,3}$")], ...], Meta(max_length=50)] = ()
    enabled: bool = True


class Config(Value, frozen=True, kw_only=True):
    """One workspace. Lists are kept sorted by id in canonical form, except `rules`, whose order is their meaning."""

    version: Literal[1] = 1
    name: Name = "Naru"
    timezone: str = "Asia/Seoul"
    calendars: Annotated[tuple[Calendar, ...], Meta(max_length=1000)] = ()
    brands: tuple[Brand, ...] = ()
    channels: tuple[Channel, ...] = ()
    queues: tuple[Queue, ...] = ()
    skills: tuple[Skill, ...] = ()
    rules: Annotated[tuple[Rule, ...], Meta(max_length=1000)] = ()
    agents: tuple[Agent, ...] = ()
    campaigns: Annotated[tuple[Campaign, ...], Meta(max_length=1000)] = ()
    sign_in: SignIn | None = None
    webhooks: Annotated[tuple[Webhook, ...], Meta(max_length=20)] = ()


class Queues(dict[str, Queue]):
    """By id. For a queue that was deleted under its contacts there is an empty one of that name."""

    def __missing__(self, id_: str) -> Queue:
        return Queue(id=id_, name=id_)


def kinds_of(channel: Channel) -> tuple[Kind, ...]:
    """The kinds of contacts that a channel has: a phone's recordings are tasks."""
    return ("voice", "task") if channel.kind == "voice" else (channel.kind,)


class Lookup:
    """The same configuration by id, built once per version."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.calendars = {calendar.id: calendar for calendar in config.calendars}
        self.brands = {brand.id: brand for brand in config.brands}
        self.channels = {channel.id: channel for channel in config.channels}
        self.queues = Queues((queue.id, queue) for queue in config.queues)
        self.skills = {skill.id: skill for skill in config.skills}
        self.agents = {agent.id: agent for agent in config.agents}
        by_priority = sorted(config.campaigns, key=lambda campaign: (campaign.priority, campaign.id))
        self.campaigns = {campaign.id: campaign for campaign in by_priority}

    def calendar_of(self, queue: str, brand: str) -> str | None:
        """The calendar that holds for a queue's work of a brand: the queue's own, else the brand's; None: always open."""
        owner = self.brands.get(brand)
        return self.queues[queue].hours or (owner.hours if owner else None)


def canonical(config: Config) -> Config:
    """The form that `export` prints and `apply` compares: every list but `rules` in order of id."""

    def by_id(items: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(sorted(items, key=lambda item: item.id))

    return msgspec.structs.replace(
        config,
        calendars=by_id(config.calendars),
        brands=by_id(config.brands),
        channels=by_id(config.channels),
        queues=by_id(config.queues),
        skills=by_id(config.skills),
        campaigns=by_id(config.campaigns),
        agents=by_id(msgspec.structs.replace(agent, brands=tuple(sorted(agent.brands))) for agent in config.agents),
        webhooks=by_id(config.webhooks),
    )


def faults(config: Config) -> list[str]:
    """Everything wrong with a configuration that its types do not already refuse, in words its owner can act on."""
    found = _doubles(config)
    known = Lookup(config)
    if not calendar.is_zone(config.timezone):
        found.append(f"timezone: there is no time zone '{config.timezone[:60]}'")
    for hours in config.calendars:
        found += calendar.faults(hours)
    for brand in config.brands:
        found += _brand_faults(brand, known)
    for channel in config.channels:
        if channel.brand not in known.brands:
            found.append(f"channel '{channel.id}': brand '{channel.brand}' does not exist")
        if channel.queue is not None and channel.queue not in known.queues:
            found.append(f"channel '{channel.id}': queue '{channel.queue}' does not exist")
    for agent in config.agents:
        found += _agent_faults(agent, config, known)
    for queue in config.queues:
        found += _queue_faults(queue, known)
    for rule in config.rules:
        found += _rule_faults(rule, known)
    for campaign in config.campaigns:
        found += _campaign_faults(campaign, known)
    if config.sign_in is not None:
        found += sign_in.faults(config.sign_in)
    return found


def _agent_faults(agent: Agent, config: Config, known: Lookup) -> list[str]:
    where = f"agent '{agent.id}'"
    found = [f"{where}: queue '{q}' does not exist" for q in agent.serves_first if q not in known.queues]
    found += [f"{where}: brand '{b}' does not exist" for b in agent.brands if b not in known.brands]
    found += [f"{where}: skill '{s}' does not exist" for s in agent.skills if s not in known.skills]
    return found + _capacity_faults(agent) + _softphone_faults(agent, config)


def _doubles(config: Config) -> list[str]:
    found = []
    for kind in ("calendars", "brands", "channels", "queues", "skills", "rules", "agents", "webhooks", "campaigns"):
        ids = [item.id for item in getattr(config, kind)]
        found += [f"{kind}: '{twice}' is there twice" for twice in sorted({i for i in ids if ids.count(i) > 1})]
    return found


def _brand_faults(brand: Brand, known: Lookup) -> list[str]:
    found = []
    if brand.default_queue not in known.queues:
        found.append(f"brand '{brand.id}': default queue '{brand.default_queue}' does not exist")
    if brand.hours is not None and brand.hours not in known.calendars:
        found.append(f"brand '{brand.id}': calendar '{brand.hours}' does not exist")
    return found


def _queue_faults(queue: Queue, known: Lookup) -> list[str]:
    found = _requirement_faults(f"queue '{queue.id}'", queue.requires, known)
    if queue.hours is not None and queue.hours not in known.calendars:
        found.append(f"queue '{queue.id}': calendar '{queue.hours}' does not exist")
    if queue.overflow_queue is not None and queue.overflow_queue not in known.queues:
        found.append(f"queue '{queue.id}': overflow queue '{queue.overflow_queue}' does not exist")
    if queue.overflow_queue == queue.id:
        found.append(f"queue '{queue.id}': it cannot overflow into itself")
    for number, step in enumerate(queue.steps, 1):
        where = f"queue '{queue.id}' step {number}"
        found += _requirement_faults(where, step.requires or (), known)
        found += [f"{where}: queue '{other}' does not exist" for other in step.add_queues if other not in known.queues]
        if number > 1 and step.after_s <= queue.steps[number - 2].after_s:
            found.append(f"{where}: cannot be reached, it does not come after the step before it")
        if number > 1 and queue.steps[number - 2].end is not None:
            found.append(f"{where}: cannot be reached, the step before it ends the wait")
        if step.skip_if_nobody and step.end is not None:
            found.append(f"{where}: it ends the wait, so there is nothing to skip to")
    if not found:
        found += _dead_end_faults(queue, known)
    return found


def _capacity_faults(agent: Agent) -> list[str]:
    """A maximum that the agent's units could never hold promises what cannot be kept."""
    return [
        f"agent '{agent.id}': {most} of {kind} at once take {most * COST_UNITS[kind]} units, there are {agent.units}"
        for kind, most in agent.maximum.items()
        if most * COST_UNITS[kind] > agent.units
    ]


def _softphone_faults(agent: Agent, config: Config) -> list[str]:
    """A desk can register an endpoint of the exchange, and nobody's but its own agent's."""
    if agent.softphone is None:
        return []
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", agent.phone or ""):
        return [f"agent '{agent.id}': with a softphone, phone is the name of an endpoint at the exchange (as '1001')"]
    return [
        f"agent '{agent.id}': '{other.id}' has the same {'phone' if other.phone == agent.phone else 'softphone'}"
        for other in config.agents
        if other.id != agent.id and (other.phone == agent.phone or other.softphone == agent.softphone)
    ]


def _dead_end_faults(queue: Queue, known: Lookup) -> list[str]:
    """Each requirement may have its agents and the whole none: whoever waits behind the last step waits for ever."""
    held, added = queue.requires, list[Slug]()
    for step in queue.steps:
        if step.end is not None:
            return []
        held = held if step.requires is None else step.requires
        added += step.add_queues
    ways = [held, *(known.queues[other].requires for other in added if other in known.queues)]
    if not held or any(_is_met(requires, known) for requires in ways):
        return []
    wanted = " and ".join(f"'{need.skill}' at level {need.level}" for need in held)
    when = "after its last step" if queue.steps else "as it stands"
    return [f"queue '{queue.id}': {when} nobody has {wanted} together, so it would wait for ever"]


def _is_met(requires: Iterable[Requirement], known: Lookup) -> bool:
    return any(all((a.level(need.skill) or 0) >= need.level for need in requires) for a in known.agents.values())


def _requirement_faults(where: str, requires: Iterable[Requirement], known: Lookup) -> list[str]:
    found = []
    for need in requires:
        if need.skill not in known.skills:
            found.append(f"{where}: skill '{need.skill}' does not exist")
        elif not any((agent.level(need.skill) or 0) >= need.level for agent in known.agents.values()):
            found.append(f"{where}: nobody has '{need.skill}' at level {need.level} or more, so it would wait for ever")
    return found


def _campaign_faults(campaign: Campaign, known: Lookup) -> list[str]:
    where = f"campaign '{campaign.id}'"
    found = [f"{where}: {fault}" for fault in condition_faults(campaign.filter)] if campaign.filter else []
    channel = known.channels.get(campaign.channel)
    if channel is None:
        found.append(f"{where}: channel '{campaign.channel}' does not exist")
    elif channel.kind == "chat":
        found.append(f"{where}: nobody can be reached by '{channel.id}' who has not come to it")
    elif campaign.mode in RINGING and channel.kind != "voice":
        found.append(f"{where}: '{campaign.mode}' rings, and channel '{channel.id}' is no phone")
    elif campaign.mode == "direct" and channel.kind == "voice" and channel.provider != "simulation":
        found.append(f"{where}: 'direct' rings nobody, and channel '{channel.id}' is a phone")
    if campaign.queue not in known.queues:
        found.append(f"{where}: queue '{campaign.queue}' does not exist")
    elif known.queues[campaign.queue].language_wall:
        found.append(f"{where}: queue '{campaign.queue}' has a language wall, and nobody knows yet what will be spoken")
    elif not any(agent.mode != "inbound" for agent in known.agents.values()):
        found.append(f"{where}: no agent is outbound or blended")
    return found


def _rule_faults(rule: Rule, known: Lookup) -> list[str]:
    found = [f"rule '{rule.id}': {fault}" for fault in condition_faults(rule.when)]
    if rule.brand is not None and rule.brand not in known.brands:
        found.append(f"rule '{rule.id}': brand '{rule.brand}' does not exist")
    if rule.then.queue is not None and rule.then.queue not in known.queues:
        found.append(f"rule '{rule.id}': queue '{rule.then.queue}' does not exist")
    return found + _requirement_faults(f"rule '{rule.id}'", rule.then.requires, known)


FIELDS: dict[str, type] = {
    "channel": str,
    "brand": str,
    "kind": str,
    "to": str,
    "from": str,
    "language": str,
    "subject": str,
    "text": str,
    "local_time": str,
    "weekday": str,
}
"""The typed list of fields a rule may read; `customer.*` and `attributes.*` are text besides."""

MAX_CONDITION_DEPTH = 8


def condition_faults(condition: Condition, depth: int = 1) -> list[str]:
    if depth > MAX_CONDITION_DEPTH:
        return [f"conditions are nested deeper than {MAX_CONDITION_DEPTH}"]
    forms = [
        condition.all is not None,
        condition.any is not None,
        condition.not_ is not None,
        condition.field is not None,
    ]
    if sum(forms) != 1:
        return ["a condition is exactly one of all, any, not, or a field with an op"]
    if condition.field is not None:
        return _comparison_faults(condition)
    inner = condition.all or condition.any or ((condition.not_,) if condition.not_ else ())
    return [fault for part in inner for fault in condition_faults(part, depth + 1)]


def _comparison_faults(condition: Condition) -> list[str]:
    field = condition.field or ""
    if field not in FIELDS and not field.startswith(("customer.", "attributes.")):
        return [f"there is no field '{field}'; known: {', '.join(FIELDS)}, customer.*, attributes.*"]
    if condition.op is None:
        return [f"field '{field}' has no op"]
    if condition.op == "in" and not isinstance(condition.value, tuple):
        return [f"field '{field}': 'in' takes a list"]
    if condition.op not in ("in", "exists") and not isinstance(condition.value, str):
        return [f"field '{field}': '{condition.op}' takes text"]
    return []
