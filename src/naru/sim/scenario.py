"""The scenario of a simulation, format version 1: what may stand in it, and everything that is wrong with one.

A scenario is read whole or refused whole, and then every fault is named with its place, so that its author mends it
once. Durations are written as text (`500ms`, `20s`, `2m`, `48h`, `1d`) and held in seconds.
"""

import re
from typing import Annotated, Any, Literal, get_args

import msgspec
import yaml
from msgspec import Meta

from router.config import MAX_WRAP_UP_S, Level, Strategy
from router.dialing import CEILING, Mode
from router.model import Kind, Side, Value

MAX_DOCUMENT_BYTES = 1_000_000
MAX_AGENTS = 1_000_000
MAX_DURATION_S = 366 * 86400.0
"""The router ends every wrap-up after an hour; what a distribution draws beyond is cut there."""

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")

Name = Annotated[str, Meta(min_length=1, max_length=100)]
SkillName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^(?!brand:|mode:)")]
Rate = Annotated[float, Meta(ge=0, le=1e8)]


class Seconds(float):
    """A duration that was written as text."""


def seconds(written: Any) -> Seconds:
    """Raises ValueError for what is no duration, or a longer one than a year."""
    found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f"{written!r} is not a duration like 20s")
    value = float(found[1]) * UNITS_S[found[2]]
    if value > MAX_DURATION_S:
        raise ValueError(f"{written!r} is longer than 366d")
    return Seconds(value)


class Lognormal(Value, frozen=True, kw_only=True):
    """By its mean and its coefficient of variation (standard deviation / mean)."""

    mean: Seconds
    cv: Annotated[float, Meta(ge=0, le=100)]


class Distribution(Value, frozen=True, kw_only=True):
    """Exactly one of these. `exponential` gives the mean."""

    exponential: Seconds | None = None
    constant: Seconds | None = None
    lognormal: Lognormal | None = None


class Span(Value, frozen=True, kw_only=True):
    """A rate that holds until this time of the schedule."""

    until: Seconds
    per_hour: Rate


class Arrivals(Value, frozen=True, kw_only=True):
    """Poisson, at one rate or at a schedule's, which repeats after its last `until`. Exactly one of both."""

    per_hour: Rate | None = None
    schedule: Annotated[tuple[Span, ...], Meta(min_length=1, max_length=10_000)] | None = None


class Need(Value, frozen=True, kw_only=True):
    skill: SkillName
    level: Level = 1


Needs = Annotated[tuple[Need, ...], Meta(max_length=8)]


class Widening(Value, frozen=True, kw_only=True):
    """What is required once somebody has waited so long. Without `requires`, what was required before."""

    after: Seconds
    requires: Needs | None = None


class Goal(Value, frozen=True, kw_only=True):
    within: Seconds


class Promise(Value, frozen=True, kw_only=True):
    """Who comes while so many wait is offered a callback, which keeps the place, and this share takes it. Of those who are
    called `answer` do, after `ring` of at most 45 s; the others are tried again, as the router does. `call_first` is whose
    phone rings first."""

    when_waiting: Annotated[int, Meta(ge=0, le=1_000_000)]
    accept: Annotated[float, Meta(ge=0, le=1)]
    ring: Distribution | None = None
    answer: Annotated[float, Meta(ge=0, le=1)] = 1.0
    call_first: Side = "agent"


class Line(Value, frozen=True, kw_only=True):
    """A queue with its customers. `wrap_up`, `target` and `max_wait` are off unless given."""

    name: Name
    channel: Kind
    arrivals: Arrivals
    handling: Distribution
    patience: Distribution | None = None
    priority: Annotated[int, Meta(ge=1, le=9)] = 1
    strategy: Strategy = "longest_idle"
    requires: Needs = ()
    steps: Annotated[tuple[Widening, ...], Meta(max_length=20)] = ()
    service_level: Goal | None = None
    target: Seconds = Seconds(0)
    max_wait: Seconds | None = None
    wrap_up: Distribution | None = None
    callback: Promise | None = None


class Steering(Value, frozen=True, kw_only=True):
    queue: Name
    service_level: Annotated[float, Meta(gt=0, lt=1)]


class Steered(Value, frozen=True, kw_only=True):
    steer: Steering


class Outreach(Value, frozen=True, kw_only=True):
    """A campaign that runs from the beginning. `backlog` people are called once each, or there is always another.

    `live_answer` of those who are rung answer after `ring`; of the others nobody does, after as long. `predictive` may cut a
    line that has rung for `least_ring`. `reserve` agents are kept idle for every queue, or as many as that queue needs
    which is named. An `abandonment_ceiling` of 0.99 and above is none: so, and with an `answer_within` of 0 s, `power` is
    the textbook's fixed ratio.
    """

    name: Name
    mode: Mode
    handling: Distribution
    channel: Kind = "voice"
    ratio: Annotated[float, Meta(ge=1, le=10)] | None = None
    backlog: Literal["infinite"] | Annotated[int, Meta(ge=0)] = "infinite"
    ring: Distribution | None = None
    least_ring: Seconds = Seconds(15)
    live_answer: Annotated[float, Meta(ge=0, le=1)] = 1.0
    requires: Needs = ()
    abandonment_ceiling: Annotated[float, Meta(gt=0, le=1)] = CEILING
    answer_within: Seconds = Seconds(2)
    reserve: Annotated[int, Meta(ge=0, le=MAX_AGENTS)] | Steered = 0
    priority: Annotated[int, Meta(ge=1, le=9)] = 5
    strategy: Strategy = "longest_idle"
    wrap_up: Distribution | None = None


class Team(Value, frozen=True, kw_only=True):
    """So many agents alike. `handling` overrides the queues'. Without `capacity`, one contact at once of any kind."""

    name: Name
    count: Annotated[int, Meta(ge=0, le=MAX_AGENTS)]
    skills: Annotated[dict[SkillName, Level], Meta(max_length=100)] = {}
    handling: Distribution | None = None
    serves_first: Annotated[tuple[Name, ...], Meta(max_length=4)] = ()
    mode: Literal["inbound", "outbound", "blended"] = "inbound"
    capacity: dict[Kind, Annotated[int, Meta(ge=0, le=100)]] | None = None


class Scenario(Value, frozen=True, kw_only=True):
    """`duration` is each replication's counted window, after the warm-up; `lines` bounds who is in the center at once."""

    version: Literal[1]
    duration: Seconds
    agents: Annotated[tuple[Team, ...], Meta(min_length=1, max_length=10_000)]
    queues: Annotated[tuple[Line, ...], Meta(max_length=1000)] = ()
    outbound: Annotated[tuple[Outreach, ...], Meta(max_length=100)] = ()
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    replications: Annotated[int, Meta(ge=1, le=10_000)] = 1
    warm_up: Seconds = Seconds(0)
    lines: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class BadScenario(Exception):
    """Everything that is wrong with a scenario, one fault a line."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("; ".join(found))
        self.faults = found


class _Loader(yaml.SafeLoader):
    """No aliases: a few lines of them stand for a document of any size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def parse(text: str) -> Scenario:
    """A scenario as its author wrote it. Raises BadScenario."""
    if len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise BadScenario([f"the document is over {MAX_DOCUMENT_BYTES} bytes"])
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise BadScenario([f"not YAML: {error}"]) from error
    return check(data)


def check(data: Any) -> Scenario:
    """A scenario as data. Raises BadScenario."""
    found: list[str] = []
    _shape(data, Scenario, "", found)
    scenario: Scenario | None = None if found else _field(data, Scenario, "", found)
    found = found if scenario is None else faults(scenario)
    if scenario is None or found:
        raise BadScenario(found)
    return scenario


# -- the shape: msgspec stops at the first fault, so each field is read on its own


def _read(kind: type, value: Any) -> Any:
    if kind is Seconds:
        return seconds(value)
    raise NotImplementedError(kind)


PARTS: dict[str, type[msgspec.Struct]] = {"queues": Line, "agents": Team, "outbound": Outreach}


def _shape(data: Any, kind: type[msgspec.Struct], where: str, found: list[str]) -> None:
    if not isinstance(data, dict):
        found.append(f"{where or 'the scenario'}: is not a mapping of fields")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    known = ", ".join(fields)
    strange = [str(name)[:60] for name in data if name not in fields]
    found += [f"{_at(where, name)}: there is no such field; known: {known}" for name in strange]
    for name, field in fields.items():
        if name not in data:
            if field.required:
                found.append(f"{_at(where, name)}: is missing")
        elif name in PARTS and isinstance(data[name], list):
            for number, item in enumerate(data[name]):
                _shape(item, PARTS[name], f"{name}[{number}]", found)
        else:
            _field(data[name], field.type, _at(where, name), found)


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


_SAID = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$?(.*)`)?", re.DOTALL)


def _field(value: Any, kind: Any, where: str, found: list[str]) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=_read)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        said = _SAID.fullmatch(str(error))
        what, place = (said[1], said[2] or "") if said else (str(error), "")
        found.append(f"{where}{place}".lstrip(".") + f": {what}")
        return None


# -- what the types do not say


def faults(scenario: Scenario) -> list[str]:
    """Everything wrong with a scenario that its types do not already refuse."""
    found: list[str] = []
    if scenario.duration <= 0:
        found.append("duration: must be more than nothing")
    if not scenario.queues and not scenario.outbound:
        found.append("queues: there is none, and no outbound work either")
    if sum(team.count for team in scenario.agents) > MAX_AGENTS:
        found.append(f"agents: are more than {MAX_AGENTS} in all")
    found += _twice("queues[{}].name", [line.name for line in scenario.queues])
    found += _twice("agents[{}].name", [team.name for team in scenario.agents])
    for number, line in enumerate(scenario.queues):
        found += _line_faults(line, f"queues[{number}]")
    queues = {line.name for line in scenario.queues}
    found += _twice("outbound[{}].name", [outreach.name for outreach in scenario.outbound])
    for number, outreach in enumerate(scenario.outbound):
        found += _outreach_faults(outreach, f"outbound[{number}]", scenario)
    for number, team in enumerate(scenario.agents):
        found += _team_faults(team, f"agents[{number}]", queues)
    return found


def _outreach_faults(outreach: Outreach, where: str, scenario: Scenario) -> list[str]:
    found = _distribution_faults(outreach.handling, f"{where}.handling")
    found += _distribution_faults(outreach.ring, f"{where}.ring")
    found += _distribution_faults(outreach.wrap_up, f"{where}.wrap_up")
    if outreach.wrap_up is not None and outreach.wrap_up.constant is None:
        found.append(f"{where}.wrap_up: is constant, or there is none")
    if (outreach.mode == "direct") != (outreach.ring is None):
        found.append(f"{where}.ring: {'direct work rings nobody' if outreach.ring else 'is missing'}")
    if outreach.least_ring < 15:
        found.append(f"{where}.least_ring: is shorter than 15s")
    if outreach.ratio is not None and outreach.mode != "power":
        found.append(f"{where}.ratio: is for power only")
    if isinstance(outreach.reserve, Steered):
        goal = outreach.reserve.steer
        queue = next((line for line in scenario.queues if line.name == goal.queue), None)
        if queue is None:
            found.append(f"{where}.reserve.steer.queue: there is no queue '{goal.queue}'")
        elif queue.service_level is None:
            found.append(f"{where}.reserve.steer: queue '{goal.queue}' has no service_level to steer by")
    if not any(team.mode != "inbound" and team.count for team in scenario.agents):
        found.append(f"{where}: no agent is outbound or blended")
    return found


def _twice(where: str, names: list[str]) -> list[str]:
    first: dict[str, int] = {}
    found = []
    for number, name in enumerate(names):
        if first.setdefault(name, number) != number:
            found.append(f"{where.format(number)}: '{name}' is there twice")
    return found


def _line_faults(line: Line, where: str) -> list[str]:
    found = _arrival_faults(line.arrivals, f"{where}.arrivals")
    found += _distribution_faults(line.handling, f"{where}.handling")
    found += _distribution_faults(line.patience, f"{where}.patience")
    found += _distribution_faults(line.wrap_up, f"{where}.wrap_up")
    if line.callback is not None:
        found += _distribution_faults(line.callback.ring, f"{where}.callback.ring")
        if line.channel != "voice":
            found.append(f"{where}.callback: is for voice only")
    if line.wrap_up is not None and (line.wrap_up.constant or 0) > MAX_WRAP_UP_S:
        found.append(f"{where}.wrap_up: is longer than 1h, the longest that the router lets it last")
    for number, step in enumerate(line.steps[1:], 1):
        if step.after <= line.steps[number - 1].after:
            found.append(f"{where}.steps[{number}].after: does not come after the step before it")
    return found


def _arrival_faults(arrivals: Arrivals, where: str) -> list[str]:
    if (arrivals.per_hour is None) == (arrivals.schedule is None):
        return [f"{where}: is exactly one of per_hour, schedule"]
    spans = arrivals.schedule or ()
    found = []
    for number, span in enumerate(spans):
        if span.until <= (spans[number - 1].until if number else 0):
            found.append(f"{where}.schedule[{number}].until: does not come after the one before it")
    return found


def _distribution_faults(given: Distribution | None, where: str) -> list[str]:
    if given is None:
        return []
    if [given.exponential, given.constant, given.lognormal].count(None) != 2:
        return [f"{where}: is exactly one of exponential, constant, lognormal"]
    if given.lognormal is not None and given.lognormal.mean <= 0:
        return [f"{where}.lognormal.mean: must be more than nothing"]
    return []


def _team_faults(team: Team, where: str, queues: set[str]) -> list[str]:
    found = _distribution_faults(team.handling, f"{where}.handling")
    for number, queue in enumerate(team.serves_first):
        if queue not in queues:
            found.append(f"{where}.serves_first[{number}]: there is no queue '{queue}'")
    found += _twice(where + ".serves_first[{}]", list(team.serves_first))
    if team.capacity is not None and not any(team.capacity.values()):
        found.append(f"{where}.capacity: holds nothing; name at least one of {', '.join(get_args(Kind))}")
    return found
