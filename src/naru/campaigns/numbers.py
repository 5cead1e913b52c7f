"""Telephone numbers as they are dialled (E.164), and where a person may be by the number, the region, or the zone given."""

import datetime as dt
import functools
import importlib.resources
import zoneinfo

import phonenumbers

from router.calendar import is_zone

US_STATES: dict[str, tuple[str, ...]] = {
    zone: tuple(states.split())
    for zone, states in {
        "America/New_York": "CT DC DE GA MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV FL IN KY TN",
        "America/Chicago": "AL AR IA IL LA MN MO MS OK WI TX KS NE ND SD FL IN KY TN MI",
        "America/Denver": "CO MT NM UT WY ID KS NE ND SD TX OR",
        "America/Phoenix": "AZ",
        "America/Los_Angeles": "CA NV WA OR ID",
        "America/Anchorage": "AK",
        "Pacific/Honolulu": "HI",
    }.items()
}
"""Which zones a state lies in; one that is divided is in both."""


def normal(value: str, country: str | None) -> tuple[str, str] | None:
    """(E.164, its country) of a number that may be dialled; None for what is none."""
    try:
        parsed = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    region = phonenumbers.region_code_for_number(parsed)
    if region is None or region == "001":
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), region


def country_of_zone(zone: str) -> str | None:
    """The country that a time zone is one of."""
    return next((country for country, _, name in _table() if name == zone), None)


@functools.cache
def _table() -> tuple[tuple[str, str, str], ...]:
    """The time-zone database's own: country, place, zone."""
    text = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((row[0], row[1], row[2]) for row in rows)


@functools.cache
def _zones_of_countries() -> dict[str, tuple[str, ...]]:
    """By country, every zone that is in use there."""
    found: dict[str, list[str]] = {}
    for country, _, zone in _table():
        found.setdefault(country, []).append(zone)
    return {country: _distinct(zones) for country, zones in found.items()}


def _distinct(zones: list[str]) -> tuple[str, ...]:
    """One of each that go alike: the same offsets the year through."""
    kept: dict[tuple[object, ...], str] = {}
    for zone in zones:
        kept.setdefault(_offsets(zone), zone)
    return tuple(kept.values())


def _offsets(zone: str) -> tuple[object, ...]:
    known = zoneinfo.ZoneInfo(zone)
    return tuple(
        known.utcoffset(dt.datetime(2026, 1, 1, 12, tzinfo=known) + dt.timedelta(days=7 * n)) for n in range(53)
    )


@functools.lru_cache(maxsize=10_000)
def zones(country: str, region: str | None = None, zone: str | None = None) -> tuple[str, ...]:
    """Every zone in which somebody may be: the one that is given, those of the state, or all of the country."""
    if zone is not None:
        return (zone,) if is_zone(zone) else ()
    if country == "US" and region:
        inside = tuple(name for name, states in US_STATES.items() if region in states)
        if inside:
            return inside
    return _zones_of_countries().get(country, ())
