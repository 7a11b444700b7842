"""Are equality, what never fires, and runs those of the calendar? Held against counting the days of 400 years."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from itertools import cycle, pairwise, product
from zoneinfo import ZoneInfo

import dateutil.tz
import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from kopia_maint import InvalidValue, Schedule

from ..reference.decisions import intervals, never_fires, runs, same
from .schedule_cases import transitions, utc, walk


def test_one_canonical_spelling_per_meaning() -> None:
    """Among many spellings of days, two are equal exactly when they match the same days."""
    canonical: dict[object, set[str]] = {}
    spellings: dict[str, set[object]] = {}
    for parts in product(
        ("*", ",", "*/2", "1-30", "1-29", "29,30", "30,31", "31"),
        ("*", ",", "2", "2,4", "2,4,6,9,11", "1,3,5,7,8,10,12", "4-12"),
        ("*", ",", "0-6", "0"),
    ):
        text = " ".join(("0 0", *parts))
        schedule = Schedule.parse(text)
        canonical.setdefault(runs(text), set()).add(schedule.canonical)
        spellings.setdefault(schedule.canonical, set()).add(runs(text))
        assert schedule.never_fires == never_fires(text)
    assert [some for some in canonical.values() if len(some) > 1] == []
    assert [text for text, some in spellings.items() if len(some) > 1] == []
    assert len(canonical) > 60


def number_lists(low: int, high: int) -> st.SearchStrategy[str]:
    """Return a few numbers, all but a few, or a star, as text."""

    def all_but(gaps: list[int]) -> str:
        edges = [low - 1, *sorted(gaps), high + 1]
        return ",".join(f"{left + 1}-{right - 1}" for left, right in pairwise(edges) if right - left > 1) or ","

    some = st.lists(st.integers(low, high), max_size=3)
    return st.just("*") | some.map(all_but) | some.map(lambda numbers: ",".join(map(str, numbers)) or ",")


FIELDS = [number_lists(*bounds) for bounds in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))]


OTHERS = st.sampled_from(["@daily", "@weekly", "@every 90m", "@every 5400s", "@every 100ms"])
SCHEDULES = st.tuples(*FIELDS).map(" ".join) | OTHERS


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Return two schedules, some of whose fields are the same."""
    one, other = draw(st.tuples(*FIELDS)), draw(st.tuples(*FIELDS))
    taken = draw(st.sets(st.integers(0, 4)))
    return " ".join(one), " ".join(other[at] if at in taken else part for at, part in enumerate(one))


@settings(max_examples=200, deadline=None)
@given(pairs() | st.tuples(SCHEDULES, SCHEDULES))
def test_equality_and_hash_are_the_calendars(texts: tuple[str, str]) -> None:
    """Two schedules are equal exactly when they mean the same; so are hashes."""
    one, other = map(Schedule.parse, texts)
    assert (one == other) == same(*texts)
    assert one != other or hash(one) == hash(other)
    assert one.never_fires == never_fires(texts[0])


def test_intervals_are_those_of_400_years_for_every_kind_of_day() -> None:
    """Dates that only some months or years have, weekdays, either and both; with one time a day, and with many."""
    times = cycle(("0 0", "59 23", "*/7 6-22/5"))
    for time, parts in zip(times, product(("*", "1", "29", "31", "*/2"), ("*", "2", "2,12", "1-11/2"), "*,03")):
        schedule = Schedule.parse(" ".join((time, *parts)))
        assert (schedule.shortest_interval, schedule.longest_interval) == (intervals(schedule.text) or (None, None))


@settings(max_examples=50, deadline=None)
@given(SCHEDULES)
def test_intervals_are_those_of_400_years(text: str) -> None:
    """Whatever the fields; and between two runs of the next there is no less, and no more."""
    schedule = Schedule.parse(text)
    shortest, longest = schedule.shortest_interval, schedule.longest_interval
    assert (shortest, longest) == (intervals(text) or (None, None))
    if shortest is not None and longest is not None:
        gaps = [later - run for run, later in pairwise(schedule.next_runs(utc(2024, 1, 1), 20))]
        assert all(shortest <= gap <= longest for gap in gaps)


@pytest.mark.parametrize(
    ("text", "days"), [("33 * 30 11 4", 33), ("0 0 27 12 1", 12), ("0 12 29 2 1", 310), ("0 0 * * 1", 12)]
)
def test_no_run_is_missing_at_the_end_of_the_calendar(text: str, days: int) -> None:
    """The last runs of the year 9999 are found, also when one of the two day fields has no more dates."""
    end = utc(9999, 12, 31, 23, 58)
    after = end - timedelta(days=days)
    assert Schedule.parse(text).next_runs(after, 1000) == tuple(walk(text, after, end, timezone.utc))


MOVES = [
    move
    for zone, year in (
        *(("America/New_York", 2024), ("Australia/Lord_Howe", 2024), ("America/Sao_Paulo", 2018)),
        *(("Pacific/Apia", 2011), ("Pacific/Chatham", 2024), ("Antarctica/Troll", 2024), ("Asia/Kathmandu", 1985)),
    )
    for move in transitions(zone, utc(year, 1, 1), utc(year + 1, 1, 2))
]
ONLY_OFFSETS = (timezone.utc, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11)))
CLOCKS: list[tuple[tzinfo, datetime]] = [
    *((ZoneInfo(move.zone), move.at - timedelta(hours=40)) for move in MOVES),
    *((zone, utc(2024, 2, 28, 7, 30)) for zone in (ZoneInfo("Asia/Kathmandu"), *ONLY_OFFSETS)),
]


@pytest.mark.parametrize(("zone", "after"), CLOCKS, ids=str)
def test_runs_are_those_of_the_wall_clock(zone: tzinfo, after: datetime) -> None:
    """Walking every minute of three days finds the same runs, where the clock moves and where it does not."""
    until = after + timedelta(hours=84)
    for text in ("*/20 * * * *", "1 0-4 * * *", "30 0,1,2,3 * * *", "46 */3 * * *", "0 0 * * *", "0 12 31 * 0,6"):
        walked = tuple(walk(text, after, until, zone))
        runs = Schedule.parse(text).next_runs(after, len(walked) + 1, tz=zone)
        assert runs[:-1] == walked
        assert runs[-1] > until


def test_a_rare_run_is_found_across_many_transitions() -> None:
    """01:30 on 3 November comes twice in New York in 2024, also when one asks in the winter before."""
    zone, after = ZoneInfo("America/New_York"), utc(2024, 1, 15)
    walked = tuple(walk("30 1 3 11 *", after, utc(2024, 11, 4), zone))
    assert [run.utcoffset() for run in walked] == [timedelta(hours=-4), timedelta(hours=-5)]
    assert Schedule.parse("30 1 3 11 *").next_runs(after, 2, tz=zone) == walked


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
