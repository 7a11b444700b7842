"""Which schedules, instants and zones are worth comparing, and what does the definition say of them?"""

from __future__ import annotations

import re
import zoneinfo
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from random import Random

from attrs import frozen

from kopia_maint import InvalidSchedule, Schedule
from kopia_maint._cron import STAR, bit_sets

from ..mischief import torn
from .robfig import Answer, Request

OWN_REFUSALS = ("time-zone", "too-long", "unprintable")
"""What we refuse and robfig/cron may accept."""

FIVE_YEARS = 5 * 365 * 24 * 3600


def utc(*parts: int) -> datetime:
    """Return that instant."""
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]


INSTANTS = (
    utc(2024, 1, 15, 10, 30),
    utc(2023, 12, 31, 23, 59, 59),
    utc(2024, 2, 28, 23, 59, 30, 500_000),
    utc(2023, 2, 28),
    utc(2096, 3, 1),  # the next 29 February is eight years off: 2100 has none
    utc(1, 1, 1),
    utc(1969, 12, 31, 23, 59, 59, 999_999),
    utc(9999, 11, 29, 12),
)

# --- schedules, by grammar and by mischief -----------------------------------

_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000"
_NOT_SPACES = "\0\b\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"  # some are space to Python, none to Go
_HUGE = "60 99 256 4294967296 9223372036854775807 9223372036854775808 18446744073709551617".split()
_DESCRIPTORS = "@yearly @annually @monthly @weekly @daily @midnight @hourly @reboot @every @".split()
MORSELS = (
    *(",,//--**??##+_.:;=@~\\'\"0179LWC०５١²½ßİKſé😀\ud800" + _SPACES + _NOT_SPACES),
    *(*_HUGE, "00", "+", "-", "_0", "1e1", "0x1", "0b1", "\x1b[31m"),
    *("MON", "Jan", "sunday", "*/1", "*-9", "?/2", "TZ=", "CRON_TZ=UTC ", "@", "@every ", "µs", "μs"),
)
"""What makes a schedule another one, or none."""

_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, "jan FEB Mar apr may JUN jul Aug sep oct nov DEC".split()),
    ("weekday", 0, 6, "sun MON Tue wed thu fri SAT".split()),
)
_GRAMMAR: dict[str, Sequence[object]] = {
    "schedule": (
        *(*["<five>"] * 60, *["<every>"] * 8, *["<descriptor>"] * 3, "<zone><five>", "<long>", "<morsels>"),
        *(" ".join(["<month>"] * fields) for fields in (0, 1, 4, 6, 7)),
    ),
    "five": [*["<minute> <hour> <day> <month> <weekday>"] * 9, "<s><minute><s><hour><s><day>\t<month> <weekday><s>"],
    "sign": ["", "", "", "", "", "", "", "0", "+", "+0"],
    "step": [1, 2, 3, 5, 15, *range(71), "+2", "01", "<huge>"],
    "every": [*["@every <part>"] * 3, "@every <part><part>", "@every <part><part><part>", "@every <minus><part>"],
    "part": ["<whole><unit>", "<whole><unit>", "<whole>.<fraction><unit>"],
    "whole": ["", "0", "007", "<huge>", *range(10), *("<digit>" * length for length in (2, 3, 6, 19, 20))],
    "fraction": ["", "0", "999999999999", *("<digit>" * length for length in (1, 2, 3, 24))],
    "unit": "ns us µs μs ms s m h s m h d w H".split(),
    "minus": "+-",
    "digit": "0123456789",
    "huge": _HUGE,
    "descriptor": _DESCRIPTORS,
    "zone": ["TZ=UTC ", "CRON_TZ=UTC ", "TZ=X/Y ", "TZ=", "CRON_TZ=UTC", "TZ", "tz=UTC "],
    "long": (
        *(",".join(["<minute>"] * numbers) + " * * * *" for numbers in (20, 75)),
        *("<minute> * * * *".ljust(length) for length in range(250, 270)),
        *("@every " + "0" * zeros + "1h" for zeros in range(240, 252)),
    ),
    "s": _SPACES,
    "morsels": ["<morsel>" * length for length in range(12)],
    "morsel": MORSELS,
}
"""The ways to write each part, the usual ones more often than others."""

for _name, _low, _high, _words in _FIELDS:
    _numbers = [(value, f"<sign>{value}") for value in range(_low, _high + 1)]
    _numbers += [(_low + at, word) for at, word in enumerate(_words)]
    ways: dict[str, Sequence[object]] = {
        _name: ["*"] * 7 + [",".join([f"<{_name} item>"] * items) for items in (1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 9)],
        f"{_name} item": [*[f"<{_name} span>"] * 4, f"<{_name} span>/<step>"],
        f"{_name} span": [*["*", "?"] * 2, *[f"<{_name} number>"] * 11, *[f"<{_name} range>"] * 7],
        f"{_name} number": [*[text for _, text in _numbers] * 4, _low - 1, _high + 1],
        f"{_name} range": [f"{one}-{other}" for low, one in _numbers for high, other in _numbers if low <= high],
    }
    _GRAMMAR.update(ways)


def schedule(rng: Random) -> str:
    """Return a schedule, or something that might be taken for one."""
    text = _written("<schedule>", rng)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 1, 3))):
        text = torn(text, MORSELS, rng)
    return text


def plain_schedule(rng: Random) -> str:
    """Return a schedule of five fields that Kubernetes accepts."""
    while True:
        text = _written("<five>", rng)
        if refusal(text) is None and not Schedule.parse(text).never_fires:
            return text


def _written(text: str, rng: Random) -> str:
    """Write each ``<part>`` in one of its ways."""
    return re.sub("<([a-z ]+)>", lambda part: _written(str(rng.choice(_GRAMMAR[part[1]])), rng), text)


# --- comparing with robfig/cron ----------------------------------------------


def disagreement(text: str, answer: Answer, after: Sequence[datetime], zone: tzinfo = timezone.utc) -> str | None:
    """Say where we and robfig/cron differ about *text* (our documented refusals aside), or return None."""
    if (reason := refusal(text)) in OWN_REFUSALS:
        return None
    if reason is not None:
        return None if answer.read is None else f"{text!r}: we refuse ({reason}), robfig/cron reads {answer.read}"
    if answer.read is None:
        return f"{text!r}: we accept, robfig/cron refuses"
    if (ours := bit_sets(text)) != answer.read:
        return f"{text!r}: we read {ours}, robfig/cron reads {answer.read}"
    if isinstance(ours, int) and ours > FIVE_YEARS:
        return None  # documented: to us it never fires
    parsed = Schedule.parse(text)
    for instant, theirs in zip(after, answer.runs):
        runs = seconds(parsed.next_runs(instant, max(map(len, answer.runs)), tz=zone))
        known = runs[: len(theirs)]
        if known != theirs or gap(instant, runs, len(theirs)) < FIVE_YEARS:
            return f"{text!r} after {instant} in {zone}: our runs {runs}, robfig/cron's {theirs}"
    return None


def refusal(text: str) -> str | None:
    """Return the reason for which we refuse *text*, or None."""
    try:
        bit_sets(text)
    except InvalidSchedule as error:
        return error.code
    return None


def seconds(runs: Sequence[datetime]) -> tuple[int, ...]:
    """Return runs as Unix seconds."""
    return tuple(round((run - utc(1970, 1, 1)).total_seconds()) for run in runs)


def gap(after: datetime, runs: tuple[int, ...], given: int) -> float:
    """Return how far ahead our run number *given* is from the one before: robfig/cron looks five years ahead."""
    if given >= len(runs):
        return float("inf")
    return runs[given] - (runs[given - 1] if given else seconds([after])[0])


# --- what the definition says, minute by minute ------------------------------


def day_matches(read: tuple[int, ...], day: int, month: int, weekday: int) -> bool:
    """Return whether a date matches: both day fields must when one has a star, else either."""
    _, _, days, months, weekdays = read
    found = (days >> day & 1, weekdays >> weekday & 1)
    return bool(months >> month & 1) and (all(found) if (days | weekdays) & STAR else any(found))


def walk(text: str, after: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield every run in (*after*, *until*] by looking at the clock in every minute. Offsets must be whole minutes."""
    read = bit_sets(text)
    assert isinstance(read, tuple)
    instant = after.astimezone(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)
    while instant <= until:
        wall = instant.astimezone(zone)
        due = read[0] >> wall.minute & 1 and read[1] >> wall.hour & 1
        if due and day_matches(read, wall.day, wall.month, wall.isoweekday() % 7):
            yield wall
        instant += timedelta(minutes=1)


# --- zones and their transitions ---------------------------------------------


@frozen
class Transition:
    """A change of a zone's offset: the first instant with the new one, and the two offsets."""

    zone: str
    at: datetime
    before: timedelta
    after: timedelta

    @property
    def orderly(self) -> bool:
        """Whether the clock moves by an hour, on the hour and clear of midnight: robfig/cron is right there."""
        low, high = sorted((self.at + self.before, self.at + self.after))
        on_the_hour = low.minute == low.second == 0 and high - low == timedelta(hours=1)
        return on_the_hour and 0 < low.hour < high.hour


def transitions(zone: str, since: datetime, until: datetime) -> Iterator[Transition]:
    """Yield a zone's transitions, found by looking every third day."""
    tz = zoneinfo.ZoneInfo(zone)

    def offset(instant: datetime) -> timedelta:
        found = instant.astimezone(tz).utcoffset()
        assert found is not None
        return found

    low, old = since, offset(since)
    while low < until:
        high = low + timedelta(days=3)
        if (new := offset(high)) != old:
            seconds = range(3 * 24 * 3600)
            at = bisect(seconds, False, key=lambda second: offset(low + timedelta(seconds=second)) != old)
            yield Transition(zone, low + timedelta(seconds=at), old, new)
        low, old = high, new


def orderly(request: Request, found: Iterable[Transition]) -> bool:
    """Return whether robfig/cron meets orderly transitions only, from the month it starts in to a day past its runs."""
    runs = Schedule.parse(request.text).next_runs(max(request.after), request.count, tz=zoneinfo.ZoneInfo(request.zone))
    first, last = min(request.after) - timedelta(days=32), max(runs, default=utc(2038, 1, 1)) + timedelta(days=1)
    return all(one.orderly for one in found if first <= one.at <= last)
