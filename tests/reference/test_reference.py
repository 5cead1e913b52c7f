"""The theory doubted: each formula against a derivation that shares nothing with it, and against numbers in print.

The birth-death chains, the chains of `markov`, the product form, numerical quadrature, and degenerate cases must meet.
At last the tiny simulator runs short versions of all cases: it knows no theory.
"""

import math

import numpy as np
import pytest

from reference import alis, erlang, handling, markov, patience, tiny, varying
from reference.cases import CASES, Case, Path
from reference.student import interval, standard_error, t975

RATES = (1 / 150, 1 / 200)


def birth_death(up: list[float], down: list[float]) -> np.ndarray:
    """Stationary law from the balance equations solved at large, not from the product of ratios."""
    size = len(up) + 1
    generator = np.zeros((size, size))
    for n, rate in enumerate(up):
        generator[n, n + 1], generator[n + 1, n] = rate, down[n]
    generator -= np.diag(generator.sum(axis=1))
    goal = np.append(np.zeros(size), 1.0)
    return np.linalg.lstsq(np.vstack([generator.T, np.ones(size)]), goal, rcond=None)[0]


def waits_by_chain(agents: int, handling_s: float, leave: float, ahead: int, within_s: float) -> tuple[float, ...]:
    """P(answered), E[wait; answered], P(answered within), of somebody behind `ahead` waiting contacts, by an absorbing chain."""
    size = ahead + 1
    move = np.zeros((size, size))
    for k in range(size):
        on = agents / handling_s + k * leave
        move[k, k] = -(on + leave)
        if k:
            move[k, k - 1] = on
    inverse = np.linalg.inv(-move)
    ends = np.zeros(size)
    ends[0] = agents / handling_s
    small = move * within_s / 2**12
    decay = np.linalg.matrix_power(np.eye(size) + small + small @ small / 2, 2**12)
    done = inverse @ (np.eye(size) - decay) @ ends
    return float((inverse @ ends)[-1]), float((inverse @ inverse @ ends)[-1]), float(done[-1])


def near(one: float, other: float, relative: float = 1e-7) -> None:
    assert one == pytest.approx(other, rel=relative, abs=1e-9)


# -- Erlang


def test_erlang_gives_the_numbers_in_print() -> None:
    """Garnett, Mandelbaum and Reiman 2002: 48 calls a minute of one minute, 50 agents, patience of two minutes."""
    theirs = patience.exponential(50, 48 / 60, 60, 120)
    assert round(100 * theirs["abandonment"], 1) == 3.1
    assert round(theirs["wait_all_s"], 1) == 3.7
    assert round(erlang.waiting(50, 48 / 60, 60)["wait_all_s"], 1) == 20.8
    # Tables of Erlang B: 10 lines carry 4.461 erlangs at 1 % loss, 100 lines 84.06.
    assert erlang.erlang_b(10, 4.461) == pytest.approx(0.01, abs=2e-5)
    assert erlang.erlang_b(100, 84.06) == pytest.approx(0.01, abs=2e-5)
    # M/M/1 and M/M/2 by hand: rho, and 2 rho^2 / (1 + rho).
    near(erlang.erlang_c(1, 0.7), 0.7)
    near(erlang.erlang_c(2, 1.2), 2 * 0.36 / 1.6)


@pytest.mark.parametrize(("agents", "load"), [(1, 0.5), (3, 2.0), (12, 9.0), (50, 40.0)])
def test_erlang_c_is_the_birth_and_death_of_contacts(agents: int, load: float) -> None:
    top = agents + int(45 / (1 - load / agents))
    law = birth_death([load / 60] * top, [min(n, agents) / 60 for n in range(1, top + 1)])
    theory = erlang.waiting(agents, load / 60, 60, 10)
    waiting = law[agents:]
    near(theory["wait_probability"], waiting.sum())
    near(theory["wait_all_s"], waiting @ np.arange(len(waiting)) / (load / 60))
    near(theory["occupancy"], law @ np.minimum(np.arange(top + 1), agents) / agents)
    late = sum(p * _poisson_below(n + 1, agents * 10 / 60) for n, p in enumerate(waiting))
    near(theory["service_level"], 1 - late)


def _poisson_below(n: int, mean: float) -> float:
    """P(fewer than n events): n departures have not happened yet."""
    return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(n))


@pytest.mark.parametrize(("agents", "places", "load"), [(1, 4, 2.5), (4, 7, 3.0), (20, 24, 36.0), (5, 5, 4.0)])
def test_bounded_lines_are_a_short_birth_and_death(agents: int, places: int, load: float) -> None:
    law = birth_death([load / 60] * places, [min(n, agents) / 60 for n in range(1, places + 1)])
    theory = erlang.lines(agents, places, load / 60, 60, 15)
    near(theory["blocking"], law[-1])
    near(theory["wait_probability"], law[agents:-1].sum() / (1 - law[-1]))
    near(theory["wait_all_s"], law[agents:] @ np.arange(places - agents + 1) / (load / 60 * (1 - law[-1])))
    in_time = sum(waits_by_chain(agents, 60, 0.0, n - agents, 15)[2] * law[n] for n in range(agents, places))
    near(theory["service_level"], (law[:agents].sum() + in_time) / (1 - law[-1]), 1e-5)
    if agents == places:
        near(theory["blocking"], erlang.erlang_b(agents, load))


def test_many_lines_are_as_good_as_endless_ones() -> None:
    for name, value in erlang.lines(4, 150, 3 / 60, 60).items():
        near(value, erlang.waiting(4, 3 / 60, 60)[name])


# -- patience


@pytest.mark.parametrize(("agents", "load", "patience_s"), [(1, 0.6, 90.0), (3, 3.9, 180.0), (8, 10.0, 60.0)])
def test_erlang_a_is_a_chain_and_an_integral(agents: int, load: float, patience_s: float) -> None:
    handling_s, within = 180.0, 20.0
    rate, leave = load / handling_s, 1 / patience_s
    theory = patience.exponential(agents, rate, handling_s, patience_s, within)
    integral = patience.quadrature(agents, rate, handling_s, lambda x: math.exp(-x * leave), within, 4000.0)
    for name, value in theory.items():
        near(value, integral[name], 1e-5)
    law = birth_death([rate] * 40, [min(n, agents) / handling_s + max(0, n - agents) * leave for n in range(1, 41)])
    near(theory["wait_probability"], law[agents:].sum())
    near(theory["wait_all_s"], law[agents:] @ np.arange(41 - agents) / rate)
    near(theory["abandonment"], law[agents:] @ np.arange(41 - agents) / rate * leave)
    answered = [waits_by_chain(agents, handling_s, leave, n, within) for n in range(12)]
    shares = law[agents : agents + 12]
    near(
        theory["wait_answered_s"] * (1 - theory["abandonment"]),
        sum(p * a[1] for p, a in zip(shares, answered, strict=True)),
        1e-2,
    )
    near(
        theory["service_level"], law[:agents].sum() + sum(p * a[2] for p, a in zip(shares, answered, strict=True)), 1e-3
    )


@pytest.mark.parametrize(("agents", "load", "patience_s"), [(1, 0.8, 120.0), (5, 5.0, 60.0), (5, 7.5, 60.0)])
def test_constant_patience_is_an_integral(agents: int, load: float, patience_s: float) -> None:
    theory = patience.constant(agents, load / 180, 180, patience_s)
    integral = patience.quadrature(agents, load / 180, 180, lambda x: float(x < patience_s), 20.0, 3600.0, 360_000)
    for name, value in theory.items():
        near(value, integral[name], 1e-5)


def test_patience_without_end_is_erlang_c_and_none_is_erlang_b() -> None:
    endless = erlang.waiting(4, 3 / 60, 60)
    for theory in (patience.exponential(4, 3 / 60, 60, 1e9), patience.constant(4, 3 / 60, 60, 3600.0)):
        for name in ("wait_probability", "wait_all_s", "wait_answered_s", "service_level", "occupancy"):
            assert theory[name] == pytest.approx(endless[name], rel=1e-4)
    for theory in (patience.exponential(4, 3 / 60, 60, 1e-6), patience.constant(4, 3 / 60, 60, 1e-6)):
        assert theory["abandonment"] == pytest.approx(erlang.erlang_b(4, 3.0), rel=1e-4)


# -- priorities, handling, schedules


def test_cobham_is_a_chain_with_tiers() -> None:
    rates = [0.5, 0.7]
    classes, total = erlang.priorities(2, rates, 1.0)
    queues = tuple(markov.Queue(arrivals=rate, tier=n) for n, rate in enumerate(rates))
    chain = markov.Center(queues=queues, teams=(markov.Team(count=2, rates=(1.0, 1.0)),), longest=60).solve()
    for theory, exact in zip(classes, chain.queues, strict=True):
        near(theory["wait_all_s"], exact["wait_all_s"])
        near(theory["wait_probability"], exact["wait_probability"])
    near(total["wait_all_s"], erlang.waiting(2, 1.2, 1.0)["wait_all_s"])


def test_three_classes_of_cobham_are_a_chain_with_tiers() -> None:
    rates = [0.3, 0.3, 0.2]
    classes, _ = erlang.priorities(2, rates, 1.0)
    queues = tuple(markov.Queue(arrivals=rate, tier=n) for n, rate in enumerate(rates))
    team = markov.Team(count=2, rates=(1.0, 1.0, 1.0))
    chain = markov.Center(queues=queues, teams=(team,), longest=6, hidden=False).solve()
    for theory, exact in zip(classes, chain.queues, strict=True):
        assert exact["wait_all_s"] == pytest.approx(theory["wait_all_s"], rel=100 * chain.cut)


def test_one_agent_of_any_law_meets_the_exponential_and_the_constant() -> None:
    assert handling.one_agent(0.6, 1.0, 1.0)["wait_all_s"] == pytest.approx(erlang.waiting(1, 0.6, 1.0)["wait_all_s"])
    near(handling.one_agent(0.6, 1.0, 0.0)["wait_all_s"], handling.constant(1, 0.6, 1.0, 0.5)["wait_all_s"])
    classes, _ = erlang.priorities(1, [0.2, 0.5], 1.0)
    for theory, other in zip(classes, handling.one_agent_priorities([(0.2, 1.0, 1.0), (0.5, 1.0, 1.0)]), strict=True):
        near(theory["wait_all_s"], other["wait_all_s"])
    # Kleinrock's conservation: the load-weighted waits do not depend on the order of the classes.
    parts = [(0.3, 0.5, 0.4), (0.2, 1.5, 1.2)]
    there, back = handling.one_agent_priorities(parts), handling.one_agent_priorities(parts[::-1])[::-1]
    weights = [rate * mean for rate, mean, _ in parts]
    near(
        sum(w * f["wait_all_s"] for w, f in zip(weights, there, strict=True)),
        sum(w * f["wait_all_s"] for w, f in zip(weights, back, strict=True)),
    )


def test_constant_handling_waits_as_long_as_its_tail_says() -> None:
    """Franx' distribution, integrated, is Little's mean; and M/D/1 has Erlang's own formula."""
    theory = handling.constant(3, 2.1, 1.0, 0.25)
    steps = 600
    tail = [1 - handling.constant_within(3, 2.1, 1.0, (i + 0.5) * 6 / steps) for i in range(steps)]
    assert sum(tail) * 6 / steps == pytest.approx(theory["wait_all_s"], rel=1e-4)
    near(theory["wait_probability"], 1 - handling.constant_within(3, 2.1, 1.0, 0.0))
    near(handling.constant_within(1, 0.6, 1.0, 0.5), 0.4 * math.exp(0.3))


def test_a_schedule_that_never_changes_is_erlangs() -> None:
    even = [(600.0, 0.02), (300.0, 0.02)]
    for theory, known in (
        (varying.scheduled(3, even, 100), erlang.waiting(3, 0.02, 100)),
        (varying.scheduled(3, even, 100, places=6), erlang.lines(3, 6, 0.02, 100)),
        (varying.scheduled(3, even, 100, leave=1 / 80), patience.exponential(3, 0.02, 100, 80)),
    ):
        for name, value in theory.items():
            near(value, known[name], 1e-6)


def test_a_schedule_follows_small_steps_of_time() -> None:
    """The same chain by Euler's steps, for a second opinion on the exponential of the matrix."""
    segments = [(600.0, 0.01), (900.0, 0.06)]
    law, n, h = np.eye(7)[0], np.arange(7), 0.25
    blocked = offered = 0.0
    for turn in range(4):
        for seconds, rate in segments:
            for _ in range(int(seconds / h)):
                middle = law + h / 2 * _drift(law, rate, n)
                law = law + h * _drift(middle, rate, n)
                if turn == 3:
                    blocked += rate * h * middle[6]
                    offered += rate * h
    assert varying.scheduled(4, segments, 100, places=6)["blocking"] == pytest.approx(blocked / offered, rel=1e-3)


def _drift(law: np.ndarray, rate: float, n: np.ndarray) -> np.ndarray:
    up = np.where(n < 6, rate, 0) * law
    down = np.minimum(n, 4) / 100 * law
    return np.append(0, up[:-1]) + np.append(down[1:], 0) - up - down


# -- skills


DESIGNS = {
    "N": ([0.7, 0.9], [(1, 1.0, {0}), (1, 1.2, {0, 1})]),
    "N, larger": ([1.6, 1.3], [(3, 0.8, {0}), (2, 1.1, {0, 1})]),
    "M": ([0.9, 0.8], [(1, 1.0, {0}), (1, 1.5, {0, 1}), (1, 1.0, {1})]),
    "M, larger": ([1.9, 1.8], [(2, 1.0, {0}), (2, 1.5, {0, 1}), (2, 1.0, {1})]),
    "X": ([0.8, 0.7], [(2, 0.9, {0, 1}), (1, 1.3, {0, 1})]),
}
Design = tuple[list[float], list[tuple[int, float, set[int]]]]


def center(design: Design, load: float = 1.0, **fields: object) -> markov.Center:
    arrivals, teams = design
    return markov.Center(
        queues=tuple(markov.Queue(arrivals=rate * load) for rate in arrivals),
        teams=tuple(
            markov.Team(count=n, rates=tuple(mu if q in serves else None for q in range(len(arrivals))))
            for n, mu, serves in teams
        ),
        **fields,  # type: ignore[arg-type]
    )


def product_form(design: Design, load: float = 1.0) -> tuple[list[dict[str, float]], dict[str, float], list[float]]:
    arrivals, teams = design
    return alis.figures([rate * load for rate in arrivals], [(n, mu, frozenset(serves)) for n, mu, serves in teams])


@pytest.mark.parametrize("name", DESIGNS)
def test_the_chain_and_the_product_form_agree(name: str) -> None:
    chain = center(DESIGNS[name], 0.8, longest=50).solve()
    queues, total, occupancy = product_form(DESIGNS[name], 0.8)
    assert chain.flow < 1e-10 and chain.cut < 1e-9
    for exact, theory in zip((*chain.queues, chain.total), (*queues, total), strict=True):
        near(exact["wait_probability"], theory["wait_probability"], 1e-6)
        near(exact["wait_all_s"], theory["wait_all_s"], 1e-6)
    for share, other in zip(chain.occupancy, occupancy, strict=True):
        near(share, other, 1e-6)


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("more", [{"places": 9}, {"longest": 5}])
def test_a_line_seen_and_a_line_unseen_are_the_same_line(name: str, more: dict[str, int]) -> None:
    seen = center(DESIGNS[name], hidden=False, **more).solve()
    unseen = center(DESIGNS[name], hidden=True, **more).solve()
    assert unseen.states < seen.states + 2
    for one, other in zip((*seen.queues, seen.total), (*unseen.queues, unseen.total), strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert seen.occupancy == pytest.approx(unseen.occupancy, rel=1e-9)


def test_preferences_ranks_and_patience_too_are_the_same_line() -> None:
    queues = tuple(markov.Queue(arrivals=rate, leave=0.4, ranks=ranks) for rate, ranks in ((1.4, (0, 1)), (1.2, ())))
    first = markov.Team(count=1, rates=(1.0, 1.0), first=(1,))
    teams = (markov.Team(count=2, rates=(1.0, None)), first)
    seen = markov.Center(queues=queues, teams=teams, longest=7, hidden=False).solve()
    unseen = markov.Center(queues=queues, teams=teams, longest=7).solve()
    for one, other in zip((*seen.queues, seen.total), (*unseen.queues, unseen.total), strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert seen.occupancy == pytest.approx(unseen.occupancy, rel=1e-9)


def test_a_three_queue_w_is_the_same_by_chain_and_product_form() -> None:
    design: Design = ([0.4, 0.3, 0.4], [(2, 1.0, {0, 1}), (1, 1.2, {1, 2})])
    chain = center(design, 0.6, longest=6, hidden=False).solve()
    queues, _, occupancy = product_form(design, 0.6)
    assert chain.cut < 1e-4
    for exact, theory in zip(chain.queues, queues, strict=True):
        assert exact["wait_all_s"] == pytest.approx(theory["wait_all_s"], rel=3e-3)
        assert exact["wait_probability"] == pytest.approx(theory["wait_probability"], rel=1e-3)
    assert chain.occupancy == pytest.approx(occupancy, rel=1e-3)


def test_skills_that_make_no_difference_are_erlang_c() -> None:
    design: Design = ([1.0, 1.4], [(2, 1.0, {0, 1}), (2, 1.0, {0, 1})])
    known = erlang.waiting(4, 2.4, 1.0)
    queues, total, occupancy = product_form(design)
    chain = center(design, longest=60).solve()
    for figures in (*queues, total, *chain.queues, chain.total):
        near(figures["wait_all_s"], known["wait_all_s"], 1e-6)
        near(figures["wait_probability"], known["wait_probability"], 1e-6)
    assert [*occupancy, *chain.occupancy] == pytest.approx([0.6] * 4, rel=1e-6)


def test_teams_that_share_nothing_are_two_centers() -> None:
    queues, _, _ = product_form(([1.0, 2.0], [(2, 1.0, {0}), (3, 1.0, {1})]))
    near(queues[0]["wait_all_s"], erlang.waiting(2, 1.0, 1.0)["wait_all_s"])
    near(queues[1]["wait_all_s"], erlang.waiting(3, 2.0, 1.0)["wait_all_s"])


def test_names_do_not_matter() -> None:
    arrivals, teams = DESIGNS["M, larger"]
    turned: Design = (arrivals[::-1], [(n, mu, {1 - q for q in serves}) for n, mu, serves in teams[::-1]])
    one, other = center((arrivals, teams), places=9).solve(), center(turned, places=9).solve()
    assert one.occupancy == pytest.approx(other.occupancy[::-1])
    assert one.queues[0] == pytest.approx(other.queues[1])


def test_rates_and_patience_by_queue_that_are_equal_change_nothing() -> None:
    """The branch that remembers what each agent works on must give what the one that forgets it gives."""
    queues = (markov.Queue(arrivals=1.0, leave=0.5), markov.Queue(arrivals=0.8, leave=0.5))
    plain = markov.Center(queues=queues, teams=(markov.Team(count=2, rates=(1.0, 1.0)),), longest=25).solve()
    unlike = markov.Team(count=2, rates=(1.0, 1.0 + 1e-12))
    kept = markov.Center(queues=queues, teams=(unlike,), longest=9, hidden=False).solve()
    assert kept.total == pytest.approx(plain.total, rel=1e-3)
    known = patience.exponential(2, 1.8, 1.0, 2.0)
    near(plain.total["wait_all_s"], known["wait_all_s"], 1e-6)
    near(plain.total["abandonment"], known["abandonment"], 1e-6)


# -- statistics, and the cases themselves


def test_students_t_is_the_one_in_the_tables() -> None:
    for degrees, value in ((1, 12.706), (2, 4.303), (7, 2.365), (19, 2.093), (39, 2.0227), (199, 1.972)):
        assert t975(degrees) == pytest.approx(value, abs=6e-4)
    assert standard_error(interval([1.0, 2.0, 3.0, 4.0]), 4) == pytest.approx(math.sqrt(5 / 3 / 4))


def test_the_cases_are_many_and_short() -> None:
    assert len(CASES) >= 28
    assert len({case.name for case in CASES}) == len({case.scenario["seed"] for case in CASES}) == len(CASES)
    assert sum(case.contacts for case in CASES) < 5_000_000
    assert all(case.scenario["replications"] >= 40 and case.expected for case in CASES)


def told(result: dict[str, object], path: Path) -> dict[str, float]:
    found: object = result
    for name in path:
        assert isinstance(found, dict)
        found = found[name]
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_simulator_that_knows_no_theory_agrees(case: Case) -> None:
    """A tenth of the run, so a coarser comparison: within 4.5 standard errors (some 150 figures are compared)."""
    span = float(case.scenario["duration"][:-1])
    period = 60 if "schedule" in str(case.scenario["queues"]) else 1
    short = case.scenario | {"duration": f"{max(1, round(span / 10 / period)) * period}m"}
    result = tiny.simulate(short)
    for path, mu in case.expected.items():
        figure = told(result, path)
        error = standard_error(figure, short["replications"])
        assert abs(figure["mean"] - mu) <= max(4.5 * error, 5e-4), (path, mu, figure)
