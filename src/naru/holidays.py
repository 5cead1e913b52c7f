"""The dates on which a country does not work, from the `holidays` package, for calendars to close on.

One rule: the same question has the same answer on every machine, so names are asked for in the country's own language
and never in the environment's. The package knows what was law when it was released: what a government proclaims later
(a 임시공휴일) is a one-off day of the calendar until the package is upgraded.
"""

import re
from collections.abc import Iterable

import holidays
from holidays.constants import PUBLIC

MAX_YEARS = 100

_COUNTRY = re.compile(r"[A-Z]{2}")


def known(country: str) -> bool:
    """Whether there are holidays of a country (`KR`) or of a part of it (`US-CA`)."""
    try:
        _entity(country)
    except ValueError:
        return False
    return True


def expand(countries: Iterable[str], years: range) -> dict[str, dict[str, str]]:
    """Per country, in order of date: ISO date and name of every public holiday. Two on a date are joined by `; `.

    Raises ValueError, in words, for a country or a part of one that is not known, and for more than 100 years.
    """
    if len(years) > MAX_YEARS:
        raise ValueError(f"holidays of {len(years)} years are too many, at most {MAX_YEARS}")
    return {country: _dates(country, years) for country in sorted(set(countries))}


def _dates(country: str, years: range) -> dict[str, str]:
    entity, part = _entity(country)
    if not years:  # to the package, no years mean every year that is asked for later
        return {}
    found = entity(subdiv=part, years=years, language=entity.default_language, categories=(PUBLIC,))
    return {day.isoformat(): name for day, name in sorted(found.items())}


def _entity(country: str) -> tuple[type[holidays.HolidayBase], str | None]:
    code, _, part = country.partition("-")
    entity = getattr(holidays, code, None) if _COUNTRY.fullmatch(code) else None
    # The package also goes by other names of the same country (UK for GB): one of them is enough.
    if entity is None or getattr(entity, "country", None) != code:
        raise ValueError(f"no holidays are known of country '{country[:40]}'; write its two letters, such as KR")
    if not part and "-" not in country:
        return entity, None
    if part not in entity.subdivisions:
        parts = ", ".join(entity.subdivisions) or "none"
        raise ValueError(f"no holidays are known of part '{part[:40]}' of {code}; known: {parts}")
    return entity, part
