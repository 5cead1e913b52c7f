"""One workspace's flood does not stand before everybody else's contacts."""

import pytest

from naru.fairness import BURST_S, FULL_PER_S, LAG_RECORDS, Fairness, Throttled


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(fairness: Fairness, workspace: str, tries: int, lag: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            fairness.admit(workspace, lag)
            count += 1
        except Throttled as error:
            assert 0 < error.after_s < 10
    return count


def test_while_the_shard_keeps_up_nobody_is_held_back() -> None:
    assert admitted(Fairness(Clock()), "flood", 100_000, LAG_RECORDS) == 100_000


def test_behind_a_flood_the_others_still_have_their_share() -> None:
    clock = Clock()
    fairness = Fairness(clock)
    lag = 10 * LAG_RECORDS
    assert admitted(fairness, "flood", 5_000, lag) == pytest.approx(FULL_PER_S / 100 * BURST_S, abs=1)
    assert admitted(fairness, "small", 10, lag) == 10
    clock.now += 1
    assert admitted(fairness, "flood", 5_000, lag) == pytest.approx(FULL_PER_S / 100, abs=1)


def test_the_door_narrows_with_the_lag_and_opens_again_when_it_is_worked_off() -> None:
    rates = []
    for lag in (2, 4, 8):
        clock = Clock()
        fairness = Fairness(clock)
        admitted(fairness, "w", 10_000, lag * LAG_RECORDS)
        clock.now += 1
        rates.append(admitted(fairness, "w", 10_000, lag * LAG_RECORDS))
    assert rates[0] > rates[1] > rates[2] > 0
    assert admitted(fairness, "w", 10_000, 0) == 10_000
