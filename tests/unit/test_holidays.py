"""Public holidays by country, told the same on every machine."""

import pytest

from naru.holidays import expand, known


def test_names_are_the_countrys_own_whatever_the_machine_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    before = expand(["KR", "DE", "US"], range(2026, 2027))
    monkeypatch.setenv("LANGUAGE", "th")
    assert expand(["KR", "DE", "US"], range(2026, 2027)) == before
    assert before["KR"]["2026-09-25"] == "추석"
    assert before["DE"]["2026-10-03"] == "Tag der Deutschen Einheit"
    assert before["US"]["2026-11-26"] == "Thanksgiving Day"


def test_days_on_which_only_some_do_not_work_are_left_out() -> None:
    """Until 2025 the first of May was a paid day off by labour law, and no public holiday; in 2026 it became one."""
    found = expand(["KR"], range(2025, 2027))["KR"]
    assert "2025-05-01" not in found
    assert found["2026-05-01"] == "노동절"


def test_two_holidays_on_a_date_are_both_named() -> None:
    assert set(expand(["KR"], range(2025, 2026))["KR"]["2025-05-05"].split("; ")) == {"어린이날", "부처님오신날"}


def test_a_part_of_a_country_has_its_own_beside_the_countrys() -> None:
    found = expand(["US", "US-CA"], range(2026, 2027))
    assert "2026-11-27" not in found["US"]
    assert found["US-CA"]["2026-11-27"] == "Day After Thanksgiving"
    assert found["US"]["2026-07-03"] == found["US-CA"]["2026-07-03"] == "Independence Day (observed)"


def test_only_the_years_asked_for_come_and_in_order() -> None:
    found = expand(["US", "KR", "US"], range(2021, 2024))
    assert list(found) == ["KR", "US"]
    assert list(found["US"]) == sorted(found["US"])
    assert {day[:4] for day in found["US"]} == {"2021", "2022", "2023"}
    assert expand(["KR"], range(2026, 2026)) == {"KR": {}}


@pytest.mark.parametrize(
    ("country", "words"),
    [
        ("XX", "no holidays are known of country 'XX'"),
        ("kr", "no holidays are known of country 'kr'"),
        ("KOR", "no holidays are known of country 'KOR'"),
        ("UK", "no holidays are known of country 'UK'"),
        ("", "no holidays are known of country ''"),
        ("__", "no holidays are known of country '__'"),
        ("US-ZZ", "no holidays are known of part 'ZZ' of US; known: AK, AL"),
        ("US-", "no holidays are known of part '' of US"),
        ("KR-11", "no holidays are known of part '11' of KR; known: none"),
    ],
)
def test_a_country_that_nobody_knows_is_refused_in_words(country: str, words: str) -> None:
    assert not known(country)
    with pytest.raises(ValueError, match=words):
        expand([country], range(2026, 2027))


def test_known_countries_are_known() -> None:
    assert all(known(country) for country in ("KR", "US", "DE", "JP", "GB", "US-CA", "DE-BY", "BR-São Paulo Capital"))


def test_more_years_than_anyone_plans_for_are_refused() -> None:
    with pytest.raises(ValueError, match="101 years are too many"):
        expand(["KR"], range(2000, 2101))
