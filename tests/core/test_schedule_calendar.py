"""Are equality, what never fires, and the next runs those of the calendar? Held against counting days and minutes."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from itertools import cycle, pairwise, product
from zoneinfo import ZoneInfo

import dateutil.tz
import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from kopia_maint import InvalidValue, Schedule
from kopia_maint._cron import bit_sets

from .schedule_cases import Transition, day_matches, intervals, transitions, utc, walk

_LENGTHS = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
DAYS = [(month, day, weekday) for month, days in _LENGTHS.items() for day in range(1, days + 1) for weekday in range(7)]
"""Every month, day and weekday that can occur together."""


def meaning(text: str) -> tuple[object, ...] | None:
    """Return all that decides when five fields fire, found by trying every day, or None if nothing ever does."""
    read = bit_sets(text)
    assert isinstance(read, tuple)
    minutes = [minute for minute in range(60) if read[0] >> minute & 1]
    hours = [hour for hour in range(24) if read[1] >> hour & 1]
    days = [day for day in DAYS if day_matches(read, *day)]
    return (*minutes, None, *hours, None, *days) if minutes and hours and days else None


def test_every_date_falls_on_every_weekday() -> None:
    """In 400 years, after which the calendar repeats: so these are the days that equality is decided over."""
    first, last = date(2000, 1, 1), date(2400, 1, 1)
    dates = (date.fromordinal(ordinal) for ordinal in range(first.toordinal(), last.toordinal()))
    assert {(one.month, one.day, one.isoweekday() % 7) for one in dates} == set(DAYS)
    assert first.weekday() == last.weekday()


def test_one_canonical_spelling_per_meaning() -> None:
    """Among many spellings of days, two are equal exactly when they match the same days."""
    canonical: dict[tuple[object, ...] | None, set[str]] = {}
    spellings: dict[str, set[tuple[object, ...] | None]] = {}
    for days, months, weekdays in product(
        ("*", ",", "*/2", "1-31", "1-30", "1-29", "29,30", "30,31", "31", "1"),
        ("*", ",", "2", "4", "2,4,6,9,11", "1,3,5,7,8,10,12", "2,5", "4-12", "1-12"),
        ("*", ",", "0-6", "1-6", "0"),
    ):
        text = f"0 0 {days} {months} {weekdays}"
        schedule, means = Schedule.parse(text), meaning(text)
        canonical.setdefault(means, set()).add(schedule.canonical)
        spellings.setdefault(schedule.canonical, set()).add(means)
        assert schedule.never_fires == (means is None)
    assert [some for some in canonical.values() if len(some) > 1] == []
    assert [text for text, some in spellings.items() if len(some) > 1] == []
    assert len(canonical) > 100


def number_lists(low: int, high: int) -> st.SearchStrategy[str]:
    """Return a few numbers, all but a few, or a star, as text."""

    def all_but(gaps: list[int]) -> str:
        edges = [low - 1, *sorted(gaps), high + 1]
        return ",".join(f"{left + 1}-{right - 1}" for left, right in pairwise(edges) if right - left > 1) or ","

    some = st.lists(st.integers(low, high), max_size=3)
    return st.just("*") | some.map(all_but) | some.map(lambda numbers: ",".join(map(str, numbers)) or ",")


FIELDS = [number_lists(*bounds) for bounds in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))]


@given(st.tuples(*FIELDS), st.tuples(*FIELDS), st.sets(st.integers(0, 4)))
def test_equality_and_hash_are_the_calendars(one: tuple[str, ...], other: tuple[str, ...], taken: set[int]) -> None:
    """Two schedules, some of whose fields are the same, are equal exactly when they mean the same; so are hashes."""
    text = " ".join(one)
    varied = " ".join(other[at] if at in taken else part for at, part in enumerate(one))
    schedule, variant = Schedule.parse(text), Schedule.parse(varied)
    assert (schedule == variant) == (meaning(text) == meaning(varied))
    assert schedule != variant or hash(schedule) == hash(variant)
    assert schedule.never_fires == (meaning(text) is None)


OFTEN = [
    ("0 0 29 2 *", timedelta(days=1461), timedelta(days=2921)),
    ("0 0 31 * *", timedelta(days=31), timedelta(days=61)),
    ("*/7 * * * *", timedelta(minutes=4), timedelta(minutes=7)),
    ("@every 90m", timedelta(minutes=90), timedelta(minutes=90)),
    ("@every 100ms", timedelta(seconds=1), timedelta(seconds=1)),
    ("* * * * *", timedelta(minutes=1), timedelta(minutes=1)),
    ("@yearly", timedelta(days=365), timedelta(days=366)),
    ("0 0 29 2 0", timedelta(days=1), timedelta(days=350)),  # 29 February, and every Sunday in February
    ("59 23,0 * * *", timedelta(minutes=60), timedelta(hours=23)),
    ("0 12 31 12 ,", timedelta(days=365), timedelta(days=366)),
    ("0 0 * 1 1", timedelta(days=7), timedelta(days=343)),
    ("0 0 1 1,3 *", timedelta(days=59), timedelta(days=306)),
]


@pytest.mark.parametrize(("text", "shortest", "longest"), OFTEN)
def test_how_often_a_schedule_runs(text: str, shortest: timedelta, longest: timedelta) -> None:
    """The shortest and the longest time between two runs, across years that have none, too."""
    schedule = Schedule.parse(text)
    assert (schedule.shortest_interval, schedule.longest_interval) == (shortest, longest)


def test_what_never_fires_has_no_intervals() -> None:
    """There are no two runs."""
    for text in ("0 0 30 2 *", ", * * * *", "@every 50000h"):
        schedule = Schedule.parse(text)
        assert (schedule.shortest_interval, schedule.longest_interval) == (None, None)


def test_intervals_are_those_of_400_years_for_every_kind_of_day() -> None:
    """Dates that only some months or years have, weekdays, either and both; with one time a day, and with many."""
    times = cycle(("0 0", "59 23", "*/7 6-22/5"))
    for time, parts in zip(times, product(("*", "1", "29", "31", "*/2"), ("*", "2", "2,12", "1-11/2"), "*,03")):
        text = " ".join((time, *parts))
        schedule = Schedule.parse(text)
        assert (schedule.shortest_interval, schedule.longest_interval) == intervals(text), text


@settings(max_examples=50, deadline=None)
@given(st.tuples(*FIELDS))
def test_intervals_are_those_of_400_years(parts: tuple[str, ...]) -> None:
    """Whatever the fields; and between two runs of the next there is no less, and no more."""
    schedule = Schedule.parse(" ".join(parts))
    shortest, longest = schedule.shortest_interval, schedule.longest_interval
    assert (shortest, longest) == intervals(schedule.text)
    if shortest is not None and longest is not None:
        gaps = [later - run for run, later in pairwise(schedule.next_runs(utc(2024, 1, 1), 20))]
        assert all(shortest <= gap <= longest for gap in gaps)


CANONICAL = [
    ("0 2 1,31 * *", utc(2025, 2, 1, 3), ["2025-03-01T02:00", "2025-03-31T02:00"]),
    ("* * 1,16,31 * *", utc(2038, 2, 26, 0, 59, 30), ["2038-03-01T00:00", "2038-03-01T00:01"]),
    ("0 0 29 2 *", utc(1896, 3, 1), ["1904-02-29T00:00", "1908-02-29T00:00"]),
    ("0 0 29 2 *", utc(2096, 2, 29), ["2104-02-29T00:00", "2108-02-29T00:00"]),
    ("59 23 31 12 *", utc(2024, 12, 31, 23, 59), ["2025-12-31T23:59", "2026-12-31T23:59"]),
    ("0 0 31 * *", utc(2024, 1, 31), ["2024-03-31T00:00", "2024-05-31T00:00", "2024-07-31T00:00", "2024-08-31T00:00"]),
    ("0 12 30,31 * 1", utc(2024, 1, 29, 12), ["2024-01-30T12:00", "2024-01-31T12:00", "2024-02-05T12:00"]),
    ("0 0 29 2 1", utc(2024, 2, 19), ["2024-02-26T00:00", "2024-02-29T00:00", "2025-02-03T00:00"]),
    ("0,30 8-10 * 1,7 0,6", utc(2024, 1, 28, 10), ["2024-01-28T10:30", "2024-07-06T08:00", "2024-07-06T08:30"]),
    ("10-12,59 23 * * *", utc(1999, 12, 31, 23, 11), ["1999-12-31T23:12", "1999-12-31T23:59", "2000-01-01T23:10"]),
    ("* * * * *", utc(1969, 12, 31, 23, 58, 59), ["1969-12-31T23:59", "1970-01-01T00:00", "1970-01-01T00:01"]),
    ("0 0 * * 0", utc(1, 1, 1), ["0001-01-07T00:00", "0001-01-14T00:00", "0001-01-21T00:00"]),
]


@pytest.mark.parametrize(("text", "after", "runs"), CANONICAL)
def test_every_croniter_counts_alike(text: str, after: datetime, runs: list[str]) -> None:
    """Explicit, canonical expressions have these runs, whichever release of croniter does the counting."""
    schedule = Schedule.parse(text)
    assert schedule.canonical == text
    found = schedule.next_runs(after, len(runs))
    assert [run.replace(tzinfo=None).isoformat(timespec="minutes") for run in found] == runs


@pytest.mark.parametrize(
    ("text", "days"), [("33 * 30 11 4", 33), ("0 0 27 12 1", 12), ("0 12 29 2 1", 310), ("0 0 * * 1", 12)]
)
def test_no_run_is_missing_at_the_end_of_the_calendar(text: str, days: int) -> None:
    """The last runs of the year 9999 are found, also when one of the two day fields has no more dates."""
    end = utc(9999, 12, 31, 23, 58)
    after = end - timedelta(days=days)
    assert Schedule.parse(text).next_runs(after, 1000) == tuple(walk(text, after, end, timezone.utc))


CLOCKS = [
    *transitions("America/New_York", utc(2024, 1, 1), utc(2025, 1, 1)),
    *transitions("Australia/Lord_Howe", utc(2024, 1, 1), utc(2025, 1, 1)),
    *transitions("America/Sao_Paulo", utc(2018, 1, 1), utc(2019, 1, 1)),
    *transitions("Pacific/Apia", utc(2011, 12, 1), utc(2012, 1, 1)),
    *transitions("Pacific/Chatham", utc(2024, 1, 1), utc(2025, 1, 1)),
    *transitions("Antarctica/Troll", utc(2024, 1, 1), utc(2025, 1, 1)),
    *transitions("Asia/Kathmandu", utc(1985, 1, 1), utc(1987, 1, 1)),
]


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: f"{clock.zone}-{clock.at:%Y-%m}")
def test_runs_are_those_of_the_wall_clock_around_transitions(clock: Transition) -> None:
    """Walking every minute of the days around a transition finds the runs, no more and no fewer."""
    compare_with_walk(clock.at - timedelta(hours=40), ZoneInfo(clock.zone))


def test_a_rare_run_is_found_across_many_transitions() -> None:
    """01:30 on 3 November comes twice in New York in 2024, also when one asks in the winter before."""
    zone, after = ZoneInfo("America/New_York"), utc(2024, 1, 15)
    walked = tuple(walk("30 1 3 11 *", after, utc(2024, 11, 4), zone))
    assert [run.utcoffset() for run in walked] == [timedelta(hours=-4), timedelta(hours=-5)]
    assert Schedule.parse("30 1 3 11 *").next_runs(after, 2, tz=zone) == walked


@pytest.mark.parametrize(
    "zone",
    [
        ZoneInfo("Asia/Kathmandu"),
        timezone.utc,
        timezone(timedelta(hours=5, minutes=45)),
        timezone(timedelta(hours=-11)),
    ],
    ids=str,
)
def test_runs_are_those_of_the_wall_clock_without_transitions(zone: tzinfo) -> None:
    """So it is where the clock never moves, and with a tzinfo that is only an offset."""
    compare_with_walk(utc(2024, 2, 28, 7, 30), zone)


NEW_YORKS = [ZoneInfo("America/New_York"), pytz.timezone("America/New_York"), dateutil.tz.gettz("America/New_York")]


@pytest.mark.parametrize("zone", NEW_YORKS, ids=lambda zone: type(zone).__module__)
def test_every_library_of_time_zones_gives_the_same_runs(zone: tzinfo) -> None:
    """Also pytz, whose zones are not for datetime's constructor."""
    for text, after in [
        ("0 2 * * *", utc(2024, 1, 15)),
        ("30 1 * * *", utc(2024, 11, 2)),
        ("30 2 * * *", utc(2024, 3, 9)),
    ]:
        walked = walk(text, after, after + timedelta(days=4), ZoneInfo("America/New_York"))
        runs = Schedule.parse(text).next_runs(after, 3, tz=zone)
        assert [run.isoformat() for run in runs] == [run.isoformat() for run, _ in zip(walked, range(3))]
    [run] = Schedule.parse("@every 90m").next_runs(utc(2024, 1, 15).astimezone(zone), 1, tz=zone)
    assert run.isoformat() == "2024-01-14T20:30:00-05:00"


class WithoutFold(tzinfo):
    """New York around November 2024, by somebody who forgot that 01:30 comes twice."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=-4 if when and when.replace(tzinfo=None) < datetime(2024, 11, 3, 2) else -5)  # noqa: DTZ001

    def dst(self, when: datetime | None) -> None: ...

    def tzname(self, when: datetime | None) -> None: ...

    def fromutc(self, when: datetime) -> datetime:
        return when - timedelta(hours=4 if when.replace(tzinfo=timezone.utc) < utc(2024, 11, 3, 6) else 5)


def test_a_zone_that_contradicts_itself_is_refused_from_there_on() -> None:
    """Runs before that are right."""
    daily, after = Schedule.parse("0 2 * * *"), utc(2024, 11, 1)
    assert [run.day for run in daily.next_runs(after, 2, tz=WithoutFold())] == [1, 2]
    for text in ("0 2 * * *", "@every 1h"):
        with pytest.raises(InvalidValue, match=r"tz must know .* WithoutFold does not at 2024-11-03 06:"):
            Schedule.parse(text).next_runs(after, 60, tz=WithoutFold())


def compare_with_walk(after: datetime, zone: tzinfo) -> None:
    """Hold the runs of the next three days and a half against the definition."""
    until = after + timedelta(hours=84)
    for text in ("*/20 * * * *", "1 0-4 * * *", "30 0,1,2,3 * * *", "46 */3 * * *", "0 0 * * *", "0 12 31 * 0,6"):
        walked = tuple(walk(text, after, until, zone))
        runs = Schedule.parse(text).next_runs(after, len(walked) + 1, tz=zone)
        assert runs[:-1] == walked
        assert runs[-1] > until
