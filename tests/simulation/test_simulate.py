"""The simulator's figures, checked by hand on tiny centers, and that the same seed always tells the same story."""

import hashlib
import heapq
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from naru.cli import app
from naru.sim import BadScenario, check, journal, simulate
from naru.sim.center import shares
from naru.sim.chance import Poisson, sampler, stream
from naru.sim.clock import Clock
from naru.sim.report import report, student_t
from naru.sim.scenario import Arrivals, Distribution, Lognormal, Scenario, Seconds, Span, Team
from naru.sim.world import World

Data = dict[str, Any]


def queue(name: str = "care", every: float = 1.0, **more: Any) -> Data:
    """A queue to which one comes each `every` seconds, once its chance is planted, for a talk of 1.5 s."""
    given: Data = {
        "name": name,
        "channel": "chat",
        "arrivals": {"per_hour": 3600 / every},
        "handling": {"constant": "1500ms"},
        "service_level": {"within": "600ms"},
    }
    return {**given, **more}


def center(*queues: Data, agents: Any = 1, duration: str = "3500ms", **more: Any) -> Scenario:
    teams = [{"name": "team", "count": agents}] if isinstance(agents, int) else agents
    return check({"version": 1, "duration": duration, "queues": list(queues), "agents": teams, **more})


def planted(seed: int, replication: int, name: str, purpose: str) -> Any:
    """Chance without surprise: every interval and every exponential is exactly its mean."""
    return lambda: 1 - math.exp(-1)


def figures(scenario: Scenario) -> Data:
    world = World(scenario, 0, draws=planted)
    while world.advance():
        pass
    return report(scenario, [world.tally])


def means(of: Data) -> dict[str, float]:
    return {name: value["mean"] for name, value in of.items() if isinstance(value, dict)}


# -- by hand. With one agent: they come at 1, 2, 3 s; are answered at 1, 2.5, 4; the window is 3.5 s


def test_waits_are_counted_from_arrival_to_answer() -> None:
    found = figures(center(queue()))
    care = found["queues"]["care"]
    assert (care["offered"], care["answered"], care["abandoned"], care["blocked"]) == (3, 3, 0, 0)
    assert means(care) == pytest.approx(
        {
            "wait_probability": 2 / 3,
            "wait_all_s": 0.5,
            "wait_answered_s": 0.5,
            "abandonment": 0,
            "blocking": 0,
            "service_level": 2 / 3,
        }
    )
    assert found["agents"]["team"]["occupancy"] == {"mean": pytest.approx(2.5 / 3.5), "ci95": None}
    assert found["total"] == care


def test_who_loses_patience_is_abandoned_and_their_wait_counts_for_all() -> None:
    found = figures(center(queue(patience={"constant": "700ms"})))["queues"]["care"]
    assert (found["answered"], found["abandoned"]) == (2, 1)
    assert means(found) == pytest.approx(
        {
            "wait_probability": 2 / 3,
            "wait_all_s": 1.2 / 3,
            "wait_answered_s": 0.25,
            "abandonment": 1 / 3,
            "blocking": 0,
            "service_level": 2 / 3,
        }
    )


def test_no_patience_at_all_is_abandonment() -> None:
    found = figures(center(queue(patience={"constant": "0s"})))["queues"]["care"]
    assert (found["answered"], found["abandoned"]) == (2, 1)
    assert means(found)["wait_probability"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("channel", "away_s"), [("chat", 0), ("voice", 0), ("email", 7 * 86400)])
def test_customers_come_again_but_not_for_the_same_matter(channel: str, away_s: float) -> None:
    source = World(center(queue(channel=channel)), 0).sources[0]
    first, second = source.customer(1), source.customer(1)
    source.gone(second, 5)
    source.gone(first, 6)
    assert source.customer(5 + away_s) not in (first, second)
    assert [source.customer(7 + away_s), source.customer(7 + away_s)] == [second, first]


def test_a_full_center_blocks_and_the_blocked_are_in_no_other_ratio() -> None:
    found = figures(center(queue(), lines=1))["queues"]["care"]
    assert (found["offered"], found["answered"], found["blocked"]) == (3, 2, 1)
    assert means(found)["blocking"] == pytest.approx(1 / 3)
    assert means(found)["wait_probability"] == 0
    assert means(found)["service_level"] == 1


def test_a_step_opens_the_queue_to_others_and_looks_at_once() -> None:
    care = queue(requires=[{"skill": "care"}], steps=[{"after": "950ms", "requires": []}], handling={"constant": "1ms"})
    assert means(figures(center(care))["queues"]["care"])["wait_all_s"] == pytest.approx(0.95)


def test_a_higher_tier_goes_first_and_interrupts_nobody() -> None:
    found = figures(center(queue("low", priority=2), queue("high", priority=1), duration="2500ms"))
    # low's first came first by a moment: 1-2.5 low, 2.5-4 high, 4-5.5 high, and highs for ever after
    assert found["queues"]["high"]["answered"] == 2
    assert means(found["queues"]["high"])["wait_all_s"] == pytest.approx((1.5 + 2) / 2)
    assert found["queues"]["low"]["answered"] == 1
    assert found["queues"]["low"]["unfinished"] == 1
    assert found["total"]["unfinished"] == 1


def test_a_target_sets_the_key_inside_a_tier() -> None:
    patient = center(queue("slow", target="1m"), queue("fast"), duration="2500ms")
    assert means(figures(patient)["queues"]["fast"])["wait_all_s"] == pytest.approx((1.5 + 2) / 2)


def test_max_wait_comes_before_every_tier() -> None:
    found = figures(center(queue("low", priority=2, max_wait="1s"), queue("high", priority=1), duration="2500ms"))
    assert found["queues"]["low"]["answered"] == 2


def test_a_team_serves_first_what_it_prefers() -> None:
    team = {"name": "team", "count": 1, "serves_first": ["b"]}
    found = figures(center(queue("a"), queue("b"), agents=[team], duration="2500ms"))
    # Both come at 1, a first, so b's first is answered at 2.5; at 4 b's second goes before a's, which is older
    assert means(found["queues"]["b"])["wait_all_s"] == pytest.approx((1.5 + 2) / 2)


def test_a_team_may_take_its_own_time() -> None:
    found = figures(center(queue(), agents=[{"name": "team", "count": 1, "handling": {"constant": "500ms"}}]))
    assert means(found["queues"]["care"])["wait_probability"] == 0
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx(1.5 / 3.5)


@pytest.mark.parametrize("wrap_up", [{"constant": "500ms"}, {"exponential": "500ms"}])
def test_wrap_up_holds_the_agent_but_not_the_line(wrap_up: Data) -> None:
    found = figures(center(queue(wrap_up=wrap_up), lines=1, duration="4500ms"))
    # 1-2.5 a talk, until 3 wrap-up; the second is blocked; the third comes at 3 and the line is free
    assert (found["queues"]["care"]["answered"], found["queues"]["care"]["blocked"]) == (2, 2)
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx(3.5 / 4.5)


def test_an_agent_holds_as_many_as_the_capacity_says_and_is_busy_by_their_share() -> None:
    found = figures(center(queue(), agents=[{"name": "team", "count": 1, "capacity": {"chat": 2}}]))
    assert means(found["queues"]["care"])["wait_probability"] == 0
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx((1.5 + 1.5 + 0.5) / 2 / 3.5)


def test_without_a_capacity_one_contact_at_once_whatever_its_kind() -> None:
    found = figures(center(queue("chats"), queue("mails", channel="email"), duration="1500ms"))
    assert means(found["queues"]["mails"])["wait_all_s"] == pytest.approx(1.5)


@pytest.mark.parametrize("channel", ["voice", "chat", "sms", "email", "social", "task"])
def test_every_kind_is_served(channel: str) -> None:
    found = figures(center(queue(channel=channel)))["queues"]["care"]
    assert means(found)["wait_all_s"] == pytest.approx(0.5)


def test_work_that_a_call_interrupts_takes_its_time_afterwards() -> None:
    mails = queue("mails", channel="email", every=2, handling={"constant": "2500ms"})
    calls = queue("calls", channel="voice", every=3, handling={"constant": "1s"})
    team = {"name": "team", "count": 1, "capacity": {"voice": 1, "email": 1}}
    found = figures(center(mails, calls, agents=[team], duration="5500ms"))
    # A mail from 2; a call from 3 to 4 parks it; so it ends at 5.5, when the second (of 4) is taken
    assert means(found["queues"]["calls"])["wait_all_s"] == 0
    assert means(found["queues"]["mails"])["wait_answered_s"] == pytest.approx(0.75)
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx(3.5 / 5.5)


def test_a_long_talk_is_not_ended_by_the_router_for_its_silence() -> None:
    found = figures(center(queue(every=3600, handling={"constant": "5h"}), duration="6h"))
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx(5 / 6)


def test_only_the_window_counts_but_it_is_seen_to_its_end() -> None:
    found = figures(center(queue(), warm_up="1500ms", duration="2s"))
    assert found["queues"]["care"]["offered"] == 2
    assert means(found["queues"]["care"])["wait_all_s"] == pytest.approx(0.75)  # of 2 and 3, answered at 2.5 and 4
    assert found["agents"]["team"]["occupancy"]["mean"] == pytest.approx(1)


def test_whoever_can_never_be_served_does_not_keep_us_for_ever() -> None:
    found = figures(center(queue(requires=[{"skill": "nobody's"}]), duration="2500ms"))
    assert found["queues"]["care"]["unfinished"] == 2
    assert found["queues"]["care"]["wait_all_s"] == {"mean": None, "ci95": None}
    assert means(found["queues"]["care"])["wait_probability"] == 1


def test_a_center_without_agents_whose_lines_are_full_ends_too() -> None:
    found = figures(center(queue(), agents=0, lines=1))["queues"]["care"]
    assert (found["offered"], found["blocked"], found["unfinished"]) == (3, 2, 1)


def test_where_nobody_comes_ratios_are_unknown() -> None:
    found = figures(center(queue(arrivals={"per_hour": 0}), agents=0))
    assert found["queues"]["care"]["offered"] == 0
    assert found["queues"]["care"]["wait_probability"] == {"mean": None, "ci95": None}
    assert found["agents"]["team"]["occupancy"] == {"mean": None, "ci95": None}


# -- chance


def test_a_schedule_is_exact_at_its_boundaries_and_repeats() -> None:
    spans = (Span(until=Seconds(10), per_hour=3600), Span(until=Seconds(20), per_hour=0))
    arrivals = Poisson(Arrivals(schedule=spans), lambda: 1 - math.exp(-1.5))
    assert [arrivals.next() for _ in range(9)] == pytest.approx([1.5, 3, 4.5, 6, 7.5, 9, 20.5, 22, 23.5])


def test_a_schedule_passes_whole_periods_in_one_go() -> None:
    spans = (Span(until=Seconds(1), per_hour=3600), Span(until=Seconds(2), per_hour=0))
    arrivals = Poisson(Arrivals(schedule=spans), lambda: 1 - math.exp(-25.25))
    assert [arrivals.next(), arrivals.next()] == pytest.approx([50.25, 100.5])


def test_a_schedule_has_its_rates_in_the_long_run() -> None:
    spans = (Span(until=Seconds(1800), per_hour=100), Span(until=Seconds(3600), per_hour=260))
    arrivals = Poisson(Arrivals(schedule=spans), stream(3, 0, "care", "arrival"))
    times = iter(arrivals.next, None)
    counts = [0, 0]
    for t in times:
        if t >= 3600 * 500:
            break
        counts[int(t % 3600 >= 1800)] += 1
    assert counts[0] == pytest.approx(50 * 500, rel=0.03)
    assert counts[1] == pytest.approx(130 * 500, rel=0.02)


@pytest.mark.parametrize(
    ("given", "mean", "deviation"),
    [
        (Distribution(exponential=Seconds(180)), 180, 180),
        (Distribution(constant=Seconds(60)), 60, 0),
        (Distribution(lognormal=Lognormal(mean=Seconds(180), cv=1.2)), 180, 216),
        (Distribution(lognormal=Lognormal(mean=Seconds(180), cv=0)), 180, 0),
    ],
)
def test_distributions_have_their_moments(given: Distribution, mean: float, deviation: float) -> None:
    draw, count = sampler(given), 200_000
    values = [draw((n + 0.5) / count) for n in range(count)]
    assert math.fsum(values) / count == pytest.approx(mean, rel=0.001)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / count)
    assert spread == pytest.approx(deviation, rel=0.02)
    assert math.isfinite(draw(0.0)) and math.isfinite(draw(1 - 2**-53))


def test_variants_of_a_scenario_meet_the_same_customers() -> None:
    def arrivals(scenario: Scenario) -> list[float]:
        opened = (json.loads(line) for line in journal(scenario) if b"ContactOpened" in line)
        return [t for t, happened in opened if any(event.get("queue") == "q0" for event in happened)]

    few = center(queue(every=20, patience={"exponential": "1s"}), duration="30m")
    many = center(queue(every=20, patience={"exponential": "1s"}), queue("other", every=7), agents=4, duration="30m")
    first, second = arrivals(few), arrivals(many)
    assert len(first) > 50
    assert all(one == other for one, other in zip(first, second, strict=False))


# -- the clock and the numbers


def test_the_clock_has_the_order_of_a_heap() -> None:
    number, clock = stream(5, 0, "", ""), Clock(per_second=40)
    heap: list[tuple[float, int]] = []
    last = 0.0
    for sequence in range(1, 20_001):
        t = last + (0, 0, 10 * number(), 1000 * number())[int(4 * number())]
        clock.add(t, print, None)
        heapq.heappush(heap, (t, sequence))
        while heap and number() < 0.5:
            last, first = heapq.heappop(heap)
            assert (clock.next_at(), clock.take()[1]) == (last, first)
    while heap:
        assert (clock.next_at(), clock.take()[1]) == heapq.heappop(heap)
    assert clock.next_at() == math.inf


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.7062), (2, 4.30265), (7, 2.36462), (39, 2.02269), (9999, 1.96020)]
)
def test_students_t(freedom: int, value: float) -> None:
    assert student_t(0.975, freedom) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        (None, {"chat": 1, "voice": 1}),
        ({"chat": 3}, {"chat": 1 / 3}),
        ({"chat": 7}, {"chat": 1 / 7}),
        ({"voice": 1, "chat": 3}, {"voice": 1, "chat": 1 / 3}),
        ({"chat": 1, "email": 1}, {"chat": 1 / 2, "email": 1 / 2}),
    ],
)
def test_a_contacts_share_of_an_agent(capacity: Any, expected: dict[str, float]) -> None:
    found = shares(Team(name="a", count=1, capacity=capacity))
    assert {kind: found[kind] for kind in expected} == pytest.approx(expected)  # type: ignore[index]


# -- the same seed, the same story

BUSY: Data = {
    "version": 1,
    "seed": 7,
    "replications": 3,
    "warm_up": "10m",
    "duration": "1h",
    "lines": 40,
    "queues": [
        {
            "name": "care",
            "channel": "chat",
            "arrivals": {"schedule": [{"until": "7m", "per_hour": 300}, {"until": "20m", "per_hour": 100}]},
            "handling": {"exponential": "3m"},
            "patience": {"lognormal": {"mean": "2m", "cv": 1.2}},
            "requires": [{"skill": "care", "level": 3}],
            "steps": [{"after": "30s", "requires": []}],
            "service_level": {"within": "20s"},
            "wrap_up": {"exponential": "20s"},
        },
        {
            "name": "mail",
            "channel": "email",
            "arrivals": {"per_hour": 40},
            "handling": {"exponential": "4m"},
            "priority": 2,
        },
    ],
    "agents": [
        {"name": "a", "count": 6, "skills": {"care": 5}, "capacity": {"chat": 2, "email": 1}},
        {"name": "b", "count": 4, "skills": {"care": 2}, "handling": {"exponential": "5m"}},
    ],
}
TELL = """
import hashlib, json, sys
from naru.sim import journal
print(hashlib.sha256(b"".join(journal(json.load(sys.stdin)))).hexdigest())
"""


def test_the_same_seed_gives_the_same_journal_whatever_the_hash_seed() -> None:
    here = hashlib.sha256(b"".join(journal(BUSY))).hexdigest()
    told = [
        subprocess.run(
            [sys.executable, "-c", TELL],
            input=json.dumps(BUSY),
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1")
    ]
    assert told == [here, here]
    assert hashlib.sha256(b"".join(journal({**BUSY, "seed": 8}))).hexdigest() != here


def test_the_figures_do_not_depend_on_the_number_of_processes() -> None:
    shares: list[float] = []
    alone, spread = simulate(BUSY, processes=1), simulate(BUSY, processes=2, progress=shares.append)
    assert json.dumps(alone) == json.dumps(spread)
    assert shares == sorted(shares) and shares[-1] == 1
    assert alone["queues"]["care"]["service_level"]["ci95"] > 0
    assert "service_level" not in alone["queues"]["mail"]


def test_the_command_prints_json_and_writes_the_journal(tmp_path: Path) -> None:
    file, written = tmp_path / "scenario.json", tmp_path / "journal"
    file.write_text(json.dumps({**BUSY, "replications": 1}))
    done = CliRunner().invoke(app, ["simulate", str(file), "--json", "--journal", str(written), "--processes", "1"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == simulate({**BUSY, "replications": 1}, processes=1)
    assert "contacts/s" in done.stderr
    assert written.read_bytes() == b"".join(journal(BUSY))
    table = CliRunner().invoke(app, ["simulate", str(file), "--processes", "1"])
    assert "queue care: " in table.stdout and "all queues" in table.stdout and "agents b: occupancy" in table.stdout


def test_a_scenario_given_as_data_is_checked_too() -> None:
    with pytest.raises(BadScenario):
        simulate({**BUSY, "sead": 1})
