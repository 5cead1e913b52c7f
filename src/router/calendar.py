"""Opening hours: whether a desk is open, when that changes, and how much open time lies between two moments.

One rule: the clock on the wall of the calendar's time zone decides, and a date's hours come from the first that speaks
of the date: its one-off days, then the holidays of its countries (closed), then its week.

A span belongs to the date on which it begins, and runs on past midnight whatever the next date is. Spans that overlap
are one. When clocks change, a span covering the change is longer or shorter in seconds by just that; an edge that the
clocks skip over is the moment of the change itself, and an edge that they show twice is its first showing (fold 0 of
PEP 495). So edges keep their order, and nothing that was closed is opened again by a clock set back.

Which dates are holidays is not worked out here but comes in (`naru.holidays` asks the package), because it changes with
governments: a replay must see what was seen.
"""

import math
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple

from msgspec import Meta

from router.model import Name, Slug, Value

Spans = Annotated[tuple[Annotated[str, Meta(max_length=20)], ...], Meta(max_length=10)]
"""Spans of one day as `09:00-18:00`. One that ends at or before its start runs past midnight; `24:00` is an end only."""
Holidays = Mapping[str, Mapping[str, str]]
"""Per country as the calendar names it (`KR`, `US-CA`): ISO date and the holiday's name."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
DAY_S = 86400.0
FOREVER_DAYS = 400
"""What is shut, or open, for so many days on end counts as being so for ever."""
REACH_DAYS = 4000
"""How far ahead `after` looks: what lies beyond is never, so that hours few and far between cost no endless search."""
CACHED_DAYS = 1024

_CLOCK = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_SPAN = re.compile(rf"{_CLOCK}-(?:{_CLOCK}|24:00)")
_COUNTRY = re.compile(r"[A-Z]{2}(-\S.{0,30})?")


class Calendar(Value, frozen=True, kw_only=True):
    """When a desk is open. `timezone` None is the workspace's; a one-off day without spans is closed all day."""

    id: Slug
    name: Name
    timezone: Annotated[str, Meta(max_length=60)] | None = None
    week: Annotated[dict[Annotated[str, Meta(max_length=20)], Spans], Meta(max_length=7)] = {}
    holidays: Annotated[tuple[Annotated[str, Meta(max_length=40)], ...], Meta(max_length=10)] = ()
    days: Annotated[dict[Annotated[str, Meta(max_length=20)], Spans], Meta(max_length=400)] = {}


class Minutes(NamedTuple):
    """A span on the wall clock, in minutes since its date's midnight; `ends` is over 1440 when it runs past the next."""

    begins: int
    ends: int


class Day(NamedTuple):
    """One local date in epoch seconds. `pieces` are what is open of it, in order, never crossing, never empty."""

    begins: float
    ends: float
    pieces: tuple[tuple[float, float], ...]
    open_s: float


def faults(calendar: Calendar) -> list[str]:
    """Everything wrong with a calendar that its types do not already refuse, in words its owner can act on."""
    found = []
    if calendar.timezone is not None and not is_zone(calendar.timezone):
        found.append(f"there is no time zone '{calendar.timezone}'")
    for weekday, spans in calendar.week.items():
        if weekday not in WEEKDAYS:
            found.append(f"there is no weekday '{weekday}'; known: {', '.join(WEEKDAYS)}")
        found += _span_faults(weekday, spans)
    for day, spans in calendar.days.items():
        if _ordinal(day) is None:
            found.append(f"there is no date '{day}'; write it as 2026-12-24")
        found += _span_faults(day, spans)
    for country in calendar.holidays:
        if not _COUNTRY.fullmatch(country):
            found.append(f"'{country}' is no country; write KR, or US-CA for the holidays of a part of it")
    if not any((*calendar.week.values(), *calendar.days.values())):
        found.append("there are no hours in it, so it would never open")
    return [f"calendar '{calendar.id}': {fault}" for fault in found]


def is_zone(name: str) -> bool:
    """Whether the time zone database knows the name."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _span_faults(day: str, spans: Iterable[str]) -> list[str]:
    return [f"{day}: '{span}' is no span; write it as 09:00-18:00" for span in spans if not _SPAN.fullmatch(span)]


def _ordinal(text: str) -> int | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.toordinal() if day.isoformat() == text else None  # `20261224` would be a second name of the same day


def _minutes(span: str) -> Minutes:
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError(f"'{span}' is no span")
    hour, minute, end_hour, end_minute = found.groups()
    begins = int(hour) * 60 + int(minute)
    ends = DAY_MINUTES if end_hour is None else int(end_hour) * 60 + int(end_minute)
    return Minutes(begins, ends if ends > begins else ends + DAY_MINUTES)


def hours(calendar: Calendar, default_zone: str, holidays: Holidays) -> "Hours":
    """A calendar opened for asking, once per configuration; more than the calendar's countries may be given.

    Raises ValueError when the calendar has faults or one of its countries was not given: better than open at Chuseok.
    """
    wrong = faults(calendar)
    wrong += [f"calendar '{calendar.id}': no holidays given of '{c}'" for c in calendar.holidays if c not in holidays]
    if wrong:
        raise ValueError("; ".join(wrong))
    return Hours(calendar, zoneinfo.ZoneInfo(calendar.timezone or default_zone), holidays)


class Hours:
    """An opened calendar. Moments are epoch seconds; an opening holds its first moment and not its last.

    It keeps what it worked out of the dates last asked for. That alone changes, and never an answer.
    """

    def __init__(self, calendar: Calendar, zone: zoneinfo.ZoneInfo, holidays: Holidays) -> None:
        self.calendar = calendar
        self.zone = zone
        self._week = tuple(tuple(map(_minutes, calendar.week.get(weekday, ()))) for weekday in WEEKDAYS)
        self._days = {date.fromisoformat(day).toordinal(): tuple(map(_minutes, s)) for day, s in calendar.days.items()}
        self._holidays: dict[int, str] = {}
        for country in calendar.holidays:
            for day, name in holidays[country].items():
                self._holidays.setdefault(date.fromisoformat(day).toordinal(), name)
        self._cache: dict[int, Day] = {}

    def is_open(self, moment: float) -> bool:
        return any(begins <= moment < ends for begins, ends in self._day(self._date(moment)).pieces)

    def next_open(self, moment: float) -> float | None:
        """The first open moment from this one on, itself when open. None: shut for `FOREVER_DAYS`."""
        return next((begins for begins, _ in self._pieces(moment)), None)

    def next_close(self, moment: float) -> float | None:
        """When the opening ends in which the moment lies, or else the next one. None: never opens, or never closes."""
        opened = closes = self.next_open(moment)
        if opened is None or closes is None:
            return None
        for begins, ends in self._pieces(opened):
            if begins > closes:
                break
            if ends - opened > FOREVER_DAYS * DAY_S:
                return None
            closes = ends
        return closes

    def open_seconds(self, begin: float, end: float) -> float:
        """Open time between two moments, 0 when they are in the wrong order. Costs a step per date between them."""
        total, number = 0.0, self._date(begin)
        while (day := self._day(number)).begins < end:
            if begin <= day.begins and day.ends <= end:
                total += day.open_s
            else:
                total += sum(max(0.0, min(ends, end) - max(begins, begin)) for begins, ends in day.pieces)
            number += 1
        return total

    def after(self, moment: float, seconds: float) -> float | None:
        """The first moment by which so many seconds of open time have passed; the moment itself when none have to.

        None: never, for it is shut for `FOREVER_DAYS` on end first, or `REACH_DAYS` go by.
        """
        if seconds <= 0:
            return moment
        for begins, ends in self._pieces(moment):
            if begins - moment > REACH_DAYS * DAY_S:
                return None
            if seconds <= ends - begins:
                return begins + seconds
            seconds -= ends - begins
        return None

    def why_closed(self, moment: float) -> str | None:
        """Why it is closed, in plain words; None when it is open. Dates and times are the calendar's own."""
        if self.is_open(moment):
            return None
        number = self._date(moment)
        if number in self._days:
            if not self._days[number]:
                return f"closed on {date.fromordinal(number).isoformat()}"
        elif number in self._holidays:
            return f"holiday: {self._holidays[number]}"
        opens = self.next_open(moment)
        if opens is None:
            return "outside hours, does not open again"
        return f"outside hours, opens {datetime.fromtimestamp(opens, self.zone):%Y-%m-%d %H:%M}"

    def _pieces(self, moment: float) -> Iterator[tuple[float, float]]:
        """What is open from the moment on, date by date: an opening across midnight comes in pieces that touch."""
        number, shut = self._date(moment), 0
        while shut < FOREVER_DAYS:
            pieces = self._day(number).pieces
            shut = 0 if pieces else shut + 1
            for begins, ends in pieces:
                if ends > moment:
                    yield max(begins, moment), ends
            number += 1

    def _date(self, moment: float) -> int:
        """The local date, counted from year 1. Clocks set back over midnight do not bring yesterday back."""
        # Rounding to microseconds would take the last of a date for the first of the next.
        number = datetime.fromtimestamp(math.floor(moment), self.zone).toordinal()
        while self._day(number).ends <= moment:
            number += 1
        return number

    def _day(self, number: int) -> Day:
        day = self._cache.get(number)
        if day is None:
            day = self._work_out(number)
            if len(self._cache) >= CACHED_DAYS:
                del self._cache[next(iter(self._cache))]
            self._cache[number] = day
        return day

    def _work_out(self, number: int) -> Day:
        """Spans are joined on the wall clock and only then become seconds: edges keep their order, joins stay joins."""
        night = [s for s in self._spans(number - 1) if s.ends > DAY_MINUTES]
        late = [Minutes(max(s.begins - DAY_MINUTES, 0), s.ends - DAY_MINUTES) for s in night]
        own = [Minutes(s.begins, min(s.ends, DAY_MINUTES)) for s in self._spans(number)]
        edges = [(self._moment(number, s.begins), self._moment(number, s.ends)) for s in _joined(late + own)]
        pieces = tuple((begins, ends) for begins, ends in edges if begins < ends)
        open_s = sum(ends - begins for begins, ends in pieces)
        return Day(self._moment(number, 0), self._moment(number, DAY_MINUTES), pieces, open_s)

    def _spans(self, number: int) -> tuple[Minutes, ...]:
        """The spans that begin on a date."""
        if number in self._days:
            return self._days[number]
        return () if number in self._holidays else self._week[(number - 1) % 7]

    def _moment(self, number: int, minutes: int) -> float:
        wall = datetime.fromordinal(number) + timedelta(minutes=minutes)
        first = wall.replace(tzinfo=self.zone).timestamp()
        second = wall.replace(tzinfo=self.zone, fold=1).timestamp()
        return first if first <= second else self._change(int(second), int(first))

    def _change(self, before: int, after: int) -> float:
        """The moment between two at which the clocks were put forward."""
        old = datetime.fromtimestamp(before, self.zone).utcoffset()
        while after - before > 1:
            middle = (before + after) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == old:
                before = middle
            else:
                after = middle
        return float(after)


def _joined(spans: Iterable[Minutes]) -> list[Minutes]:
    """In order, with what overlaps or touches made one."""
    found: list[Minutes] = []
    for span in sorted(spans):
        if found and span.begins <= found[-1].ends:
            found[-1] = Minutes(found[-1].begins, max(found[-1].ends, span.ends))
        else:
            found.append(span)
    return found
