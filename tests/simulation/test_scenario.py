"""What may stand in a scenario, and that everything wrong with one is named at once, with its place."""

import copy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from naru.cli import app
from naru.sim import BadScenario, check, parse
from naru.sim.scenario import seconds

FULL = """
version: 1
seed: 7
replications: 8
warm_up: 2h
duration: 48h                  # per replication, after the warm-up
lines: 120
queues:
  - name: care
    channel: voice
    arrivals: {per_hour: 120}
    handling: {exponential: 3m}
    patience: {exponential: 2m}
    priority: 1
    strategy: longest_idle
    requires: [{skill: care, level: 1}]
    steps: [{after: 30s, requires: []}]
    service_level: {within: 20s}
    target: 20s
    max_wait: 10m
    wrap_up: {lognormal: {mean: 30s, cv: 1.2}}
  - name: sales
    channel: chat
    arrivals: {schedule: [{until: 30m, per_hour: 100}, {until: 1h, per_hour: 260}]}
    handling: {constant: 3m}
agents:
  - name: team-a
    count: 10
    skills: {care: 5, sales: 2}
    handling: {exponential: 3m}
    serves_first: [care]
    capacity: {voice: 1, chat: 3}
"""
SMALL: dict[str, Any] = {
    "version": 1,
    "duration": "1h",
    "queues": [{"name": "care", "channel": "chat", "arrivals": {"per_hour": 1}, "handling": {"exponential": "3m"}}],
    "agents": [{"name": "team", "count": 1}],
}
QUEUE = ("queues", 0)
TEAM = ("agents", 0)


def changed(*places: Any) -> dict[str, Any]:
    """SMALL with (path, value) pairs put into it."""
    scenario = copy.deepcopy(SMALL)
    for path, value in places:
        inside: Any = scenario
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = value
    return scenario


def outbound(agents: str = "outbound", **fields: Any) -> Any:
    """A scenario with a campaign, some fields of which are otherwise, or (None) not there."""
    campaign = {
        "name": "renewals",
        "mode": "predictive",
        "ring": {"exponential": "20s"},
        "live_answer": 0.3,
        "handling": {"exponential": "2m"},
        **fields,
    }
    given = {name: value for name, value in campaign.items() if value is not None}
    return changed((("outbound",), [given]), ((*TEAM, "mode"), agents))


def said(data: Any) -> list[str]:
    with pytest.raises(BadScenario) as refused:
        check(data)
    return refused.value.faults


def test_the_whole_format_is_read() -> None:
    scenario = parse(FULL)
    care, sales = scenario.queues
    assert (scenario.warm_up, scenario.duration, scenario.lines) == (7200, 172800, 120)
    assert care.steps[0].requires == () and care.steps[0].after == 30
    assert care.wrap_up is not None and care.wrap_up.lognormal is not None and care.wrap_up.lognormal.mean == 30
    assert sales.arrivals.schedule is not None and sales.arrivals.schedule[1].until == 3600
    assert sales.patience is None and sales.service_level is None and sales.target == 0 and sales.max_wait is None
    assert scenario.agents[0].serves_first == ("care",)


@pytest.mark.parametrize(
    ("written", "means"), [("500ms", 0.5), ("20s", 20), ("2m", 120), ("48h", 172800), ("1d", 86400), ("1.5h", 5400)]
)
def test_durations_are_text(written: str, means: float) -> None:
    assert seconds(written) == pytest.approx(means)


@pytest.mark.parametrize("written", ["20", 20, 1.5, "", "s", "-1s", "1e3s", "20 s", "20S", "1h30m", None, "٣s", "367d"])
def test_what_is_no_duration_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a duration like 20s|is longer than 366d"):
        seconds(written)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (None, "the scenario: is not a mapping of fields"),
        ([], "the scenario: is not a mapping of fields"),
        (changed((("version",), 2)), "version: Invalid enum value 2"),
        (changed((("duration",), "0s")), "duration: must be more than nothing"),
        (changed((("queues",), [])), "queues: there is none, and no outbound work either"),
        (changed((("queues",), {})), "queues: Expected `array`, got `object`"),
        (changed((("queues",), ["care"])), "queues[0]: is not a mapping of fields"),
        (changed((("agents",), [])), "agents: Expected `array` of length >= 1"),
        (changed((("replications",), 10_001)), "replications: Expected `int` <= 10000"),
        (changed((("lines",), 0)), "lines: Expected `int` >= 1"),
        (changed((("inbound",), [])), "inbound: there is no such field; known: version, duration, agents"),
        (outbound("inbound"), "outbound[0]: no agent is outbound or blended"),
        (outbound(mode="fast"), "outbound[0].mode: Invalid enum value 'fast'"),
        (outbound(ring=None), "outbound[0].ring: is missing"),
        (outbound(mode="direct"), "outbound[0].ring: direct work rings nobody"),
        (outbound(ratio=2), "outbound[0].ratio: is for power only"),
        (outbound(live_answer=1.5), "outbound[0].live_answer: Expected `float` <= 1.0"),
        (outbound(backlog="some"), "outbound[0].backlog: Invalid enum value 'some'"),
        (outbound(least_ring="5s"), "outbound[0].least_ring: is shorter than 15s"),
        (
            outbound(reserve={"steer": {"queue": "sales", "service_level": 0.8}}),
            "outbound[0].reserve.steer.queue: there is no queue",
        ),
        (
            outbound(reserve={"steer": {"queue": "care", "service_level": 0.8}}),
            "outbound[0].reserve.steer: queue 'care' has no",
        ),
        (changed(((*QUEUE, "call_back"), {})), "queues[0].call_back: there is no such field"),
        (
            changed(((*QUEUE, "callback"), {"accept": 1})),
            "queues[0].callback: Object missing required field `when_waiting`",
        ),
        (changed(((*QUEUE, "handling"), "foo")), "queues[0].handling: Expected `object`, got `str`"),
        (changed(((*QUEUE, "handling"), {"exponential": "foo"})), "queues[0].handling.exponential: 'foo' is not a dur"),
        (
            changed(((*QUEUE, "handling"), {"exponential": 180})),
            "queues[0].handling.exponential: 180 is not a duration",
        ),
        (changed(((*QUEUE, "handling"), {})), "queues[0].handling: is exactly one of exponential, constant, lognormal"),
        (
            changed(((*QUEUE, "handling"), {"constant": "1s", "exponential": "1s"})),
            "queues[0].handling: is exactly one of exponential, constant, lognormal",
        ),
        (
            changed(((*QUEUE, "patience"), {"lognormal": {"mean": "0s", "cv": 1}})),
            "queues[0].patience.lognormal.mean: must be more than nothing",
        ),
        (
            changed(((*QUEUE, "patience"), {"lognormal": {"mean": "1s", "cv": float("nan")}})),
            "queues[0].patience.lognormal.cv: Expected `float` >= 0.0",
        ),
        (
            changed(((*QUEUE, "patience"), {"lognormal": {"mean": "1s"}})),
            "queues[0].patience.lognormal: Object missing",
        ),
        (changed(((*QUEUE, "arrivals"), {})), "queues[0].arrivals: is exactly one of per_hour, schedule"),
        (changed(((*QUEUE, "arrivals"), {"per_hour": -1})), "queues[0].arrivals.per_hour: Expected `float` >= 0.0"),
        (
            changed(((*QUEUE, "arrivals"), {"per_hour": float("nan")})),
            "queues[0].arrivals.per_hour: Expected `float` >= 0.0",
        ),
        (
            changed(
                (
                    (*QUEUE, "arrivals"),
                    {"schedule": [{"until": "2h", "per_hour": 1}, {"until": "1h", "per_hour": 1}]},
                )
            ),
            "queues[0].arrivals.schedule[1].until: does not come after the one before it",
        ),
        (
            changed(((*QUEUE, "arrivals"), {"schedule": [{"until": "0s", "per_hour": 1}]})),
            "queues[0].arrivals.schedule[0].until: does not come after the one before it",
        ),
        (changed(((*QUEUE, "priority"), 0)), "queues[0].priority: Expected `int` >= 1"),
        (changed(((*QUEUE, "channel"), "fax")), "queues[0].channel: Invalid enum value 'fax'"),
        (changed(((*QUEUE, "strategy"), "random")), "queues[0].strategy: Invalid enum value 'random'"),
        (
            changed(((*QUEUE, "requires"), [{"skill": "a", "level": 6}])),
            "queues[0].requires[0].level: Expected `int` <=",
        ),
        (
            changed(((*QUEUE, "requires"), [{"skill": "brand:x"}])),
            "queues[0].requires[0].skill: Expected `str` matching",
        ),
        (
            changed(((*QUEUE, "steps"), [{"after": "5s"}, {"after": "5s"}])),
            "queues[0].steps[1].after: does not come after the step before it",
        ),
        (changed(((*QUEUE, "wrap_up"), {"constant": "2h"})), "queues[0].wrap_up: is longer than 1h"),
        (changed((("queues",), SMALL["queues"] * 2)), "queues[1].name: 'care' is there twice"),
        (changed((("agents",), SMALL["agents"] * 2)), "agents[1].name: 'team' is there twice"),
        (changed(((*TEAM, "count"), 1_000_001)), "agents[0].count: Expected `int` <= 1000000"),
        (
            changed((("agents",), [{"name": "a", "count": 600_000}, {"name": "b", "count": 600_000}])),
            "agents: are more than 1000000 in all",
        ),
        (changed(((*TEAM, "skills"), {"care": 6})), "agents[0].skills[...]: Expected `int` <= 5"),
        (changed(((*TEAM, "serves_first"), ["sales"])), "agents[0].serves_first[0]: there is no queue 'sales'"),
        (changed(((*TEAM, "serves_first"), ["care"] * 2)), "agents[0].serves_first[1]: 'care' is there twice"),
        (changed(((*TEAM, "serves_first"), ["care"] * 5)), "agents[0].serves_first: Expected `array` of length <= 4"),
        (changed(((*TEAM, "capacity"), {})), "agents[0].capacity: holds nothing"),
        (changed(((*TEAM, "capacity"), {"fax": 1})), "agents[0].capacity: Invalid enum value 'fax'"),
    ],
)
def test_a_fault_is_named_with_its_place(data: Any, fault: str) -> None:
    found = said(data)
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_all_faults_are_named_at_once() -> None:
    broken = changed(
        (("seed",), "x"), ((*QUEUE, "handling"), {"exponential": "foo"}), ((*TEAM, "count"), -1), ((*TEAM, "kount"), 1)
    )
    del broken["queues"][0]["arrivals"]
    assert len(said(broken)) == 5


@pytest.mark.parametrize(
    "text", ["", "a: [", "a: &x 1\nb: *x", "- 1", "[" * 5000, "\x00", "version: 1" + " " * 1_000_000]
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(BadScenario):
        parse(text)


def test_the_command_names_every_fault_and_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(FULL.replace("exponential: 3m", "exponential: foo").replace("seed: 7", "sead: 7"))
    done = CliRunner().invoke(app, ["simulate", str(file), "--json"])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "sead: there is no such field" in done.stderr
    assert "queues[0].handling.exponential: 'foo' is not a duration like 20s" in done.stderr
    assert "agents[0].handling.exponential: 'foo' is not a duration like 20s" in done.stderr
