"""Scenarios whose figures are known exactly: what `naru simulate` must come to.

A case is a scenario in the format's own words and the expected figures by their path in the output. Runs are as short as
they may be: 40 replications whose standard errors stay under 1 % of each mean and 0.2 points of each ratio, with a fifth
to spare; a figure that would need a much longer run than the rest of its case is left to a case where it comes cheaply.
Loads below 1 start empty, so the warm-up lasts some relaxation times of the queue.
"""

import math
from dataclasses import dataclass
from typing import Any

from reference import alis, erlang, handling, markov, patience, varying
from reference.erlang import Figures

REPLICATIONS = 40
Path = tuple[str, ...]
Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    name: str
    scenario: dict[str, Any]
    expected: dict[Path, float]

    @property
    def contacts(self) -> int:
        """Arrivals to be expected in all replications, warm-up included."""
        span = _seconds(self.scenario["warm_up"]) + _seconds(self.scenario["duration"])
        return round(self.scenario["replications"] * span * sum(_per_second(q) for q in self.scenario["queues"]))


def _seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]


def _per_second(queue: Fields) -> float:
    arrivals = queue["arrivals"]
    if "per_hour" in arrivals:
        return arrivals["per_hour"] / 3600
    total = start = 0.0
    for part in arrivals["schedule"]:
        total += (_seconds(part["until"]) - start) * part["per_hour"] / 3600
        start = _seconds(part["until"])
    return total / start


def queue(name: str, per_hour: float, **fields: Any) -> Fields:
    """Handling is 3 minutes, exponential, unless given; everybody waits for ever unless `patience` is given; in time is 20 s."""
    plain = {
        "name": name,
        "channel": "voice",
        "arrivals": {"per_hour": per_hour},
        "handling": {"exponential": "3m"},
        "service_level": {"within": "20s"},
    }
    return plain | fields


def team(name: str, count: int, *skills: str, **fields: Any) -> Fields:
    return {"name": name, "count": count, "skills": dict.fromkeys(skills, 5)} | fields


def needs(skill: str, level: int = 1) -> list[Fields]:
    return [{"skill": skill, "level": level}]


CASES: list[Case] = []
HANDLING_S = 180.0
FREED = 1 / HANDLING_S


def case(
    name: str,
    queues: list[Fields],
    agents: list[Fields],
    expected: dict[Path, float],
    contacts: int,
    *dear: str,
    warm_up: str = "1h",
    lines: int | None = None,
) -> None:
    """`contacts` are those of the windows of all replications; `dear` figures are left out, by name or by whole path."""
    rate = sum(_per_second(q) for q in queues)
    whole = 60
    for q in queues:
        if "schedule" in q["arrivals"]:
            whole = int(_seconds(q["arrivals"]["schedule"][-1]["until"]))
    duration = math.ceil(contacts / REPLICATIONS / rate / whole) * whole
    scenario = {
        "version": 1,
        "seed": 100 + len(CASES),
        "replications": REPLICATIONS,
        "warm_up": warm_up,
        "duration": f"{duration // 60}m",
        **({"lines": lines} if lines else {}),
        "queues": queues,
        "agents": agents,
    }
    left = {path: mu for path, mu in expected.items() if path[-1] not in dear and ".".join(path) not in dear}
    CASES.append(Case(name, scenario, left))


def pick(path: Path, figures: Figures, *names: str) -> dict[Path, float]:
    return {(*path, name): figures[name] for name in names}


def of_queue(name: str, figures: Figures, *names: str) -> dict[Path, float]:
    return pick(("queues", name), figures, *names)


def of_total(figures: Figures, *names: str) -> dict[Path, float]:
    return pick(("total",), figures, *names)


def of_team(name: str, occupancy: float) -> dict[Path, float]:
    return {("agents", name, "occupancy"): occupancy}


WAIT, ALL, ANSWERED, LEFT, BLOCKED, LEVEL, OCCUPANCY = (
    "wait_probability",
    "wait_all_s",
    "wait_answered_s",
    "abandonment",
    "blocking",
    "service_level",
    "occupancy",
)


# -- Erlang C


def erlang_c() -> None:
    for agents, load, contacts, dear in (
        (1, 0.4, 320_000, ()),
        (12, 0.5, 90_000, (ALL, OCCUPANCY)),
        (50, 0.7, 175_000, (ALL, OCCUPANCY)),
    ):
        per_hour = round(load * agents * 20, 6)
        theory = erlang.waiting(agents, per_hour / 3600, HANDLING_S)
        expected = of_queue("care", theory, WAIT, ALL, LEVEL, LEFT, BLOCKED) | of_total(theory, WAIT, ALL)
        expected |= of_team("team", theory[OCCUPANCY])
        staff = [team("team", agents)]
        case(
            f"Erlang C, {agents} at {load}", [queue("care", per_hour)], staff, expected, contacts, *dear, warm_up="30m"
        )


# -- bounded lines


def bounded() -> None:
    for agents, lines, load, contacts, dear in (
        (1, 4, 2.5, 95_000, (BLOCKED,)),
        (20, 24, 1.8, 90_000, (WAIT, LEVEL, BLOCKED)),
    ):
        per_hour = round(load * agents * 20, 6)
        theory = erlang.lines(agents, lines, per_hour / 3600, HANDLING_S)
        expected = of_queue("care", theory, BLOCKED, WAIT, ALL, LEVEL) | of_team("team", theory[OCCUPANCY])
        expected |= of_total(theory, BLOCKED, WAIT, ALL)
        name = f"M/M/{agents}/{lines} at {load}"
        staff = [team("team", agents)]
        case(name, [queue("care", per_hour)], staff, expected, contacts, *dear, warm_up="20m", lines=lines)
    blocked = erlang.erlang_b(4, 10.0)
    case(
        "Erlang B, 4 lines, lognormal handling",
        [queue("care", 200, handling={"lognormal": {"mean": "3m", "cv": 0.8}})],
        [team("team", 4)],
        {("queues", "care", BLOCKED): blocked} | of_team("team", 10 * (1 - blocked) / 4),
        110_000,
        warm_up="20m",
        lines=4,
    )


# -- patience


def leaving() -> None:
    case(
        "Erlang A, Garnett, Mandelbaum and Reiman",
        [queue("care", 2880, handling={"exponential": "1m"}, patience={"exponential": "2m"})],
        [team("team", 50)],
        _left(patience.exponential(50, 0.8, 60, 120)),
        110_000,
        *(WAIT, ALL, ANSWERED, LEVEL, OCCUPANCY),
        warm_up="8m",
    )
    for agents, load, patience_s, contacts, dear in (
        (1, 0.6, 90, 115_000, (ANSWERED,)),
        (3, 1.3, 180, 130_000, (WAIT, LEVEL, LEFT)),
        (50, 2.0, 180, 80_000, (LEFT, WAIT, LEVEL, ANSWERED, OCCUPANCY)),
    ):
        per_hour = round(load * agents * 20, 6)
        theory = patience.exponential(agents, per_hour / 3600, HANDLING_S, patience_s)
        case(
            f"Erlang A, {agents} at {load}",
            [queue("care", per_hour, patience={"exponential": f"{patience_s}s"})],
            [team("team", agents)],
            _left(theory),
            contacts,
            *dear,
            warm_up="30m",
        )
    for agents, load, patience_s, contacts, dear in (
        (1, 0.8, 120, 140_000, ()),
        (5, 1.5, 60, 70_000, (WAIT, LEVEL, LEFT)),
        (15, 1.8, 30, 70_000, (WAIT, LEVEL, LEFT)),
    ):
        per_hour = round(load * agents * 20, 6)
        theory = patience.constant(agents, per_hour / 3600, HANDLING_S, patience_s)
        case(
            f"constant patience, {agents} at {load}",
            [queue("care", per_hour, patience={"constant": f"{patience_s}s"})],
            [team("team", agents)],
            _left(theory),
            contacts,
            *dear,
            warm_up="30m",
        )


def _left(theory: Figures) -> dict[Path, float]:
    expected = of_queue("care", theory, WAIT, LEFT, ALL, ANSWERED, LEVEL) | of_total(theory, LEFT, ALL)
    return expected | of_team("team", theory[OCCUPANCY])


# -- order of the waiting


def order() -> None:
    _constant_tiers()
    for how in ("tier", "target"):
        _patience_and(how)
    _tiers_over_lines()


def _constant_tiers() -> None:
    """One agent: Cobham's formula for any law of handling."""
    names, rates = ("gold", "plain"), (3.0, 7.0)
    theory = handling.one_agent_priorities([(rate / 3600, 150.0, 0.0) for rate in rates])
    queues = [queue(n, rates[i], handling={"constant": "150s"}, priority=3 * i + 1) for i, n in enumerate(names)]
    expected = of_total(theory[0], WAIT) | of_team("team", sum(rates) * 150 / 3600)
    for n, figures in zip(names, theory, strict=True):
        expected |= of_queue(n, figures, ALL)
    case("two tiers, constant handling", queues, [team("team", 1)], expected, 210_000)


def _patience_and(how: str) -> None:
    """Strict classes by tier, or by targets that no wait bridges."""
    rates = (1.6 * FREED, 1.8 * FREED)
    chain = markov.Center(
        queues=tuple(markov.Queue(arrivals=rate, leave=1 / 120, tier=n) for n, rate in enumerate(rates)),
        teams=(markov.Team(count=2, rates=(FREED, FREED)),),
        longest=30,
    ).solve()
    rank: list[Fields] = [{"priority": 1}, {"priority": 9}] if how == "tier" else [{}, {"target": "24h"}]
    case(
        f"two classes by {how}, with patience, overloaded",
        [
            queue("gold", rates[0] * 3600, patience={"exponential": "2m"}, **rank[0]),
            queue("plain", rates[1] * 3600, patience={"exponential": "2m"}, **rank[1]),
        ],
        [team("team", 2)],
        _chain(chain, ("gold", "plain"), ("team",), LEFT, ALL, WAIT),
        100_000,
        *(WAIT, LEFT),
        warm_up="30m",
    )


def _tiers_over_lines() -> None:
    rates = (0.8 * FREED, 1.2 * FREED, 1.6 * FREED)
    chain = markov.Center(
        queues=tuple(markov.Queue(arrivals=rate, tier=n) for n, rate in enumerate(rates)),
        teams=(markov.Team(count=3, rates=(FREED, FREED, FREED)),),
        places=7,
        hidden=False,
    ).solve()
    names = ("gold", "silver", "plain")
    case(
        "three tiers over 7 lines, overloaded",
        [queue(n, rate * 3600, priority=i + 1) for i, (n, rate) in enumerate(zip(names, rates, strict=True))],
        [team("team", 3)],
        _chain(chain, names, ("team",), ALL, BLOCKED),
        205_000,
        BLOCKED,
        warm_up="30m",
        lines=7,
    )


# -- handling that is not exponential


def laws() -> None:
    theory = handling.one_agent(8 / 3600, HANDLING_S, 0.3)
    case(
        "M/G/1, lognormal handling",
        [queue("care", 8, handling={"lognormal": {"mean": "3m", "cv": 0.3}})],
        [team("team", 1)],
        of_queue("care", theory, WAIT, ALL) | of_team("team", theory[OCCUPANCY]),
        220_000,
    )
    theory = handling.constant(2, 20 / 3600, HANDLING_S, 30.0)
    case(
        "M/D/2",
        [queue("care", 20, handling={"constant": "3m"}, service_level={"within": "30s"})],
        [team("team", 2)],
        of_queue("care", theory, WAIT, LEVEL) | of_team("team", theory[OCCUPANCY]),
        200_000,
    )


# -- arrivals that change


def changing() -> None:
    parts = [{"until": "30m", "per_hour": 60}, {"until": "1h", "per_hour": 180}]
    theory = varying.scheduled(4, [(1800, 60 / 3600), (1800, 180 / 3600)], HANDLING_S, leave=1 / 120)
    case(
        "a schedule with patience, 4 agents",
        [queue("care", 0, arrivals={"schedule": parts}, patience={"exponential": "2m"})],
        [team("team", 4)],
        of_queue("care", theory, WAIT, ALL, LEFT) | of_team("team", theory[OCCUPANCY]),
        90_000,
        *(WAIT, LEFT, OCCUPANCY),
        warm_up="1h",
    )
    parts = [{"until": "20m", "per_hour": 30}, {"until": "50m", "per_hour": 140}, {"until": "1h", "per_hour": 60}]
    theory = varying.scheduled(4, [(1200, 30 / 3600), (1800, 140 / 3600), (600, 60 / 3600)], HANDLING_S, places=7)
    case(
        "a schedule over 7 lines, 4 agents",
        [queue("care", 0, arrivals={"schedule": parts})],
        [team("team", 4)],
        of_queue("care", theory, BLOCKED, WAIT, ALL) | of_team("team", theory[OCCUPANCY]),
        75_000,
        *(WAIT, BLOCKED, OCCUPANCY),
        warm_up="1h",
        lines=7,
    )


# -- two skills and more


def _chain(result: markov.Result, queues: tuple[str, ...], teams: tuple[str, ...], *names: str) -> dict[Path, float]:
    assert result.cut < 1e-6 and result.flow < 1e-9
    expected = of_total(result.total, *names)
    for name, figures in zip(queues, result.queues, strict=True):
        expected |= of_queue(name, figures, *names)
    for name, share in zip(teams, result.occupancy, strict=True):
        expected |= of_team(name, share)
    return expected


def _product(arrivals: dict[str, float], teams: dict[str, tuple[int, float, str]]) -> dict[Path, float]:
    """From contacts per hour and teams of (count, handling in minutes, skills in one word of letters)."""
    names = list(arrivals)
    queues, total, occupancy = alis.figures(
        [rate / 3600 for rate in arrivals.values()],
        [(n, 1 / (60 * m), frozenset(names.index(q) for q in skills)) for n, m, skills in teams.values()],
    )
    expected = of_total(total, WAIT, ALL)
    for name, figures in zip(names, queues, strict=True):
        expected |= of_queue(name, figures, WAIT, ALL)
    for name, share in zip(teams, occupancy, strict=True):
        expected |= of_team(name, share)
    return expected


def skilled() -> None:
    """Longest idle over any teams, everyone waiting for ever: the product form knows it."""
    for name, arrivals, teams, contacts, dear in (
        ("N-design", {"a": 32, "b": 18}, {"one": (4, 3, "a"), "both": (3, 3, "ab")}, 150_000, "b"),
        ("M-design", {"a": 22, "b": 18}, {"one": (2, 3, "a"), "both": (1, 2, "ab"), "two": (2, 3, "b")}, 200_000, "ab"),
        ("W-design", {"a": 24, "b": 16, "c": 15}, {"left": (4, 3, "ab"), "right": (3, 3, "bc")}, 170_000, "ac"),
    ):
        case(
            name,
            [queue(q, rate, requires=needs(q)) for q, rate in arrivals.items()],
            [
                team(t, count, *skills, **({"handling": {"exponential": f"{minutes}m"}} if minutes != 3 else {}))
                for t, (count, minutes, skills) in teams.items()
            ],
            _product(arrivals, teams),
            contacts,
            *(ALL, *(f"queues.{q}.{WAIT}" for q in dear)),
        )


STAFF = [team("one", 2, "a"), team("both", 2, "a", "b")]
ONE = markov.Team(count=2, rates=(FREED, None))
BOTH = markov.Team(count=2, rates=(FREED, FREED))


def _n_design(
    per_hour: dict[str, float],
    leave: float = 0.0,
    both: markov.Team = BOTH,
    ranks: tuple[int, ...] = (),
    places: int | None = None,
) -> markov.Result:
    queues = tuple(markov.Queue(arrivals=rate / 3600, leave=leave, ranks=ranks) for rate in per_hour.values())
    return markov.Center(queues=queues, teams=(ONE, both), longest=25, places=places).solve()


def _n_queues(per_hour: dict[str, float], **fields: Any) -> list[Fields]:
    return [queue(name, rate, requires=needs(name), **fields) for name, rate in per_hour.items()]


def skilled_with_bounds() -> None:
    """Two queues whose line is bounded or whose contacts leave: the chain, state by state."""
    busier = {"a": 66.0, "b": 60.0}
    case(
        "N-design with patience",
        _n_queues(busier, patience={"exponential": "2m"}),
        STAFF,
        _chain(_n_design(busier, leave=1 / 120), ("a", "b"), ("one", "both"), WAIT, ALL, LEFT),
        170_000,
        *(LEFT, "total.wait_probability", "queues.a.wait_probability", "agents.one.occupancy"),
        warm_up="30m",
    )
    case(
        "N-design with patience, the best skilled first",
        _n_queues(busier, patience={"exponential": "90s"}, strategy="best_skill"),
        [STAFF[0], STAFF[1] | {"skills": {"a": 2, "b": 4}}],
        _chain(_n_design(busier, leave=1 / 90, ranks=(0, 1)), ("a", "b"), ("one", "both"), WAIT, ALL, LEFT),
        160_000,
        *(LEFT, WAIT, "agents.one.occupancy"),
        warm_up="30m",
    )
    calmer = {"a": 50.0, "b": 30.0}
    first = markov.Team(count=2, rates=(FREED, FREED), first=(1,))
    case(
        "N-design over 7 lines, the cross-skilled serve one queue first",
        _n_queues(calmer),
        [STAFF[0], STAFF[1] | {"serves_first": ["b"]}],
        _chain(_n_design(calmer, both=first, places=7), ("a", "b"), ("one", "both"), WAIT, ALL, BLOCKED),
        260_000,
        *(BLOCKED, WAIT, "agents.one.occupancy"),
        warm_up="30m",
        lines=7,
    )
    unlike = markov.Center(
        queues=(markov.Queue(arrivals=25 / 3600), markov.Queue(arrivals=35 / 3600)),
        teams=(markov.Team(count=1, rates=(1 / 120, 1 / 120)), markov.Team(count=2, rates=(1 / 240, 1 / 240))),
        places=5,
    ).solve()
    case(
        "X-design over 5 lines, unlike teams",
        [queue("a", 25, requires=needs("a")), queue("b", 35, requires=needs("b"))],
        [
            team("quick", 1, "a", "b", handling={"exponential": "2m"}),
            team("slow", 2, "a", "b", handling={"exponential": "4m"}),
        ],
        _chain(unlike, ("a", "b"), ("quick", "slow"), ALL, BLOCKED),
        150_000,
        *(BLOCKED, "agents.quick.occupancy", "queues.a.wait_all_s", "queues.b.wait_all_s"),
        warm_up="30m",
        lines=5,
    )
    unlike = markov.Center(
        queues=(markov.Queue(arrivals=36 / 3600, leave=1 / 60), markov.Queue(arrivals=30 / 3600, leave=1 / 100)),
        teams=(
            markov.Team(count=1, rates=(1 / 120, None)),
            markov.Team(count=1, rates=(1 / 120, 1 / 200)),
            markov.Team(count=1, rates=(None, 1 / 200)),
        ),
        longest=8,
        hidden=False,
    ).solve()
    case(
        "M-design, handling and patience by queue",
        [
            queue("a", 36, handling={"exponential": "2m"}, patience={"exponential": "1m"}, requires=needs("a")),
            queue("b", 30, handling={"exponential": "200s"}, patience={"exponential": "100s"}, requires=needs("b")),
        ],
        [team("one", 1, "a"), team("both", 1, "a", "b"), team("two", 1, "b")],
        _chain(unlike, ("a", "b"), ("one", "both", "two"), WAIT, ALL, LEFT),
        190_000,
        *(WAIT, "queues.a.abandonment", "queues.b.abandonment", "agents.one.occupancy", "agents.two.occupancy"),
        warm_up="30m",
    )


# -- what must not matter


def invariant() -> None:
    """Equal rates, every agent able: choosing the agent otherwise changes who works, not how long anybody waits."""
    theory = erlang.lines(3, 4, 120 / 3600, HANDLING_S)
    staff = [team("strong", 1, "care"), team("weak", 2) | {"skills": {"care": 2}}]
    for strategy in ("best_skill", "least_loaded"):
        case(
            f"M/M/3/4 whatever the strategy: {strategy}",
            [queue("care", 120, requires=needs("care"), strategy=strategy)],
            staff,
            of_queue("care", theory, ALL) | of_total(theory, ALL),
            90_000,
            warm_up="20m",
            lines=4,
        )
    stepped = patience.exponential(3, 80 / 3600, HANDLING_S, 180, 60.0)
    within = {"patience": {"exponential": "3m"}, "service_level": {"within": "60s"}}
    case(
        "a step that frees nobody keeps the place",
        [
            queue("care", 45, requires=needs("care", 3), steps=[{"after": "30s", "requires": []}], **within),
            queue("sales", 35, requires=needs("sales"), **within),
        ],
        [team("team", 3, "care", "sales")],
        of_queue("care", stepped, ALL) | of_queue("sales", stepped, ALL) | of_total(stepped, LEFT, ALL),
        130_000,
        LEFT,
        warm_up="30m",
    )
    chat = erlang.waiting(9, 86 / 3600, HANDLING_S)
    case(
        "three chats at once, 3 agents: Erlang C of 9",
        [queue("chat", 86, channel="chat", strategy="least_loaded")],
        [team("team", 3, capacity={"chat": 3})],
        of_queue("chat", chat, WAIT, ALL, LEVEL) | of_team("team", chat[OCCUPANCY]),
        180_000,
        ALL,
    )
    impatient = patience.exponential(8, 320 / 3600, HANDLING_S, 180)
    case(
        "two chats at once with patience, 4 agents: Erlang A of 8",
        [queue("chat", 320, channel="chat", patience={"exponential": "3m"})],
        [team("team", 4, capacity={"chat": 2})],
        of_queue("chat", impatient, WAIT, ALL, LEVEL) | of_team("team", impatient[OCCUPANCY]),
        110_000,
        warm_up="20m",
    )


for _add in (erlang_c, bounded, leaving, order, laws, changing, skilled, skilled_with_bounds, invariant):
    _add()
