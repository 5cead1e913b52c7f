"""The dialler's arithmetic: whatever happens, no more are abandoned than the law allows, and more agents never mean fewer
lines."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router import dialing
from router.dialing import NO_LIMIT, Pace, aim, spare, wanted

ceilings = st.sampled_from([0.01, 0.03, 0.05, 1 / 3, 0.5, 0.97]) | st.floats(0.001, 0.99)
counts = st.integers(0, 100_000)
seconds = st.floats(0, 600)
agents = st.integers(0, 40) | st.integers(0, 2_000)
freed = st.floats(0, 20) | st.floats(0, 2_000)
MODES = ("preview", "direct", "progressive", "power", "predictive")


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    """As calls may have left one, and with any margin that there may be."""
    pace = Pace()
    for rang_s, live in draw(st.lists(st.tuples(seconds, st.booleans()), max_size=40)):
        pace.rang(rang_s, live)
    for talk_s in draw(st.lists(seconds, max_size=5)):
        pace.talked(talk_s)
    for wrap_s in draw(st.lists(seconds, max_size=5)):
        pace.wrapped(wrap_s)
    pace.lines = draw(st.sampled_from([1000, 1000, pace.lines]))
    pace.live = draw(st.sampled_from([pace.live, 0.02, 0.2]))
    pace.margin = draw(st.floats(dialing.LEAST_MARGIN, dialing.MOST_MARGIN))
    return pace


# -- the ceiling


def holds(live: int, abandoned: int, ceiling: float) -> bool:
    return abandoned <= ceiling * live + 1e-6


@given(counts, counts, ceilings)
def test_if_every_line_beyond_the_agents_is_answered_and_abandoned_the_ceiling_still_holds(
    live: int, abandoned: int, ceiling: float
) -> None:
    beyond = spare(live, abandoned, ceiling)
    assert beyond >= 0
    assert beyond == 0 or holds(live + beyond, abandoned + beyond, ceiling)


@given(counts, counts, ceilings)
def test_one_line_more_than_may_ring_would_break_it(live: int, abandoned: int, ceiling: float) -> None:
    more = spare(live, abandoned, ceiling) + 1
    assert abandoned + more > ceiling * (live + more) - 1e-6


def test_where_everybody_may_be_abandoned_there_is_no_limit() -> None:
    assert spare(0, 10, 1.0) == NO_LIMIT


@given(counts, counts, ceilings, st.integers(0, 100_000))
def test_what_is_aimed_at_is_never_over_the_ceiling(live: int, abandoned: int, ceiling: float, ringing: int) -> None:
    assert 0 <= aim(live, abandoned, ceiling, ringing) <= ceiling


class Dialler(RuleBasedStateMachine):
    """Dials whenever it may, and has all the bad luck there is; agents who are kept stay, or their lines are cut."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = self.lines = self.live = self.abandoned = self.waiting = 0

    @property
    def spare(self) -> int:
        return spare(self.live, self.abandoned + self.waiting, 0.3)

    @rule()
    def an_agent_is_free(self) -> None:
        if self.waiting:
            self.waiting -= 1
        else:
            self.kept += 1

    @precondition(lambda self: self.kept > 0)
    @rule()
    def an_agent_goes(self) -> None:
        self.kept -= 1
        self.lines = min(self.lines, self.kept + self.spare)

    @precondition(lambda self: self.lines < self.kept + self.spare)
    @rule(at_once=st.booleans())
    def dials(self, at_once: bool) -> None:
        self.lines += self.kept + self.spare - self.lines if at_once else 1

    @precondition(lambda self: self.lines > 0)
    @rule()
    def somebody_answers(self) -> None:
        self.lines, self.live = self.lines - 1, self.live + 1
        if self.kept:
            self.kept -= 1
        else:
            self.waiting += 1

    @precondition(lambda self: self.lines > 0)
    @rule()
    def nobody_answers(self) -> None:
        self.lines -= 1

    @precondition(lambda self: self.waiting > 0)
    @rule()
    def somebody_is_abandoned(self) -> None:
        self.waiting, self.abandoned = self.waiting - 1, self.abandoned + 1

    @invariant()
    def the_ceiling_holds(self) -> None:
        assert holds(self.live, self.abandoned + self.waiting, 0.3)
        assert self.lines <= self.kept + self.spare, "and no line has to be cut because another was answered"


TestDialler = Dialler.TestCase


# -- how many lines


@given(st.sampled_from(MODES), st.floats(1, 10), paces(), agents, freed)
def test_as_many_lines_as_agents_at_least_and_none_for_nobody(
    mode: dialing.Mode, ratio: float, pace: Pace, held: int, free: float
) -> None:
    assert wanted(mode, ratio, pace, held, free) >= held
    assert wanted(mode, ratio, pace, 0, 0.0) == 0


@given(st.sampled_from(("power", "predictive")), st.floats(1, 10), paces(), agents, agents, freed)
def test_more_agents_never_mean_fewer_lines(
    mode: dialing.Mode, ratio: float, pace: Pace, held: int, more: int, free: float
) -> None:
    assert wanted(mode, ratio, pace, held + more, free) >= wanted(mode, ratio, pace, held, free)


@given(st.sampled_from(("power", "predictive")), st.floats(1, 10), paces(), agents, freed, freed)
def test_more_who_will_be_free_never_mean_fewer_lines(
    mode: dialing.Mode, ratio: float, pace: Pace, held: int, free: float, more: float
) -> None:
    assert wanted(mode, ratio, pace, held, free + more) >= wanted(mode, ratio, pace, held, free)


@given(paces(), agents, freed)
def test_a_wider_margin_never_means_more_lines(pace: Pace, held: int, free: float) -> None:
    assume(pace.margin <= 7)
    before = wanted("predictive", 1, pace, held, free)
    pace.margin += 1
    assert wanted("predictive", 1, pace, held, free) <= before


@given(st.floats(1, 10), agents, freed)
def test_until_enough_calls_are_known_there_is_one_line_for_each_agent(ratio: float, held: int, free: float) -> None:
    assert wanted("predictive", ratio, Pace(), held, free) == held
    assert wanted("progressive", ratio, Pace(), held, free) == held


@pytest.mark.parametrize(
    ("ratio", "held", "lines"), [(1.0, 7, 7), (1.5, 3, 4), (2.3, 10, 23), (1.1, 10, 11), (10.0, 0, 0)]
)
def test_power_is_its_ratio_of_the_agents(ratio: float, held: int, lines: int) -> None:
    assert wanted("power", ratio, Pace(), held, 5.0) == lines


# -- what is measured


@given(st.lists(seconds, min_size=1, max_size=64))
def test_while_they_are_few_a_mean_is_the_mean(values: list[float]) -> None:
    pace = Pace()
    for value in values:
        pace.talked(value)
    assert pace.talk_s == pytest.approx(sum(values) / len(values), abs=1e-6)


@given(st.lists(seconds, min_size=1, max_size=300))
def test_a_mean_lies_among_what_was_measured(values: list[float]) -> None:
    pace = Pace()
    for value in values:
        pace.wrapped(value)
    assert min(values) - 1e-6 <= pace.wrap_s <= max(values) + 1e-6


@given(st.lists(st.floats(0, 100), min_size=300, max_size=300), st.floats(0, 600))
def test_what_is_long_past_is_forgotten(old: list[float], new: float) -> None:
    pace = Pace()
    for value in old:
        pace.talked(value)
    for _ in range(600):
        pace.talked(new)
    assert pace.talk_s == pytest.approx(new, abs=0.1)


@given(paces())
def test_shares_are_shares_and_spreads_are_none_or_more(pace: Pace) -> None:
    assert 0 <= pace.live <= 1
    assert pace.spread_s >= 0
    assert 0 < pace.before <= 1 + 1e-6


@given(paces(), agents, st.lists(seconds, max_size=20))
def test_no_more_will_be_free_than_are_busy_and_never_less_than_none(
    pace: Pace, talking: int, wrapping: list[float]
) -> None:
    free = pace.freed(talking, wrapping)
    assert 0 <= free <= talking + len(wrapping) + 1e-6
    assert pace.freed(talking + 1, wrapping) >= free


@given(paces(), st.lists(st.tuples(st.booleans(), ceilings), max_size=2000))
def test_the_margin_stays_in_its_bounds(pace: Pace, answers: list[tuple[bool, float]]) -> None:
    for abandoned, goal in answers:
        before = pace.margin
        pace.met(abandoned, goal)
        assert dialing.LEAST_MARGIN <= pace.margin <= dialing.MOST_MARGIN
        assert abandoned or pace.margin <= before
        assert not abandoned or pace.margin >= before


@given(st.sampled_from([0.01, 0.03, 0.1]))
def test_the_margin_rests_where_just_the_share_that_is_aimed_at_is_abandoned(goal: float) -> None:
    pace, period = Pace(), round(1 / goal)
    for number in range(20 * period):
        pace.met(number % period == 0, goal)
    assert math.isclose(pace.margin, Pace().margin, abs_tol=0.03)


# -- what was found


def test_the_chance_of_one_more_agent_does_not_take_lines_away_where_few_answer() -> None:
    pace = Pace(lines=1000, live=0.02, margin=2.0)
    assert wanted("predictive", 1, pace, 2, 1.0) >= wanted("predictive", 1, pace, 2, 0.0)


@pytest.mark.parametrize("margin", [-4.0, 2.0, 8.0])
def test_when_everybody_has_gone_home_no_line_rings(margin: float) -> None:
    assert wanted("predictive", 1, Pace(lines=1000, margin=margin), 0, 0.0) == 0


def test_where_everybody_answers_at_once_all_lines_will_have_ended_before_the_next() -> None:
    pace = Pace()
    pace.rang(0.0, live=True)
    assert pace.before == 1
