"""Opening hours against tables written by hand, and against a minute hand that walks round the clock."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naru.holidays import expand
from router.calendar import CACHED_DAYS, Calendar, Hours, faults, hours

SEOUL, NEW_YORK, BERLIN = "Asia/Seoul", "America/New_York", "Europe/Berlin"
LORD_HOWE, AUCKLAND = "Australia/Lord_Howe", "Pacific/Auckland"
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
EVERY_DAY = (*WORKDAYS, "sat", "sun")
OFFICE = dict.fromkeys(WORKDAYS, ("09:00-18:00",))
HOUR = 3600.0

KOREA = {
    # 우주항공청 월력요항 2025 (20 June 2024), and the two days that the government added to it later.
    2025: {
        "2025-01-01": "1월 1일",
        "2025-01-27": "임시공휴일",
        "2025-01-28": "설날 전날",
        "2025-01-29": "설날",
        "2025-01-30": "설날 다음 날",
        "2025-03-01": "3·1절",
        "2025-03-03": "대체공휴일(3·1절)",
        "2025-05-05": "어린이날, 부처님 오신 날",
        "2025-05-06": "대체공휴일(부처님 오신 날)",
        "2025-06-03": "임시공휴일(대통령선거)",
        "2025-06-06": "현충일",
        "2025-08-15": "광복절",
        "2025-10-03": "개천절",
        "2025-10-05": "추석 전날",
        "2025-10-06": "추석",
        "2025-10-07": "추석 다음 날",
        "2025-10-08": "대체공휴일(추석)",
        "2025-10-09": "한글날",
        "2025-12-25": "기독탄신일",
    },
    # 월력요항 2026 (30 June 2025), with 노동절 and 제헌절 by the Public Holidays Act as amended in February and April
    # 2026. 현충일 (a Saturday) and 추석 다음 날 (a Saturday, which does not count for 추석) have no substitute.
    2026: {
        "2026-01-01": "1월 1일",
        "2026-02-16": "설날 전날",
        "2026-02-17": "설날",
        "2026-02-18": "설날 다음 날",
        "2026-03-01": "3·1절",
        "2026-03-02": "대체공휴일(3·1절)",
        "2026-05-01": "노동절",
        "2026-05-05": "어린이날",
        "2026-05-24": "부처님 오신 날",
        "2026-05-25": "대체공휴일(부처님 오신 날)",
        "2026-06-03": "전국동시지방선거",
        "2026-06-06": "현충일",
        "2026-07-17": "제헌절",
        "2026-08-15": "광복절",
        "2026-08-17": "대체공휴일(광복절)",
        "2026-09-24": "추석 전날",
        "2026-09-25": "추석",
        "2026-09-26": "추석 다음 날",
        "2026-10-03": "개천절",
        "2026-10-05": "대체공휴일(개천절)",
        "2026-10-09": "한글날",
        "2026-12-25": "기독탄신일",
    },
    # 월력요항 2027 (June 2026). 현충일 is a Sunday and has no substitute.
    2027: {
        "2027-01-01": "1월 1일",
        "2027-02-06": "설날 전날",
        "2027-02-07": "설날",
        "2027-02-08": "설날 다음 날",
        "2027-02-09": "대체공휴일(설날)",
        "2027-03-01": "3·1절",
        "2027-05-01": "노동절",
        "2027-05-03": "대체공휴일(노동절)",
        "2027-05-05": "어린이날",
        "2027-05-13": "부처님 오신 날",
        "2027-06-06": "현충일",
        "2027-07-17": "제헌절",
        "2027-07-19": "대체공휴일(제헌절)",
        "2027-08-15": "광복절",
        "2027-08-16": "대체공휴일(광복절)",
        "2027-09-14": "추석 전날",
        "2027-09-15": "추석",
        "2027-09-16": "추석 다음 날",
        "2027-10-03": "개천절",
        "2027-10-04": "대체공휴일(개천절)",
        "2027-10-09": "한글날",
        "2027-10-11": "대체공휴일(한글날)",
        "2027-12-25": "기독탄신일",
        "2027-12-27": "대체공휴일(기독탄신일)",
    },
}
RED_DAYS = {2025: 68 + 2, 2026: 70 + 2}
"""Sundays and holidays as the almanacs' announcements count them, and the days that law added afterwards."""
DIFFERENCES: dict[int, dict[str, str]] = {2025: {}, 2026: {}, 2027: {}}
"""Dates that `holidays` 0.109 has too many or too few, and what the law says of each. There are none in these years."""


@pytest.mark.parametrize("year", KOREA)
def test_the_package_knows_the_holidays_that_korea_published(year: int) -> None:
    assert set(expand(["KR"], range(year, year + 1))["KR"]) ^ set(KOREA[year]) == set(DIFFERENCES[year])


@pytest.mark.parametrize("year", RED_DAYS)
def test_the_table_has_as_many_red_days_as_the_almanac_announced(year: int) -> None:
    every = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    assert sum(day.weekday() == 6 or day.isoformat() in KOREA[year] for day in every) == RED_DAYS[year]


@pytest.mark.parametrize("year", KOREA)
def test_a_desk_on_korean_hours_is_shut_on_each_of_them_and_says_why(year: int) -> None:
    desk = opened(SEOUL, dict.fromkeys(EVERY_DAY, ("00:00-24:00",)), holidays=("KR",))
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    shut = [day for day in days if desk.open_seconds(at(SEOUL, f"{day} 00:00"), at(SEOUL, f"{day} 23:59")) == 0]
    assert [day.isoformat() for day in shut] == sorted(KOREA[year])
    assert all((desk.why_closed(at(SEOUL, f"{day} 12:00")) or "").startswith("holiday: ") for day in shut)


def at(zone: str, text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(zone: str, moment: float | None) -> str | None:
    return moment if moment is None else f"{datetime.fromtimestamp(moment, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def opened(
    zone: str,
    week: dict[str, tuple[str, ...]],
    holidays: tuple[str, ...] = (),
    days: dict[str, tuple[str, ...]] | None = None,
) -> Hours:
    calendar = Calendar(id="desk", name="Desk", timezone=zone, week=week, holidays=holidays, days=days or {})
    return hours(calendar, "UTC", expand(holidays, range(2024, 2029)))


@pytest.mark.parametrize(
    ("moment", "open_", "opens", "closes"),
    [
        ("2026-11-20 08:59:59", False, "2026-11-20 09:00:00", "2026-11-20 12:00:00"),
        ("2026-11-20 09:00:00", True, "2026-11-20 09:00:00", "2026-11-20 12:00:00"),
        ("2026-11-20 11:59:59", True, "2026-11-20 11:59:59", "2026-11-20 12:00:00"),
        ("2026-11-20 12:00:00", False, "2026-11-20 13:00:00", "2026-11-20 18:00:00"),
        ("2026-11-20 19:00:00", False, "2026-11-20 22:00:00", "2026-11-21 02:00:00"),
        ("2026-11-21 00:00:00", True, "2026-11-21 00:00:00", "2026-11-21 02:00:00"),
        ("2026-11-21 01:59:59", True, "2026-11-21 01:59:59", "2026-11-21 02:00:00"),
        ("2026-11-21 02:00:00", False, "2026-11-22 23:00:00", "2026-11-23 01:00:00"),
        ("2026-11-22 23:59:59", True, "2026-11-22 23:59:59", "2026-11-23 01:00:00"),
    ],
)
def test_several_spans_a_day_and_past_midnight(moment: str, open_: bool, opens: str, closes: str) -> None:
    spans = {"fri": ("22:00-02:00", "13:00-18:00", "09:00-12:00"), "sun": ("23:00-00:00",), "mon": ("00:00-01:00",)}
    desk, t = opened(SEOUL, spans), at(SEOUL, moment)
    assert desk.is_open(t) is open_
    assert (shown(SEOUL, desk.next_open(t)), shown(SEOUL, desk.next_close(t))) == (opens, closes)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (("09:00-13:00", "12:00-18:00"), 9),
        (("09:00-18:00", "10:00-11:00"), 9),
        (("00:00-24:00",), 24),
        (("00:00-00:00",), 24),
        (("22:00-24:00",), 2),
        (("22:00-00:00",), 2),
        (("09:00-09:00",), 24),
        (("09:00-08:59",), 24 - 1 / 60),
    ],
)
def test_spans_that_overlap_are_one_and_an_end_at_or_before_the_start_is_tomorrows(
    spans: tuple[str, ...], expected: float
) -> None:
    desk = opened(SEOUL, {"wed": spans})
    assert desk.open_seconds(at(SEOUL, "2026-11-18 00:00"), at(SEOUL, "2026-11-20 00:00")) == expected * HOUR


def test_a_night_is_not_counted_twice_when_the_next_day_begins_within_it() -> None:
    desk = opened(SEOUL, {"wed": ("22:00-06:00",), "thu": ("05:00-09:00",)})
    assert desk.open_seconds(at(SEOUL, "2026-11-18 00:00"), at(SEOUL, "2026-11-20 00:00")) == 11 * HOUR
    assert shown(SEOUL, desk.next_close(at(SEOUL, "2026-11-18 23:00"))) == "2026-11-19 09:00:00"


def test_a_holiday_closes_its_own_date_and_not_the_night_that_began_before_it() -> None:
    desk = opened(SEOUL, dict.fromkeys(EVERY_DAY, ("22:00-02:00",)), holidays=("KR",))
    night = at(SEOUL, "2026-09-24 01:00")  # the eve of Chuseok, in the night that began on the 23rd
    assert desk.is_open(night)
    assert shown(SEOUL, desk.next_close(night)) == "2026-09-24 02:00:00"
    assert shown(SEOUL, desk.next_open(at(SEOUL, "2026-09-24 02:00"))) == "2026-09-27 22:00:00"


def test_a_one_off_day_beats_a_holiday_and_the_week() -> None:
    days = {"2026-09-25": ("10:00-12:00",), "2026-12-24": (), "2026-11-21": ("09:00-13:00",)}
    desk = opened(SEOUL, OFFICE, holidays=("KR",), days=days)
    assert desk.is_open(at(SEOUL, "2026-09-25 11:00"))
    assert not desk.is_open(at(SEOUL, "2026-12-24 11:00"))
    assert desk.is_open(at(SEOUL, "2026-11-21 11:00"))


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("2026-11-20 10:00", None),
        ("2026-09-25 10:00", "holiday: 추석"),
        ("2026-12-24 10:00", "closed on 2026-12-24"),
        ("2026-11-21 10:00", "outside hours, opens 2026-11-23 09:00"),
        ("2026-12-31 08:00", "outside hours, opens 2026-12-31 13:00"),
    ],
)
def test_it_says_in_plain_words_why_it_is_closed(moment: str, why: str | None) -> None:
    desk = opened(SEOUL, OFFICE, holidays=("KR",), days={"2026-12-24": (), "2026-12-31": ("13:00-15:00",)})
    assert desk.why_closed(at(SEOUL, moment)) == why


ALL_DAY, NIGHT = ("00:00-24:00",), ("22:00-06:00",)
SPRING_NY, AUTUMN_NY = "2026-03-08", "2026-11-01"  # 02:00 to 03:00, and 02:00 back to 01:00


@pytest.mark.parametrize(
    ("zone", "day", "spans", "seconds"),
    [
        (NEW_YORK, SPRING_NY, ALL_DAY, 23 * HOUR),
        (NEW_YORK, AUTUMN_NY, ALL_DAY, 25 * HOUR),
        (BERLIN, "2026-03-29", ALL_DAY, 23 * HOUR),
        (BERLIN, "2026-10-25", ALL_DAY, 25 * HOUR),
        (LORD_HOWE, "2026-10-04", ALL_DAY, 23.5 * HOUR),
        (LORD_HOWE, "2026-04-05", ALL_DAY, 24.5 * HOUR),
        (AUCKLAND, "2026-09-27", ALL_DAY, 23 * HOUR),
        (AUCKLAND, "2026-04-05", ALL_DAY, 25 * HOUR),
        (SEOUL, SPRING_NY, ALL_DAY, 24 * HOUR),
        (NEW_YORK, "2026-03-07", NIGHT, 7 * HOUR),
        (NEW_YORK, "2026-10-31", NIGHT, 9 * HOUR),
        (LORD_HOWE, "2026-10-03", NIGHT, 7.5 * HOUR),
        (LORD_HOWE, "2026-04-04", NIGHT, 8.5 * HOUR),
        # Edges that the clocks skip are the moment of the change.
        (NEW_YORK, SPRING_NY, ("02:30-10:00",), 7 * HOUR),
        (NEW_YORK, SPRING_NY, ("01:00-02:30",), 1 * HOUR),
        (NEW_YORK, SPRING_NY, ("02:30-03:10",), 600),
        (NEW_YORK, SPRING_NY, ("02:10-02:50",), 0),
        (NEW_YORK, SPRING_NY, ("01:00-02:10", "02:20-02:40", "02:50-04:00"), 2 * HOUR),
        (LORD_HOWE, "2026-10-04", ("02:15-03:00",), 0.5 * HOUR),
        # Edges that they show twice are the first showing.
        (NEW_YORK, AUTUMN_NY, ("01:30-02:30",), 2 * HOUR),
        (NEW_YORK, AUTUMN_NY, ("00:30-01:30",), 1 * HOUR),
        (NEW_YORK, AUTUMN_NY, ("01:15-01:45",), 0.5 * HOUR),
        (NEW_YORK, AUTUMN_NY, ("00:00-01:30", "01:30-24:00"), 25 * HOUR),
        (LORD_HOWE, "2026-04-05", ("01:45-02:00",), 0.75 * HOUR),
    ],
)
def test_a_span_is_as_long_in_seconds_as_the_day_makes_it(
    zone: str, day: str, spans: tuple[str, ...], seconds: float
) -> None:
    desk = opened(zone, {}, days={day: spans})
    begin, end = at(zone, f"{day} 00:00"), at(zone, f"{day} 00:00") + 2 * 86400
    assert desk.open_seconds(begin, end) == seconds
    if seconds:
        first = desk.next_open(begin)
        assert first is not None
        assert desk.after(begin, seconds) == desk.next_close(first) == first + seconds


def test_what_closed_at_half_past_one_does_not_open_again_when_the_clock_is_set_back() -> None:
    desk = opened(NEW_YORK, {}, days={AUTUMN_NY: ("00:30-01:30",)})
    assert desk.is_open(at(NEW_YORK, f"{AUTUMN_NY} 01:00"))
    assert not desk.is_open(at(NEW_YORK, f"{AUTUMN_NY} 01:00", fold=1))


def test_a_date_that_an_island_left_out_has_no_hours() -> None:
    desk = opened("Pacific/Apia", dict.fromkeys(EVERY_DAY, ("09:00-17:00",)))
    assert (
        desk.open_seconds(at("Pacific/Apia", "2011-12-29 00:00"), at("Pacific/Apia", "2012-01-01 00:00")) == 16 * HOUR
    )


def test_clocks_set_back_over_midnight_do_not_bring_yesterday_back() -> None:
    """St John's put its clocks from 00:01 back to 23:01 of the day before, until 2011."""
    desk = opened("America/St_Johns", {}, days={"2010-11-06": ALL_DAY, "2010-11-07": ()})
    late = at("America/St_Johns", "2010-11-06 23:30")
    assert desk.is_open(late)
    assert not desk.is_open(at("America/St_Johns", "2010-11-06 23:30", fold=1))
    assert desk.why_closed(late + HOUR) == "closed on 2010-11-07"


@pytest.mark.parametrize(
    ("moment", "seconds", "expected"),
    [
        ("2026-11-20 10:00", 0, "2026-11-20 10:00:00"),
        ("2026-11-20 10:00", 20, "2026-11-20 10:00:20"),
        ("2026-11-20 17:00", HOUR, "2026-11-20 18:00:00"),
        ("2026-11-20 17:00", HOUR + 1, "2026-11-23 09:00:01"),  # a weekend
        ("2026-11-21 03:00", 60, "2026-11-23 09:01:00"),
        ("2026-09-23 17:30", HOUR, "2026-09-28 09:30:00"),  # Chuseok from Thursday, and the weekend after it
        ("2025-10-02 17:30", HOUR, "2025-10-10 09:30:00"),  # the longest: 개천절, Chuseok, its substitute, 한글날
        ("2026-11-23 09:00", 5 * 9 * HOUR, "2026-11-27 18:00:00"),
    ],
)
def test_a_clock_that_pauses_outside_hours(moment: str, seconds: float, expected: str) -> None:
    desk = opened(SEOUL, OFFICE, holidays=("KR",))
    assert shown(SEOUL, desk.after(at(SEOUL, moment), seconds)) == expected


def test_what_never_opens_or_never_closes_says_so_at_once() -> None:
    begin = at(SEOUL, "2026-11-20 10:00")
    never = opened(SEOUL, {}, days={"2026-11-20": ("08:00-09:00",)})
    assert (never.next_open(begin), never.next_close(begin), never.after(begin, 1)) == (None, None, None)
    assert never.open_seconds(begin, begin + 1000 * 86400) == 0
    assert never.why_closed(begin + 86400) == "outside hours, does not open again"
    always = opened(SEOUL, dict.fromkeys(EVERY_DAY, ALL_DAY))
    assert (always.next_open(begin), always.next_close(begin)) == (begin, None)
    assert always.after(begin, 366 * 86400) == begin + 366 * 86400
    thin = opened(SEOUL, {"mon": ("09:00-09:01",)})
    assert thin.after(begin, 366 * 86400) is None
    assert thin.after(begin, float("inf")) is None


def test_what_it_keeps_of_the_past_is_bounded_and_changes_no_answer() -> None:
    desk = opened(NEW_YORK, OFFICE, holidays=("US",))
    begin = at(NEW_YORK, "2024-01-01 00:00")
    counted = [desk.open_seconds(begin + n * 86400, begin + (n + 1) * 86400) for n in range(3000)]
    assert len(desk._cache) <= CACHED_DAYS
    assert counted == [desk.open_seconds(begin + n * 86400, begin + (n + 1) * 86400) for n in range(3000)]


def test_the_last_moment_before_midnight_is_still_todays() -> None:
    desk = opened(SEOUL, {}, days={"2026-11-20": ALL_DAY, "2026-11-21": ()})
    last = math.nextafter(at(SEOUL, "2026-11-21 00:00"), 0)
    assert desk.is_open(last)
    assert (
        desk.next_close(last) == desk.after(last, at(SEOUL, "2026-11-21 00:00") - last) == at(SEOUL, "2026-11-21 00:00")
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"timezone": "Asia/Soul"}, "there is no time zone 'Asia/Soul'"),
        ({"timezone": "../etc/passwd"}, "there is no time zone '../etc/passwd'"),
        ({"timezone": ""}, "there is no time zone ''"),
        (
            {"week": {"monday": ("09:00-18:00",)}},
            "there is no weekday 'monday'; known: mon, tue, wed, thu, fri, sat, sun",
        ),
        ({"week": {"mon": ("9-18",)}}, "mon: '9-18' is no span; write it as 09:00-18:00"),
        ({"week": {"mon": ("24:00-02:00",)}}, "mon: '24:00-02:00' is no span; write it as 09:00-18:00"),
        ({"week": {"mon": ("09:00-24:30",)}}, "mon: '09:00-24:30' is no span; write it as 09:00-18:00"),
        ({"week": {"mon": ("09:00-18:00\n",)}}, "mon: '09:00-18:00\n' is no span; write it as 09:00-18:00"),
        ({"week": {"mon": ("09:00-1\u0968:00",)}}, "mon: '09:00-1\u0968:00' is no span; write it as 09:00-18:00"),
        ({"days": {"2026-02-29": ()}}, "there is no date '2026-02-29'; write it as 2026-12-24"),
        ({"days": {"20261224": ()}}, "there is no date '20261224'; write it as 2026-12-24"),
        ({"days": {"2026-12-24": ("noon",)}}, "2026-12-24: 'noon' is no span; write it as 09:00-18:00"),
        ({"holidays": ("korea",)}, "'korea' is no country; write KR, or US-CA for the holidays of a part of it"),
        ({"week": {"mon": ()}}, "there are no hours in it, so it would never open"),
    ],
)
def test_a_fault_is_told_in_words_that_its_owner_can_act_on(change: dict[str, object], fault: str) -> None:
    sound = Calendar(id="desk", name="Desk", week={"mon": ("09:00-18:00", "22:00-02:00")}, days={"2028-02-29": ()})
    assert faults(sound) == []
    wrong = msgspec.structs.replace(sound, **change)
    assert faults(wrong) == [f"calendar 'desk': {fault}"]
    with pytest.raises(ValueError, match="calendar 'desk': "):
        hours(wrong, SEOUL, {"korea": {}})


def test_a_country_whose_holidays_nobody_gave_is_refused_rather_than_open() -> None:
    calendar = Calendar(id="desk", name="Desk", week=OFFICE, holidays=("KR",))
    with pytest.raises(ValueError, match="no holidays given of 'KR'"):
        hours(calendar, SEOUL, {"US": {}})


def test_without_a_time_zone_of_its_own_the_workspace_decides() -> None:
    desk = hours(Calendar(id="desk", name="Desk", week=OFFICE), BERLIN, {})
    assert shown(BERLIN, desk.next_open(at(BERLIN, "2026-11-21 00:00"))) == "2026-11-23 09:00:00"


@pytest.mark.parametrize(
    "change",
    [
        {"week": {"mon": ["09:00-18:00"] * 11}},
        {"holidays": ["KR"] * 11},
        {"days": {(date(2026, 1, 1) + timedelta(days=n)).isoformat(): [] for n in range(401)}},
        {"colour": "red"},
    ],
)
def test_more_than_anyone_needs_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "desk", "name": "Desk", **change}, Calendar)


def test_a_calendar_reads_back_as_it_was_written() -> None:
    calendar = Calendar(id="desk", name="상담", week=OFFICE, holidays=("KR", "US-CA"), days={"2026-12-24": ()})
    assert msgspec.json.decode(msgspec.json.encode(calendar), type=Calendar) == calendar


# The minute hand: an oracle that knows nothing of seconds since 1970, cut pieces or caches. It walks from minute to
# minute, reads the wall clock, and asks of the spans of today and yesterday whether one holds what it reads. Its clock
# is never set back: while the hour comes round again, it stands still.


def minutes_open(calendar: Calendar, zone: str, closed: set[str], begin: float, count: int) -> Iterator[bool]:
    local, reading = ZoneInfo(zone), datetime(1, 1, 1)  # noqa: DTZ001 - what hangs on the wall has no zone
    warm_up = 26 * 60
    for minute in range(-warm_up, count):
        wall = datetime.fromtimestamp(begin + minute * 60, UTC).astimezone(local).replace(tzinfo=None)
        reading = max(reading, wall)
        if minute >= 0:
            yield any(holds(calendar, closed, reading.date() - timedelta(days=ago), reading) for ago in (0, 1))


def holds(calendar: Calendar, closed: set[str], day: date, reading: datetime) -> bool:
    iso, midnight = day.isoformat(), datetime.combine(day, datetime.min.time())
    spans = calendar.days.get(iso, () if iso in closed else calendar.week.get(EVERY_DAY[day.weekday()], ()))
    for span in spans:
        (hour, minute), (end_hour, end_minute) = (map(int, edge.split(":")) for edge in span.split("-"))
        begins = midnight + timedelta(hours=hour, minutes=minute)
        ends = midnight + timedelta(hours=end_hour, minutes=end_minute)
        if begins <= reading < (ends if ends > begins else ends + timedelta(days=1)):
            return True
    return False


CHANGES = [
    (SEOUL, "2026-11-20"),
    (NEW_YORK, SPRING_NY),
    (NEW_YORK, AUTUMN_NY),
    (BERLIN, "2026-03-29"),
    (BERLIN, "2026-10-25"),
    (LORD_HOWE, "2026-10-04"),
    (LORD_HOWE, "2026-04-05"),
    (AUCKLAND, "2026-09-27"),
    ("America/Santiago", "2025-09-07"),  # midnight itself is skipped
    ("Africa/Cairo", "2024-11-01"),  # set back at midnight, to 23:00
    ("America/St_Johns", "2010-11-07"),
    ("Pacific/Apia", "2011-12-31"),
]
SOME = settings(derandomize=True, deadline=None, max_examples=60, database=None)

near_the_change = st.sampled_from(["00:00", "00:30", "01:00", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00"])
edge = near_the_change | st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
spans_of_a_day = st.lists(
    st.builds("{}-{}".format, edge, edge | st.just("24:00")), min_size=0, max_size=3, unique=True
).map(tuple)


@st.composite
def desks(draw: st.DrawFn) -> tuple[Calendar, str, set[str], float]:
    zone, day = draw(st.sampled_from(CHANGES))
    dates = [(date.fromisoformat(day) + timedelta(days=n)).isoformat() for n in range(-3, 3)]
    calendar = Calendar(
        id="desk",
        name="Desk",
        week={weekday: draw(spans_of_a_day) for weekday in EVERY_DAY} | {"mon": ("09:00-12:00",)},
        holidays=("XX",),
        days=draw(st.dictionaries(st.sampled_from(dates), spans_of_a_day, max_size=2)),
    )
    closed = draw(st.sets(st.sampled_from(dates), max_size=2))
    return calendar, zone, closed, at(zone, f"{day} 12:00") - 36 * HOUR


def desk_of(drawn: tuple[Calendar, str, set[str], float]) -> tuple[Hours, float]:
    calendar, zone, closed, begin = drawn
    return hours(calendar, zone, {"XX": dict.fromkeys(closed, "a holiday")}), begin


@SOME
@given(desks())
def test_it_agrees_with_the_minute_hand(drawn: tuple[Calendar, str, set[str], float]) -> None:
    desk, begin = desk_of(drawn)
    count = 48 * 60
    expected = list(minutes_open(*drawn[:3], begin, count))
    assert [desk.is_open(begin + minute * 60) for minute in range(count)] == expected
    assert [desk.is_open(begin + minute * 60 + 59.9) for minute in range(count)] == expected
    assert desk.open_seconds(begin, begin + count * 60) == sum(expected) * 60


moments = st.floats(-100_000, 400_000).map(lambda x: round(x * 4) / 4)
"""Quarters of a second: what floats add and take away exactly at today's distance from 1970."""
stretches = st.integers(0, 40 * 3600).map(float) | st.floats(0, 4000).map(lambda x: round(x * 4) / 4)


@settings(SOME, max_examples=150)
@given(desks(), moments, stretches)
def test_after_so_much_open_time_just_so_much_has_passed(
    drawn: tuple[Calendar, str, set[str], float], offset: float, seconds: float
) -> None:
    desk, begin = desk_of(drawn)
    t = begin + offset
    due = desk.after(t, seconds)
    assert due is not None
    assert due >= t
    assert desk.open_seconds(t, due) == seconds
    if seconds:
        assert desk.open_seconds(t, due - 0.25) < seconds  # the first such moment


@settings(SOME, max_examples=150)
@given(desks(), st.lists(moments, min_size=3, max_size=3).map(sorted))
def test_open_time_adds_up_and_is_never_more_than_time(
    drawn: tuple[Calendar, str, set[str], float], offsets: list[float]
) -> None:
    desk, begin = desk_of(drawn)
    a, b, c = (begin + offset for offset in offsets)
    assert desk.open_seconds(a, b) + desk.open_seconds(b, c) == desk.open_seconds(a, c)
    assert 0 <= desk.open_seconds(a, c) <= c - a
    assert desk.open_seconds(c, a) == 0


@settings(SOME, max_examples=150)
@given(desks(), moments)
def test_it_opens_when_it_says_and_closes_when_it_says(
    drawn: tuple[Calendar, str, set[str], float], offset: float
) -> None:
    desk, begin = desk_of(drawn)
    t = begin + offset
    opens, closes = desk.next_open(t), desk.next_close(t)
    assert opens is not None
    assert desk.is_open(opens)
    assert desk.is_open(t) == (opens == t) == (desk.why_closed(t) is None)
    assert desk.open_seconds(t, opens) == 0
    if closes is None:
        assert desk.open_seconds(opens, opens + 400 * 86400) == 400 * 86400
    else:
        assert not desk.is_open(closes)
        assert desk.is_open(closes - 0.25)
        assert desk.open_seconds(opens, closes) == closes - opens > 0
