"""Schedules by example: what is accepted, what is refused and how it says so, what is equal, and when it fires."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kopia_maint import DEFAULT_SCHEDULE, InvalidSchedule, InvalidValue, Schedule

from ..helpers import NOW

# Within a group all are equal, across groups none.
GROUPS = [
    ["0 2 * * *", "00 02 * * *", " 0\t2 ? * ? ", "+0 2 */1 * *", "0 2 1-31 * 1", "0 2 * 1-12 0-6", "0 2 * * SUN-sat"],
    ["0 0 * * *", "@daily", "@midnight"],
    ["0 0 1 1 *", "@yearly", "@annually", "0 0 1 JAN *"],
    ["0 0 1 * *", "@monthly"],
    ["0 0 * * 0", "@weekly", "0 0 * * sun", "0 0 , * 0"],
    ["0 * * * *", "@hourly", "0 0-23 * * *", "0 */1 * * *"],
    ["@every 1h", "@every 60m", "@every 3600s", "@every 1h0.9s", "@every 3600000000us"],
    ["@every 1s", "@every -5h", "@every 0", "@every 1ns"],
    ["0 0 31 5 *", "0 0 31 4,5 *", "0 0 31 5,6 ?"],
    ["0 0 31 * *", "0 0 31 1,3,5,7,8,10,12 *"],
    ["5,20,35,50 * * * *", "5/15 * * * *", "5-59/15 * * * *"],
    ["0 0 1-31/2 * *", "0 0 */2 * ,"],
    ["0 0 * 2 *", "0 0 1-29 2 *", "0 0 1-29 2 1", "0 0 1-30 2 ?"],
    ["0 0 29 2 *"],
    ["0 0 1,15 * 1"],
    ["0 0 13 * 5"],
    ["* * * * *", "*-anything * * * *"],
    ["0 0 30 2 *", ", * * * *", "0 , * * *", "0 0 * , *", "0 0 31 2,4,6,9,11 *", "@every 50000h", "0 0 , * ,"],
]


def test_equality_is_by_meaning() -> None:
    """Spellings of one group are equal and have one hash and one canonical form; groups differ."""
    for group in GROUPS:
        first = Schedule.parse(group[0])
        for text in group:
            assert Schedule.parse(text) == first, text
            assert hash(Schedule.parse(text)) == hash(first)
            assert Schedule.parse(text).canonical == first.canonical
            assert Schedule.parse(first.canonical) == first
    assert len({Schedule.parse(text) for group in GROUPS for text in group}) == len(GROUPS)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0 0 31 1,3,5,7,8,10,12 *", "0 0 31 * *"),
        ("0 0 30,31 1,3-12 *", "0 0 30,31 * *"),
        ("0 0 30 2-4,6 *", "0 0 30 3,4,6 *"),
        ("0 0 31 2,4 1", "0 0 * 2,4 1"),
        ("0 0 1-30 4 0-6", "0 0 * 4 *"),
        ("0 0 , * 1", "0 0 * * 1"),
        ("0 0 1-30 4 ,", "0 0 * 4 *"),
        ("1,2,4,6,7,8 0-22 * jan,feb fri-sat", "1,2,4,6-8 0-22 * 1,2 5,6"),
        ("@every 1h1.9s", "@every 3601s"),
    ],
)
def test_the_canonical_spelling(text: str, canonical: str) -> None:
    """Stars for all, rows of three or more as ranges, and no day or month that can do nothing."""
    assert Schedule.parse(text).canonical == canonical


@pytest.mark.parametrize(
    ("minutes", "canonical"),
    [("1-9/2", "1,3,5,7,9"), ("0-9/10", "0"), ("*/59", "0,59"), ("5/15", "5,20,35,50"), ("58/2", "58"), ("59/2", "59")],
)
def test_steps_reach_the_end_of_their_range_and_no_further(minutes: str, canonical: str) -> None:
    """A range's end is part of it; a number with a step begins a range to the field's end."""
    assert Schedule.parse(f"{minutes} * * * *").canonical == f"{canonical} * * * *"


def test_what_never_fires() -> None:
    """It is a property, not a parse error."""
    for group in GROUPS[:-1]:
        assert not Schedule.parse(group[0]).never_fires
    assert all(Schedule.parse(text).never_fires for text in GROUPS[-1])
    assert Schedule.parse(", * * * *").next_runs(NOW, 3) == ()
    assert not Schedule.parse("@every 43800h").never_fires  # five years, as far as the controller looks ahead
    assert Schedule.parse("@every 43800h1s").never_fires


def test_the_text_is_kept_with_white_space_folded() -> None:
    """It is what is stored and shown."""
    schedule = Schedule.parse("\u2003 0  2\u00a0*\t* * \n")
    assert (schedule.text, str(schedule)) == ("0 2 * * *", "0 2 * * *")
    assert schedule == DEFAULT_SCHEDULE == schedule.parse("0 2 * * *")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "syntax", "found 0"),
        ("0 2 * *", "syntax", "expected 5 fields .* found 4"),
        ("0 0 2 * * *", "syntax", "no field for seconds"),
        ("0 0 2 * * * 2024", "syntax", "no field for seconds or years"),
        ("0 2 * * 7", "syntax", "7 is above the maximum, 6 .Sunday is 0 or sun"),
        ("60 * * * *", "syntax", "minute '60': 60 is above the maximum, 59"),
        ("0 0 0 * *", "syntax", "day-of-month '0': 0 is below the minimum, 1"),
        ("0 0 * 13 *", "syntax", "month"),
        ("5-1 * * * *", "syntax", "begins at 5, after its end at 1"),
        ("0 22-2 * * *", "syntax", "two ranges"),
        ("1-2-3 * * * *", "syntax", "too many hyphens"),
        ("1/2/3 * * * *", "syntax", "too many slashes"),
        ("*/0 * * * *", "syntax", "step must be 1 or more"),
        ("1_0 * * * *", "syntax", "is not a number"),
        ("-5 * * * *", "syntax", "is not a number"),
        ("99999999999999999999 * * * *", "syntax", "out of range"),
        ("*/-1 * * * *", "syntax", "out of range"),
        ("0 0 L * *", "syntax", "other cron dialects"),
        ("0 0 15W * *", "syntax", "other cron dialects"),
        ("0 0 * * MON#2", "syntax", "other cron dialects"),
        ("0 0 * * monday", "syntax", "sun, mon, tue"),
        ("@reboot", "syntax", "cannot run at start-up"),
        ("@Daily", "syntax", "write @daily"),
        (" @daily", "syntax", "found 1"),
        ("@every 1d", "syntax", "largest unit is h"),
        ("@every  1h", "syntax", "not a Go duration"),
        ("@every x", "syntax", "not a Go duration"),
        ("@every 9223372036.854775808s", "syntax", "not a Go duration"),  # 2**63 ns, one more than Go can hold
        ("@every 9223372036.9s", "syntax", "not a Go duration"),
        ("@every 9223372036s1s", "syntax", "not a Go duration"),
        ("@every 18446744073709551617ns", "syntax", "not a Go duration"),
        ("@every", "syntax", "none of"),
        ("TZ=UTC 0 2 * * *", "time-zone", "spec.timeZone"),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", "time-zone", "spec.timeZone"),
        ("\uff10 2 * * *", "unprintable", "U\\+FF10 at position 1"),
        ("*-\x1b[2J * * * *", "unprintable", "U\\+001B"),
        ("0 2 * * *\x1c", "unprintable", "U\\+001C"),
        ("@every 1\u00b5s", "unprintable", "U\\+00B5"),
        (" " * 257, "too-long", "257 characters, at most 256"),
        *(
            (wrong, "syntax", "a schedule must be a string, such as '0 2 \\* \\* \\*', not ")
            for wrong in (5, None, b"0 2 * * *", ["0 2 * * *"], str, Schedule, DEFAULT_SCHEDULE)
        ),
    ],
)
def test_refusals_say_what_is_wrong(text: Any, code: str, says: str) -> None:
    """The code is the kind of refusal; the message names the field, and what to write instead."""
    for read in (Schedule.parse, Schedule):
        with pytest.raises(InvalidSchedule, match=says) as caught:
            read(text)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "text", ["0 2 *", "1 2 3 4 5 6 7 8", "0 0 32 * *", "0 0 * * 8", "0 24 * * *", "5/x * * * *", "@daily2", "@zero"]
)
def test_no_hint_is_given_where_none_is_known(text: str) -> None:
    """A hint about something else would mislead."""
    with pytest.raises(InvalidSchedule) as caught:
        Schedule.parse(text)
    assert caught.value.hint == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0  2 1,40 * *", "40"),
        ("0,15,30 1-5,99 * * *", "99"),
        ("0,15,,61 2 * * *", "61"),
        ("0,15,30 12-18 * JUN foo", "foo"),
        ("CRON_TZ=UTC 0 2 * * *", "TZ"),
        ("TZ=UTC 0 2 * * *", "TZ"),
        ("0 TZ * * *", "TZ"),
        ("5\x1b * * * *", "\x1b"),
        ("5 2\x1b * * *", "\x1b"),
        ("@every 1x", "1x"),
        ("@every  1h ", "1h"),
        ("@every ", "@every"),
        (" @daily", "@daily"),
        ("@daily ", "@daily"),
        ("@nightly", "@nightly"),
        ("0  2 * *", "0 2 * *"),
    ],
)
def test_refusals_say_where(text: str, fault: str) -> None:
    """The span is the place of the fault in the text, white space folded; a position counts from 1."""
    with pytest.raises(InvalidSchedule) as caught:
        Schedule.parse(text)
    folded = " ".join(text.split())
    start = folded.index(fault)
    assert (caught.value.text, caught.value.span) == (folded, (start, start + len(fault)))
    if caught.value.code == "unprintable":
        assert f"at position {start + 1} " in str(caught.value)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but our own error comes out."""
    try:
        schedule = Schedule.parse(text)
    except InvalidSchedule as error:
        assert error.code in {"syntax", "time-zone", "too-long", "unprintable"}
    else:
        assert schedule.text.isprintable()


def runs(text: str, after: datetime, count: int, zone: str) -> list[str]:
    """Return the next runs in a zone as text."""
    found = Schedule.parse(text).next_runs(after, count, tz=ZoneInfo(zone))
    return [run.isoformat(timespec="minutes") for run in found]


def test_next_runs_are_aware_and_strictly_later() -> None:
    """In UTC unless a zone is given."""
    first, second = DEFAULT_SCHEDULE.next_runs(datetime(2024, 1, 15, 2, 0, tzinfo=timezone.utc), 2)
    assert (first.isoformat(), second.isoformat()) == ("2024-01-16T02:00:00+00:00", "2024-01-17T02:00:00+00:00")
    early = datetime(2024, 1, 15, 1, 59, 59, 999_999, tzinfo=timezone.utc)
    assert DEFAULT_SCHEDULE.next_runs(early, 1)[0].day == 15
    assert DEFAULT_SCHEDULE.next_runs(NOW, 0) == ()


def test_a_wall_time_that_is_skipped_does_not_fire() -> None:
    """02:30 does not exist on 10 March 2024 in New York."""
    after = datetime(2024, 3, 9, 12, 0, tzinfo=timezone.utc)
    assert runs("30 2 * * *", after, 2, "America/New_York") == ["2024-03-11T02:30-04:00", "2024-03-12T02:30-04:00"]
    # The second from which one looks makes no difference, nor does a run at the very instant of the change.
    for second in (0, 1, 2):
        found = runs("0 2 * * *", after.replace(second=second), 1, "America/New_York")
        assert found == ["2024-03-11T02:00-04:00"]


def test_a_wall_time_that_occurs_twice_fires_twice() -> None:
    """01:30 comes twice on 3 November 2024 in New York; a finer schedule keeps its order."""
    after = datetime(2024, 11, 3, 4, 0, tzinfo=timezone.utc)
    assert runs("30 1 * * *", after, 3, "America/New_York") == [
        "2024-11-03T01:30-04:00",
        "2024-11-03T01:30-05:00",
        "2024-11-04T01:30-05:00",
    ]
    assert runs("0,45 1 * * *", after, 4, "America/New_York")[1:3] == [
        "2024-11-03T01:45-04:00",
        "2024-11-03T01:00-05:00",
    ]


def test_a_lost_day_is_lost() -> None:
    """30 December 2011 did not take place in Apia."""
    after = datetime(2011, 12, 29, 12, 0, tzinfo=timezone.utc)
    assert runs("0 12 * * *", after, 2, "Pacific/Apia") == ["2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00"]


def test_every_counts_from_after() -> None:
    """From whole seconds."""
    found = Schedule.parse("@every 90m").next_runs(NOW.replace(microsecond=7), 2)
    assert found == (NOW + timedelta(minutes=90), NOW + timedelta(minutes=180))


@pytest.mark.parametrize("text", ["0 0 29 2 *", "59 23 31 12 *", "@every 8760h", "* * * * *"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_fewer_runs_come_back_when_the_calendar_ends(text: str, zone: str) -> None:
    """In the year 9999."""
    after = (
        datetime(9999, 12, 31, 9, 58, tzinfo=timezone.utc)
        if text[0] == "*"
        else datetime(9996, 6, 1, tzinfo=timezone.utc)
    )
    found = Schedule.parse(text).next_runs(after, 2000, tz=ZoneInfo(zone))
    assert len(found) < 2000
    assert list(found) == sorted(set(found))


def test_the_calendar_begins_in_the_year_1() -> None:
    """The first minute that a datetime can express."""
    first = datetime(1, 1, 1, tzinfo=timezone.utc)
    assert Schedule.parse("* * * * *").next_runs(first, 1) == (first + timedelta(minutes=1),)
    assert Schedule.parse("0 0 29 2 *").next_runs(first, 1)[0].year == 4


class Zone(tzinfo):
    """A zone as a user may write one."""

    def __init__(self, offset: timedelta | None = timedelta(hours=5)) -> None:
        self.offset = offset

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return self.offset

    def dst(self, when: datetime | None) -> timedelta | None:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> str:
        return "zone"


class Raises(Zone):
    def utcoffset(self, when: datetime | None) -> timedelta:
        raise RuntimeError("boom")


class OtherClock(Zone):
    def fromutc(self, when: datetime) -> datetime:
        return when + timedelta(hours=1)


class NoClock(Zone):
    def fromutc(self, when: datetime) -> Any:
        return None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"after": datetime(2024, 1, 1)}, "after must be an aware datetime"),  # noqa: DTZ001
        ({"after": NOW.replace(tzinfo=Zone(None))}, "after must be an aware datetime"),
        ({"after": "now"}, "after must be an aware datetime"),
        ({"after": None}, "after must be an aware datetime"),
        ({"after": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}, "after must be a datetime that UTC"),
        (
            {"after": datetime.max.replace(tzinfo=timezone.utc), "tz": Zone()},
            "after must be a datetime that UTC and tz",
        ),
        ({"count": -1}, "count must be an integer"),
        ({"count": 1.5}, "count must be an integer"),
        ({"count": True}, "count must be an integer"),
        ({"tz": None}, "tz must be a tzinfo, such as .*, not null"),
        ({"tz": "UTC"}, "tz must be a tzinfo, such as .*, not 'UTC'"),
        ({"tz": Zone}, "tz must be a tzinfo, such as"),
        *(
            ({"tz": zone}, f"tz must know its offset .* {type(zone).__name__} does not at 2024-01-15 10:30:00")
            for zone in (
                Zone(None),
                Zone(timedelta(hours=24)),
                Zone(timedelta(seconds=0.5)),
                Raises(),
                OtherClock(),
                NoClock(),
                tzinfo(),  # type: ignore[abstract]
            )
        ),
    ],
)
@pytest.mark.parametrize("text", ["0 2 * * *", "@every 1h"])
def test_wrong_arguments_are_refused(text: str, arguments: dict[str, Any], says: str) -> None:
    """With an error of our own family, which names the argument."""
    given: dict[str, Any] = {"after": NOW, "count": 1, "tz": timezone.utc, **arguments}
    with pytest.raises(InvalidValue, match=says):
        Schedule.parse(text).next_runs(**given)


def test_a_schedule_is_a_frozen_value() -> None:
    """It can be pickled, not changed; subclasses of str and datetime count as what they are made of."""
    schedule = Schedule(Text(" 0 2  * * *"))
    assert (schedule, type(schedule.text), schedule.text) == (DEFAULT_SCHEDULE, str, "0 2 * * *")
    again = pickle.loads(pickle.dumps(schedule))
    assert (again, again.text, hash(again)) == (schedule, schedule.text, hash(schedule))
    assert not hasattr(schedule, "__dict__")
    with pytest.raises(AttributeError):
        schedule.text = "0 3 * * *"  # type: ignore[misc]
    for text in ("0 2 * * *", "@every 1h"):
        [run] = Schedule.parse(text).next_runs(Moment(2024, 1, 15, 10, tzinfo=timezone.utc), 1)
        assert type(run) is datetime


class Text(str):
    """What a YAML library may make of a scalar."""

    __slots__ = ()

    def __str__(self) -> str:
        return "0 3 * * *"

    def __len__(self) -> int:
        return 1000


class Moment(datetime):
    """What pandas, pendulum and freezegun have."""
