"""Each country's rules for calls and messages that we begin, as data with their sources, and the one question to them.

The files in `naru/law` are the rules; a figure without a law behind it has the source `house`. What no file covers is
refused. Times are those of whoever is called: where the place is not known, of every place that it may be.
"""

import datetime as dt
import functools
import zoneinfo
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from naru.holidays import expand

FOLDER = Path(__file__).parent.parent / "law"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Consent = Literal["none", "customer", "express"]
"""What a person has agreed to: nothing, nothing but being a customer, or to be called or written to."""
ENOUGH: dict[str, frozenset[str]] = {
    "not_required": frozenset(("none", "customer", "express")),
    "existing_customer": frozenset(("customer", "express")),
    "required": frozenset(("express",)),
}
LOOK_AHEAD_DAYS = 14


class Source(msgspec.Struct, frozen=True):
    id: str
    title: str
    url: str = ""
    says: str = ""
    grade: str = "unverified"


class Window(msgspec.Struct, frozen=True, rename={"begins": "from"}):
    """Local times of day on some days. `until` is the first moment that is too late."""

    days: tuple[str, ...]
    begins: str
    until: str
    source: str = "house"


class Most(msgspec.Struct, frozen=True):
    most: int
    within_days: int
    source: str = "house"


class Ceiling(msgspec.Struct, frozen=True):
    share: float
    window_days: int
    per: str = "campaign"
    source: str = "house"


class Registry(msgspec.Struct, frozen=True):
    """A country's own list of those who want no calls; a copy of it may be so old."""

    name: str
    check_within_days: int
    source: str = "house"


class Calls(msgspec.Struct, frozen=True):
    windows: tuple[Window, ...]
    holidays: Literal["allowed", "refused"]
    attempts: tuple[Most, ...]
    ceiling: Ceiling
    connect_within_s: float = 2
    ring_at_least_s: float = 15
    lock_out_hours: float = 72
    machine_lock_out_hours: float = 24
    consent: Literal["required", "existing_customer", "not_required"] = "required"
    registry: Registry | None = None
    caller_id: str = "required"
    recorded_message: tuple[str, ...] = ()


class Quiet(msgspec.Struct, frozen=True, rename={"begins": "from"}):
    """Night for advertising in these channels. `night_consent`: allowed with a consent of its own."""

    begins: str
    until: str
    channels: tuple[str, ...]
    exempt: tuple[str, ...] = ()
    needs: Literal["night_consent", "refused"] = "refused"
    source: str = "house"


class Messages(msgspec.Struct, frozen=True):
    quiet: Quiet | None = None
    consent: Literal["required", "existing_customer", "not_required"] = "required"
    label: dict[str, str] | None = None
    opt_out: str = ""


class Service(msgspec.Struct, frozen=True):
    """Calls that sell nothing."""

    windows: tuple[Window, ...] = ()
    attempts: tuple[Most, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    country: str
    version: str
    sources: tuple[Source, ...]
    calls: Calls
    messages: Messages
    service_calls: Service = Service()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.country} {self.version}"


@functools.cache
def _files() -> dict[str, dict[str, Any]]:
    """The documents by country, those of parts of one (`US-FL`), and of those that share a document, among them."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        parts = document.pop("countries", {}) or {}
        found[document["country"]] = document
        for place, changes in parts.items():
            found[place] = _laid_over(document, changes) | {"country": place}
    return found


def _laid_over(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What an entry names takes the place of what is there, one field of a section at a time."""
    merged = dict(document)
    for name, value in changes.items():
        inside = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if inside else value
    return merged


@functools.cache
def _rules(place: str) -> Rules | None:
    document = _files().get(place)
    return None if document is None else msgspec.convert(document, Rules)


def places() -> list[str]:
    """Every country, and part of one, that there are rules for."""
    return sorted(_files())


def rules_for(country: str, region: str | None = None) -> Rules | None:
    """The rules of a place. A country of the union without an entry of its own has the common ones."""
    if region:
        found = _rules(f"{country}-{region}")
        if found is not None:
            return found
    return _rules(country) or (_rules("EU") if country in EU else None)


EU = frozenset(
    ("AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU", "MT",
     "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE")
)  # fmt: skip


# -- time


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


@functools.lru_cache(maxsize=500)
def _closed_days(place: str, year: int) -> frozenset[str]:
    country = place.partition("-")[0]
    for known in (place, country):
        try:
            return frozenset(expand([known], range(year, year + 1))[known])
        except ValueError:
            continue
    return frozenset()


def is_open(windows: tuple[Window, ...], closed_on: str | None, local: dt.datetime) -> bool:
    """Whether a local time is inside a window. `closed_on` names the place whose holidays are closed."""
    if closed_on is not None and local.date().isoformat() in _closed_days(closed_on, local.year):
        return False
    minute, day = local.hour * 60 + local.minute, DAYS[local.weekday()]
    return any(day in w.days and _minutes(w.begins) <= minute < _minutes(w.until) for w in windows)


def next_open(windows: tuple[Window, ...], closed_on: str | None, zones: tuple[str, ...], now: float) -> float | None:
    """The first moment from `now` on that is open in every one of the zones, to the quarter of an hour (windows begin on
    none else, nor do zones differ by less); None when there is none within two weeks."""
    return (
        _next_open(windows, closed_on, zones, int(now // 60)) if not _open_in(windows, closed_on, zones, now) else now
    )


def _open_in(windows: tuple[Window, ...], closed_on: str | None, zones: tuple[str, ...], t: float) -> bool:
    return all(is_open(windows, closed_on, dt.datetime.fromtimestamp(t, zoneinfo.ZoneInfo(zone))) for zone in zones)


@functools.lru_cache(maxsize=2_000)
def _next_open(windows: tuple[Window, ...], closed_on: str | None, zones: tuple[str, ...], minute: int) -> float | None:
    quarter = minute // 15 + 1
    for ahead in range(LOOK_AHEAD_DAYS * 96):
        t = (quarter + ahead) * 900.0
        if _open_in(windows, closed_on, zones, t):
            return t
    return None


# -- the question


class Person(msgspec.Struct, frozen=True):
    """What the law asks of whoever is called. `zones` are all that the person may be in; `attempts` when there were any,
    in seconds since the epoch, `lock_until` when an abandoned call may be followed by another."""

    country: str
    region: str | None
    zones: tuple[str, ...]
    consent: Consent = "none"
    night_consent: bool = False
    attempts: tuple[float, ...] = ()
    lock_until: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """`reason` None: allowed. `until`: when it is worth asking again; without it, never, as things are."""

    reason: str | None = None
    until: float | None = None


ALLOWED = Verdict()


class Intent(msgspec.Struct, frozen=True):
    """What is about to be done. `guaranteed`: an agent is there for the one who answers. `ceiling` and `window_days` are
    the campaign's; `registry_at` is when the country's own list was last imported."""

    kind: str
    purpose: Literal["sales", "service"]
    guaranteed: bool = True
    ceiling: float = 0.03
    window_days: int = 30
    registry_at: float | None = None


def may(rules: Rules | None, person: Person, intent: Intent, now: float) -> Verdict:
    """Whether this may be done now. The first reason against it, the lasting ones first."""
    if rules is None:
        return Verdict("no-rules")
    if not person.zones:
        return Verdict("no-zone")
    return _call(rules, person, intent, now) if intent.kind == "voice" else _message(rules, person, intent, now)


def _call(rules: Rules, person: Person, intent: Intent, now: float) -> Verdict:
    calls, sells = rules.calls, intent.purpose == "sales"
    if sells and person.consent not in ENOUGH[calls.consent]:
        return Verdict("no-consent")
    if sells and not intent.guaranteed and _is_over(intent, calls.ceiling):
        return Verdict("ceiling-above-law")
    if sells and calls.registry is not None and person.consent != "express":
        oldest = now - calls.registry.check_within_days * 86_400
        if intent.registry_at is None or intent.registry_at < oldest:
            return Verdict("registry-not-checked", now + 3600)
    if person.lock_until is not None and person.lock_until > now and not intent.guaranteed:
        return Verdict("locked-out", person.lock_until)
    limits = calls.attempts if sells else rules.service_calls.attempts
    again = _attempts_over(limits, person.attempts, now)
    if again is not None:
        return Verdict("attempts", again)
    windows = calls.windows if sells else rules.service_calls.windows
    closed_on = _place(person) if sells and calls.holidays == "refused" else None
    opens = next_open(windows, closed_on, person.zones, now)
    return ALLOWED if opens == now else Verdict("outside-window", opens)


def _is_over(intent: Intent, law: Ceiling) -> bool:
    """A campaign that looks at a longer time than the law could be over it in a shorter."""
    return intent.ceiling > law.share or intent.window_days > law.window_days


def _place(person: Person) -> str:
    return f"{person.country}-{person.region}" if person.region else person.country


def _attempts_over(limits: tuple[Most, ...], attempts: tuple[float, ...], now: float) -> float | None:
    """When the next attempt may be made, None when it may be made now. A day is 24 hours, so that no zone matters."""
    again = now
    for limit in limits:
        span = limit.within_days * 86_400.0
        recent = sorted(t for t in attempts if t > now - span)
        if len(recent) >= limit.most:
            again = max(again, recent[-limit.most] + span)
    return again if again > now else None


def _message(rules: Rules, person: Person, intent: Intent, now: float) -> Verdict:
    messages = rules.messages
    if intent.purpose != "sales":
        return ALLOWED
    if person.consent not in ENOUGH[messages.consent]:
        return Verdict("no-consent")
    quiet = messages.quiet
    if quiet is None or intent.kind in quiet.exempt or intent.kind not in quiet.channels:
        return ALLOWED
    if quiet.needs == "night_consent" and person.night_consent:
        return ALLOWED
    day = (Window(days=DAYS, begins=quiet.until, until=quiet.begins),)
    opens = next_open(day, None, person.zones, now)
    return ALLOWED if opens == now else Verdict("quiet-hours", opens)
