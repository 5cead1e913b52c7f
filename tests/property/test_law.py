"""The law of calls, asked at any moment about anybody: what is allowed is inside the window in every zone where the person
may be, on no closed holiday, within the attempts, with the consent; and what is put off is allowed when it is told to be.

The judge reads the rule files by itself and asks the zone database and the holidays' package directly.
"""

import datetime as dt
import zoneinfo
from pathlib import Path
from typing import Any

import holidays
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from naru.campaigns import law, numbers

FOLDER = Path(law.__file__).parent.parent / "law"
PLACES = [("KR", None), ("JP", None), ("GB", None), ("US", None), ("US", "FL"), ("US", "TX"), ("US", "AL"), ("DE", None),
          ("FR", None), ("ES", None), ("IT", None), ("NL", None)]  # fmt: skip
MOMENTS = st.floats(min_value=1_767_225_600, max_value=1_830_297_600)
"""2026 and 2027."""
SPRING_AND_AUTUMN = [1_774_746_000.0, 1_792_890_000.0, 1_772_953_200.0, 1_793_509_200.0]
"""Around the changes of daylight-saving time of 2026, in Europe and in the United States."""


def document(country: str, region: str | None) -> dict[str, Any]:
    name = country if country in ("KR", "JP", "GB", "US") else "EU"
    known: dict[str, Any] = yaml.safe_load((FOLDER / f"{ {'EU': 'eu'}.get(name, name.lower()) }.yaml").read_text())
    parts = known.get("countries") or {}
    for place in (country, f"{country}-{region}"):
        for section, fields in (parts.get(place) or {}).items():
            known[section] = {**known[section], **fields} if isinstance(fields, dict) else fields
    return known


def is_inside(windows: list[dict[str, Any]], local: dt.datetime) -> bool:
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[local.weekday()]
    clock = f"{local:%H:%M}"
    return any(day in window["days"] and window["from"] <= clock < window["until"] for window in windows)


def is_holiday(country: str, region: str | None, day: dt.date) -> bool:
    try:
        known = holidays.country_holidays(country, subdiv=region, years=day.year)
    except NotImplementedError:
        known = holidays.country_holidays(country, years=day.year)
    return day in known


@st.composite
def people(draw: Any, now: float) -> law.Person:
    country, region = draw(st.sampled_from(PLACES))
    own = draw(st.none() | st.sampled_from(numbers.zones(country, region)))
    return law.Person(
        country=country,
        region=region,
        zones=numbers.zones(country, region, own),
        consent=draw(st.sampled_from(("none", "customer", "express"))),
        night_consent=draw(st.booleans()),
        attempts=tuple(sorted(now - s for s in draw(st.lists(st.floats(0, 40 * 86_400), max_size=9)))),
        lock_until=draw(st.none() | st.floats(now - 86_400, now + 3 * 86_400)),
    )


@st.composite
def questions(draw: Any) -> tuple[law.Person, law.Intent, float]:
    near = st.sampled_from(SPRING_AND_AUTUMN).flatmap(lambda t: st.floats(t - 2 * 86_400, t + 2 * 86_400))
    now = draw(MOMENTS | near)
    intent = law.Intent(
        kind=draw(st.sampled_from(("voice", "voice", "sms", "email", "social"))),
        purpose=draw(st.sampled_from(("sales", "service"))),
        guaranteed=draw(st.booleans()),
        ceiling=draw(st.sampled_from((0.01, 0.03, 0.05))),
        window_days=draw(st.sampled_from((1, 30, 60))),
        registry_at=draw(st.none() | st.floats(now - 60 * 86_400, now)),
    )
    return draw(people(now)), intent, now


def judged(person: law.Person, intent: law.Intent, now: float) -> list[str]:
    """Everything that speaks against what was allowed."""
    rules = document(person.country, person.region)
    calls, sells = rules["calls"], intent.purpose == "sales"
    found = []
    if intent.kind != "voice":
        quiet = rules["messages"].get("quiet") if sells else None
        if (
            quiet
            and intent.kind in quiet["channels"]
            and not (person.night_consent and quiet["needs"] == "night_consent")
        ):
            clocks = [f"{dt.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(zone)):%H:%M}" for zone in person.zones]
            found += [f"quiet at {clock}" for clock in clocks if clock >= quiet["from"] or clock < quiet["until"]]
        return found
    section = calls if sells else rules["service_calls"]
    for zone in person.zones:
        local = dt.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(zone))
        if not is_inside(section["windows"], local):
            found.append(f"outside in {zone}: {local:%a %H:%M}")
        if sells and calls["holidays"] == "refused" and is_holiday(person.country, person.region, local.date()):
            found.append(f"a holiday in {zone}: {local:%d %b}")
    limits = section.get("attempts") or ()
    over = [x for x in limits if sum(t > now - x["within_days"] * 86_400 for t in person.attempts) >= x["most"]]
    found += [f"more than {limit['most']} in {limit['within_days']} days" for limit in over]
    enough = {"required": ("express",), "existing_customer": ("customer", "express")}.get(calls["consent"])
    if sells and enough and person.consent not in enough:
        found.append("no consent")
    if sells and not intent.guaranteed and intent.ceiling > calls["ceiling"]["share"]:
        found.append("a ceiling above the law's")
    if not intent.guaranteed and person.lock_until is not None and person.lock_until > now:
        found.append("locked out")
    return found


@settings(max_examples=1500, deadline=None)
@given(questions())
def test_what_is_allowed_is_lawful(question: tuple[law.Person, law.Intent, float]) -> None:
    person, intent, now = question
    verdict = law.may(law.rules_for(person.country, person.region), person, intent, now)
    if verdict.reason is None:
        assert judged(person, intent, now) == []


@settings(max_examples=600, deadline=None)
@given(questions())
def test_whoever_is_put_off_is_allowed_at_last(question: tuple[law.Person, law.Intent, float]) -> None:
    """Each reason that passes says until when; asked again then it is another, or none, and it comes to an end."""
    person, intent, now = question
    rules = law.rules_for(person.country, person.region)
    for _ in range(20):
        verdict = law.may(rules, person, intent, now)
        if verdict.until is None or verdict.reason == "registry-not-checked":
            break
        assert verdict.until > now
        now = verdict.until
    else:
        raise AssertionError("put off for ever")


def test_a_day_in_new_york_and_in_an_unknown_state() -> None:
    rules, intent = law.rules_for("US"), law.Intent(kind="voice", purpose="sales")
    known = law.Person("US", None, ("America/New_York",), "express")
    unknown = law.Person("US", None, numbers.zones("US"), "express")
    open_, everywhere = [], []
    for quarter in range(96):
        now = dt.datetime(2026, 7, 7, tzinfo=dt.UTC).timestamp() + quarter * 900
        if law.may(rules, known, intent, now).reason is None:
            open_.append(quarter / 4)
        if law.may(rules, unknown, intent, now).reason is None:
            everywhere.append(quarter / 4)
    assert (open_[0], open_[-1]) == (0.0, 23.75) and 1.0 not in open_ and 12.0 in open_ and 11.75 not in open_
    assert (everywhere[0], everywhere[-1]) == (0.0, 23.75) and 12.0 not in everywhere and 18.0 in everywhere


def test_what_no_rules_cover_is_refused() -> None:
    person = law.Person("BR", None, numbers.zones("BR"), "express")
    assert law.may(law.rules_for("BR"), person, law.Intent("voice", "sales"), 1.8e9).reason == "no-rules"
    nowhere = law.Person("US", None, (), "express")
    assert law.may(law.rules_for("US"), nowhere, law.Intent("voice", "sales"), 1.8e9).reason == "no-zone"


def test_a_registry_must_be_fresh_unless_somebody_has_agreed() -> None:
    now = dt.datetime(2026, 7, 7, 12, tzinfo=zoneinfo.ZoneInfo("Asia/Seoul")).timestamp()
    customer = law.Person("KR", None, ("Asia/Seoul",), "customer")
    rules = law.rules_for("KR")
    assert law.may(rules, customer, law.Intent("voice", "sales"), now).reason == "registry-not-checked"
    assert law.may(rules, customer, law.Intent("voice", "sales", registry_at=now - 29 * 86_400), now).reason is not None
    assert law.may(rules, customer, law.Intent("voice", "sales", registry_at=now - 86_400), now).reason is None


@pytest.mark.parametrize("place", law.places())
def test_every_rule_names_a_source_that_there_is(place: str) -> None:
    rules = law.rules_for(*place.split("-"))
    assert rules is not None
    named = {source.id for source in rules.sources}
    told = [
        *rules.calls.windows,
        *rules.calls.attempts,
        rules.calls.ceiling,
        rules.calls.registry,
        rules.messages.quiet,
    ]
    told += [*rules.service_calls.windows, *rules.service_calls.attempts]
    assert {one.source for one in told if one is not None} <= named
