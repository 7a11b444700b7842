"""Schedules by example: what is accepted, what is refused and how it says so, what is equal, and when it fires."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kopia_maint import DEFAULT_SCHEDULE, InvalidSchedule, InvalidValue, Schedule

from ..helpers import NOW

SPELLINGS = {
    "0 2 * * *": "00 02 * * * | 0\t2 ? * ? | +0 2 */1 * * | 0 2 1-31 * 1 | 0 2 * 1-12 0-6 | 0 2 * * SUN-sat",
    "0 0 * * *": "@daily | @midnight",
    "0 0 1 1 *": "@yearly | @annually | 0 0 1 JAN *",
    "0 0 1 * *": "@monthly",
    "0 0 * * 0": "@weekly | 0 0 * * sun | 0 0 , * 0",
    "0 0 * * 1": "0 0 , * 1",
    "0 * * * *": "@hourly | 0 0-23 * * * | 0 */1 * * * | 0-9/10 * * * *",
    "1,3,5,7,9 * * * *": "1-9/2 * * * *",
    "5,20,35,50 * * * *": "5/15 * * * * | 5-59/15 * * * *",
    "0,59 * * * *": "*/59 * * * *",
    "58 * * * *": "58/2 * * * *",
    "59 * * * *": "59/2 * * * *",
    "* * * * *": "*-anything * * * *",
    "0 0 31 * *": "0 0 31 1,3,5,7,8,10,12 *",
    "0 0 31 5 *": "0 0 31 4,5 * | 0 0 31 5,6 ?",
    "0 0 30,31 * *": "0 0 30,31 1,3-12 *",
    "0 0 30 3,4,6 *": "0 0 30 2-4,6 *",
    "0 0 * 2 *": "0 0 1-29 2 * | 0 0 1-29 2 1 | 0 0 1-30 2 ?",
    "0 0 * 4 *": "0 0 1-30 4 0-6 | 0 0 1-30 4 ,",
    "0 0 * 2,4 1": "0 0 31 2,4 1",
    "0 0 29 2 *": "0 00 29 FEB ?",
    "0 0 1,15 * 1": "0 0 15,1 * mon",
    "1,2,4,6-8 0-22 * 1,2 5,6": "1,2,4,6,7,8 0-22 * jan,feb fri-sat",
    "@every 1s": "@every -5h | @every 0 | @every 1ns",
    "@every 3600s": "@every 1h | @every 60m | @every 1h0.9s | @every 3600000000us",
    "@every 3601s": "@every 1h1.9s",
    "0 0 30 2 *": ", * * * * | 0 , * * * | 0 0 * , * | 0 0 31 2,4,6,9,11 * | @every 50000h | 0 0 , * ,",
}
"""Canonical spellings, and others of the same meaning: stars for all, rows of three or more as ranges, and no day or
month that can do nothing. The last never fires."""


@pytest.mark.parametrize("canonical", SPELLINGS)
def test_equality_is_by_meaning(canonical: str) -> None:
    """Spellings of one meaning are equal, have one hash, and one canonical spelling."""
    first = Schedule.parse(canonical)
    for text in (canonical, *SPELLINGS[canonical].split(" | ")):
        assert Schedule.parse(text).canonical == canonical, text
        assert Schedule.parse(text) == first
        assert hash(Schedule.parse(text)) == hash(first)
    assert first.never_fires == (canonical == "0 0 30 2 *")


def test_what_never_fires_has_no_runs_and_no_intervals() -> None:
    """It is a property, not a parse error: five years is as far as the controller looks ahead."""
    assert not Schedule.parse("@every 43800h").never_fires
    for text in ("@every 43800h1s", ", * * * *", "0 0 30 2 *"):
        schedule = Schedule.parse(text)
        assert schedule.never_fires
        assert (schedule.shortest_interval, schedule.longest_interval) == (None, None)
    assert Schedule.parse(", * * * *").next_runs(NOW, 3) == ()


def test_the_text_is_kept_with_white_space_folded() -> None:
    """It is what is stored and shown."""
    schedule = Schedule.parse("\u2003 0  2\u00a0*\t* * \n")
    assert (schedule.text, str(schedule)) == ("0 2 * * *", "0 2 * * *")
    assert schedule == DEFAULT_SCHEDULE == schedule.parse("0 2 * * *")


FIELDS = "expected 5 fields .* found "
DURATION = "not a Go duration, such as 90m or 1h30m, of at most 2562047h$"
SYNTAX: list[tuple[str, str, str]] = [
    ("", "", f"{FIELDS}0$"),
    ("0  2 * *", "0 2 * *", f"{FIELDS}4$"),
    ("0 2 *", "0 2 *", f"{FIELDS}3$"),
    ("0 0 2 * * *", "0 0 2 * * *", f"{FIELDS}6 .Kubernetes has no field for seconds or years"),
    ("0 0 2 * * * 2024", "0 0 2 * * * 2024", f"{FIELDS}7 .Kubernetes has no field for seconds or years"),
    ("1 2 3 4 5 6 7 8", "1 2 3 4 5 6 7 8", f"{FIELDS}8$"),
    ("0 2 * * 7", "7", "day-of-week '7': 7 is above the maximum, 6 .Sunday is 0 or sun"),
    ("0 0 * * 8", "8", "8 is above the maximum, 6$"),
    ("0  2 1,40 * *", "40", "day-of-month '40': 40 is above the maximum, 31$"),
    ("0,15,30 1-5,99 * * *", "99", "hour '99': 99 is above the maximum, 23$"),
    ("0,15,,61 2 * * *", "61", "minute '61': 61 is above the maximum, 59$"),
    ("1 1 0 * *", "0", "day-of-month '0': 0 is below the minimum, 1$"),
    ("0 24 * * *", "24", "24 is above the maximum, 23$"),
    ("0 0 * 13 *", "13", "month '13': 13 is above the maximum, 12$"),
    ("5-1 * * * *", "5-1", "begins at 5, after its end at 1 .write two ranges"),
    ("1-2-3 * * * *", "1-2-3", "too many hyphens"),
    ("1/2/3 * * * *", "1/2/3", "too many slashes"),
    ("*/0 * * * *", "*/0", "step must be 1 or more"),
    ("1_0 * * * *", "1_0", "is not a number from 0 to 59$"),
    ("5/x * * * *", "5/x", "is not a number from 0 to 59$"),
    ("99999999999999999999 * * * *", "99999999999999999999", "out of range"),
    ("*/-1 * * * *", "*/-1", "-1 is out of range"),
    ("0 0 L * *", "L", "other cron dialects"),
    ("0 0 15W * *", "15W", "other cron dialects"),
    ("0 0 * * MON#2", "MON#2", "other cron dialects"),
    ("0,15,30 12-18 * JUN foo", "foo", "is not a number from 0 to 6, or sun, mon, tue, wed, thu, fri, sat$"),
    ("@reboot", "@reboot", "cannot run at start-up"),
    ("@Daily", "@Daily", "write @daily"),
    ("@daily ", "@daily", "write @daily, in lower case and with nothing around it"),
    (" @daily", "@daily", f"{FIELDS}1$"),
    *((text, text, "is none of @yearly, .*, @every DURATION$") for text in ("@nightly", "@daily2", "@zero", "@every")),
    ("@every 1d", "1d", "the largest unit is h"),
    ("@every  1h ", "1h", DURATION),
    ("@every ", "@every", DURATION),
    *(
        (f"@every {text}", text, DURATION)
        for text in (
            *("x", "1x", "9223372036.9s", "9223372036s1s", "18446744073709551617ns"),
            "9223372036.854775808s",  # 2**63 ns, one more than Go can hold
        )
    ),
]
"""A text, the place of its fault once white space is folded, and the message: with a hint only where one is known."""
TIME_ZONE = [
    ("TZ=UTC 0 2 * * *", "TZ", "spec.timeZone"),
    ("CRON_TZ=Europe/Berlin 0 2 * * *", "TZ", "spec.timeZone"),
    ("0 TZ * * *", "TZ", "spec.timeZone"),
]
UNPRINTABLE = [
    ("\uff10 2 * * *", "\uff10", "U\\+FF10 at position 1 "),
    ("*-\x1b[2J * * * *", "\x1b", "U\\+001B at position 3 "),
    ("5  2\x1b * * *", "\x1b", "U\\+001B at position 4 "),
    ("0 2 * * *\x1c", "\x1c", "U\\+001C at position 10 "),
    ("@every 1\u00b5s", "\u00b5", "U\\+00B5 at position 9 "),
]
REFUSED = {"syntax": SYNTAX, "time-zone": TIME_ZONE, "unprintable": UNPRINTABLE}


@pytest.mark.parametrize(
    ("code", "text", "fault", "says"), [(code, *refused) for code, rows in REFUSED.items() for refused in rows]
)
def test_refusals_say_what_is_wrong_and_where(code: str, text: str, fault: str, says: str) -> None:
    """The message names the field, and what to write instead."""
    with pytest.raises(InvalidSchedule, match=says) as caught:
        Schedule.parse(text)
    assert caught.value.code == code
    assert bool(caught.value.hint) == str(caught.value).endswith(f" ({caught.value.hint})")
    folded = re.sub(" +", " ", text).strip(" ")
    start = folded.index(fault)
    assert (caught.value.text, caught.value.span) == (folded, (start, start + len(fault)))


@pytest.mark.parametrize("wrong", [5, None, b"0 2 * * *", ["0 2 * * *"], str, Schedule, DEFAULT_SCHEDULE])
def test_a_schedule_is_made_of_text(wrong: Any) -> None:
    """The refusal says what to pass."""
    for read in (Schedule.parse, Schedule):
        with pytest.raises(InvalidSchedule, match=r"a schedule must be a string, such as '0 2 \* \* \*', not "):
            read(wrong)


def test_a_long_text_is_refused_as_a_whole() -> None:
    """At 256 characters it is read."""
    assert Schedule.parse("* * * * *".ljust(256)).canonical == "* * * * *"
    with pytest.raises(InvalidSchedule, match="257 characters, at most 256") as caught:
        Schedule.parse(" " * 257)
    assert (caught.value.code, caught.value.span) == ("too-long", None)


NEW_YORK = "America/New_York"
RUNS: list[tuple[str, str, str, str]] = [
    # strictly later, and in any year
    ("0 2 * * *", "UTC", "2024-01-15T02:00", "2024-01-16T02:00+00:00 2024-01-17T02:00+00:00"),
    ("0 2 * * *", "UTC", "2024-01-15T01:59:59.999999", "2024-01-15T02:00+00:00"),
    ("* * * * *", "UTC", "0001-01-01T00:00", "0001-01-01T00:01+00:00"),
    ("0 0 29 2 *", "UTC", "2096-02-29T00:00", "2104-02-29T00:00+00:00 2108-02-29T00:00+00:00"),
    # older releases of croniter leave some of these out
    ("0 2 1,31 * *", "UTC", "2025-02-01T03:00", "2025-03-01T02:00+00:00 2025-03-31T02:00+00:00"),
    ("* * 1,16,31 * *", "UTC", "2038-02-26T00:59:30", "2038-03-01T00:00+00:00 2038-03-01T00:01+00:00"),
    ("0 0 29 2 1", "UTC", "2024-02-19T00:00", "2024-02-26T00:00+00:00 2024-02-29T00:00+00:00 2025-02-03T00:00+00:00"),
    # a wall time that is skipped does not fire, whatever the second from which one looks
    ("30 2 * * *", NEW_YORK, "2024-03-09T12:00", "2024-03-11T02:30-04:00 2024-03-12T02:30-04:00"),
    ("0 2 * * *", NEW_YORK, "2024-03-09T12:00", "2024-03-11T02:00-04:00"),
    ("0 2 * * *", NEW_YORK, "2024-03-09T12:00:02", "2024-03-11T02:00-04:00"),
    # one that occurs twice fires twice, and a finer schedule keeps its order
    (
        "30 1 * * *",
        NEW_YORK,
        "2024-11-03T04:00",
        "2024-11-03T01:30-04:00 2024-11-03T01:30-05:00 2024-11-04T01:30-05:00",
    ),
    ("0,45 1 * * *", NEW_YORK, "2024-11-03T05:00", "2024-11-03T01:45-04:00 2024-11-03T01:00-05:00"),
    # 30 December 2011 did not take place in Apia
    ("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00", "2011-12-29T12:00-10:00 2011-12-31T12:00+14:00"),
]


@pytest.mark.parametrize(("text", "zone", "after", "runs"), RUNS)
def test_next_runs(text: str, zone: str, after: str, runs: str) -> None:
    """An instant matches when its local wall-clock minute does; without a zone, that is in UTC."""
    begin, count = datetime.fromisoformat(f"{after}+00:00"), len(runs.split())
    found = Schedule.parse(text).next_runs(begin, count, tz=ZoneInfo(zone))
    assert [run.isoformat(timespec="minutes") for run in found] == runs.split()
    assert zone != "UTC" or found == Schedule.parse(text).next_runs(begin, count)


def test_every_counts_from_after() -> None:
    """From whole seconds."""
    found = Schedule.parse("@every 90m").next_runs(NOW.replace(microsecond=7), 2)
    assert found == (NOW + timedelta(minutes=90), NOW + timedelta(minutes=180))
    assert Schedule.parse("@every 90m").next_runs(NOW, 0) == ()


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


class Zone(tzinfo):
    """A zone as a user may write one: with any offset, and any clock."""

    def __init__(self, offset: Any = timedelta(hours=5), clock: Any = None) -> None:
        self.offset, self.clock = offset, clock

    def utcoffset(self, when: datetime | None) -> Any:
        if isinstance(self.offset, Exception):
            raise self.offset
        return self.offset

    def dst(self, when: datetime | None) -> timedelta | None:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> None: ...

    def fromutc(self, when: datetime) -> Any:
        return self.clock(when) if self.clock else super().fromutc(when)


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
        ({"tz": None}, "tz must be a tzinfo, such as .*, not "),
        ({"tz": "UTC"}, "tz must be a tzinfo, such as .*, not 'UTC'"),
        ({"tz": Zone}, "tz must be a tzinfo, such as"),
        *(
            ({"tz": zone}, f"tz must know its offset .* {type(zone).__name__} does not at 2024-01-15 10:30:00")
            for zone in (
                Zone(None),
                Zone(timedelta(hours=24)),
                Zone(timedelta(seconds=0.5)),
                Zone(RuntimeError("boom")),
                Zone(clock=lambda when: when + timedelta(hours=1)),
                Zone(clock=lambda _: None),
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
