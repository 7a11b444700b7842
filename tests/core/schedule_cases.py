"""Which schedules, instants and zones are worth comparing, and what does the definition say of them?"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import cache
from itertools import compress, count, pairwise
from random import Random

from attrs import frozen

from kopia_maint import InvalidSchedule, Schedule
from kopia_maint._cron import STAR, bit_sets

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

_BOUNDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()))
_MONTHS = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())
_WEEKDAYS = tuple("sun mon tue wed thu fri sat".split())
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (*_BOUNDS, (1, 12, _MONTHS), (0, 6, _WEEKDAYS))

_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2007\u200a\u2028\u2029\u202f\u205f\u3000"
_NOT_SPACES = "\0\b\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"  # some are space to Python, none to Go
_HUGE = ("60", "99", "256", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551617")
_MORSELS = (
    *",,//--**??##+_.:;=@~\\'\"",
    *"0179LWC",
    *_SPACES,
    *_NOT_SPACES,
    *_HUGE,
    *("00", "+", "-", "_0", "1e1", "0x1", "0b1", "०", "５", "١", "²", "½", "ß", "İ", "K", "ſ", "é", "\ud800", "😀"),
    *("MON", "Jan", "sunday", "*/1", "*-9", "?/2", "TZ=", "CRON_TZ=UTC ", "@", "@every ", "µs", "μs", "\x1b[31m"),
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@reboot", "@every")
_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w", "H", "")


def schedule(rng: Random) -> str:
    """Return a schedule, or something that might be taken for one."""
    kind = rng.random()
    if kind < 0.55:
        return _five_fields(rng)
    if kind < 0.80:
        return _mutated(_five_fields(rng), rng)
    if kind < 0.85:
        gap = rng.choice((" ", "  ", rng.choice(_SPACES)))
        return gap.join(_field(rng, *rng.choice(_FIELDS)) for _ in range(rng.choice((0, 1, 4, 6, 7))))
    if kind < 0.93:
        return _every(rng) if rng.random() < 0.8 else _mutated(_every(rng), rng)
    if kind < 0.96:
        text = rng.choice(_DESCRIPTORS)
        return text if rng.random() < 0.3 else _mutated(text, rng)
    if kind < 0.97:
        return (
            rng.choice(("TZ=", "CRON_TZ=", "TZ", "tz=")) + rng.choice(("UTC ", "X/Y ", "UTC", "")) + _five_fields(rng)
        )
    if kind < 0.98:
        return _long(rng)
    return "".join(rng.choice(_MORSELS) for _ in range(rng.randrange(12)))


def plain_schedule(rng: Random) -> str:
    """Return a schedule of five fields that Kubernetes accepts."""
    while True:
        text = _five_fields(rng)
        try:
            if not Schedule.parse(text).never_fires:
                return text
        except InvalidSchedule:
            continue


def _five_fields(rng: Random) -> str:
    parts = [_field(rng, *bounds) for bounds in _FIELDS]
    if rng.random() < 0.9:
        return " ".join(parts)
    gaps = ["".join(rng.choices(_SPACES, k=rng.randrange(1, 3))) for _ in range(4)] + [""]
    return rng.choice(("", " ", "\t")) + "".join(part + gap for part, gap in zip(parts, gaps)) + rng.choice(("", "\n"))


def _field(rng: Random, low: int, high: int, names: tuple[str, ...]) -> str:
    if rng.random() < 0.35:
        return "*"
    count = 1 if rng.random() < 0.7 else rng.randrange(1, 5)
    return ",".join(_item(rng, low, high, names) for _ in range(count))


def _item(rng: Random, low: int, high: int, names: tuple[str, ...]) -> str:
    def number(smallest: int) -> str:
        value = rng.randint(smallest, high) if rng.random() < 0.98 else rng.choice((low - 1, high + 1))
        if names and rng.random() < 0.3 and low <= value <= high:
            return rng.choice((str.lower, str.upper, str.title))(names[value - low])
        return rng.choice(("", "", "", "", "", "", "0", "+", "+0")) + str(value)

    shape = rng.random()
    if shape < 0.12:
        item = rng.choice("**?")
    elif shape < 0.65:
        item = number(low)
    else:
        first = rng.randint(low, high)
        item = f"{first}-{number(first)}"
    if rng.random() < 0.2:
        item += "/" + rng.choice(("1", "2", "3", "5", "15", str(rng.randint(0, 70)), "+2", "01", rng.choice(_HUGE)))
    return item


def _every(rng: Random) -> str:
    parts = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        whole = rng.choice(
            (str(rng.randrange(100)), str(rng.randrange(10**6)), str(rng.getrandbits(64)), "", "0", "007")
        )
        digits = rng.choice((str(rng.randrange(1000)), str(rng.getrandbits(80)), "", "0", "999999999999"))
        parts.append(whole + (f".{digits}" if rng.random() < 0.3 else "") + rng.choice(_UNITS))
    return "@every " + rng.choice(("", "", "", "", "+", "-")) + "".join(parts)


def _mutated(text: str, rng: Random) -> str:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        end = at + rng.choice((0, 0, 1, 1, 2))
        text = (
            text[:at] + rng.choice((rng.choice(_MORSELS), "", text[at:end] * 2, text[at:end].swapcase())) + text[end:]
        )
    return text


def _long(rng: Random) -> str:
    field = ",".join(str(rng.randrange(60)) for _ in range(rng.choice((20, 75, 83, 90))))
    text = f"{field} * * * *"
    return rng.choice((text, text.ljust(rng.randrange(250, 263)), "@every " + "0" * rng.randrange(230, 260) + "1h"))


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


def matches(read: tuple[int, ...], wall: datetime) -> bool:
    """Return whether a wall clock that shows *wall* matches the bit sets."""
    minute, hour, *_ = read
    return bool(minute >> wall.minute & 1 and hour >> wall.hour & 1) and day_matches(
        read, wall.month, wall.day, wall.isoweekday() % 7
    )


def day_matches(read: tuple[int, ...], month: int, day: int, weekday: int) -> bool:
    """Return whether a date matches: both day fields must when one has a star, else either."""
    _, _, days, months, weekdays = read
    both = bool((days | weekdays) & STAR)
    found = (days >> day & 1, weekdays >> weekday & 1)
    return bool(months >> month & 1) and (all(found) if both else any(found))


def walk(text: str, after: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield every run in (*after*, *until*] by looking at the clock in every minute. Offsets must be whole minutes."""
    read = bit_sets(text)
    assert isinstance(read, tuple)
    instant = after.astimezone(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)
    while instant <= until:
        wall = instant.astimezone(zone)
        if matches(read, wall):
            yield wall
        instant += timedelta(minutes=1)


# --- the calendar's cycle, day by day ----------------------------------------


@cache
def cycle() -> tuple[tuple[int, int, int], ...]:
    """Return month, day and weekday of every day of 400 years, after which the calendar repeats."""
    first, end = date(1999, 3, 1).toordinal(), date(2399, 3, 1).toordinal()
    days = map(date.fromordinal, range(first, end))
    return tuple((day.month, day.day, day.isoweekday() % 7) for day in days)


def intervals(text: str) -> tuple[timedelta, timedelta] | tuple[None, None]:
    """Return the shortest and the longest time between two runs, found by going through the days of the cycle."""
    read = bit_sets(text)
    if isinstance(read, int):
        return (None, None) if read > FIVE_YEARS else (timedelta(seconds=read), timedelta(seconds=read))
    times = [time for time in range(24 * 60) if read[1] >> time // 60 & read[0] >> time % 60 & 1]
    matching = {day for day in set(cycle()) if day_matches(read, *day)}
    days = list(compress(count(), map(matching.__contains__, cycle())))
    if not days or not times:
        return None, None
    found = {later - time for time, later in pairwise(times)}
    for gap in {later - day for day, later in pairwise([*days, days[0] + len(cycle())])}:
        found.add(24 * 60 * gap + times[0] - times[-1])
    return timedelta(minutes=min(found)), timedelta(minutes=max(found))


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
            left, right = low, high
            while right - left > timedelta(seconds=1):
                middle = left + (right - left) // timedelta(seconds=2) * timedelta(seconds=1)
                left, right = (middle, right) if offset(middle) == old else (left, middle)
            yield Transition(zone, right, old, new)
        low, old = high, new


def orderly(request: Request, found: Iterable[Transition]) -> bool:
    """Return whether robfig/cron meets orderly transitions only, from the month it starts in to a day past its runs."""
    runs = Schedule.parse(request.text).next_runs(max(request.after), request.count, tz=zoneinfo.ZoneInfo(request.zone))
    first, last = min(request.after) - timedelta(days=32), max(runs, default=utc(2038, 1, 1)) + timedelta(days=1)
    return all(one.orderly for one in found if first <= one.at <= last)


def near(transition: Transition, rng: Random) -> str:
    """Return a schedule that is likely to run around a transition."""
    if rng.random() < 0.3:
        return plain_schedule(rng)
    wall = transition.at + rng.choice((transition.before, transition.after))
    minute = (wall.minute + rng.choice((0, 0, 1, -1, 15, 30))) % 60
    hour = (wall.hour + rng.choice((0, 0, 1, -1, 2, -2))) % 24
    return " ".join(
        (
            rng.choice((str(minute), str(minute), str(minute), "*", "*/20", "0,30")),
            rng.choice((str(hour), str(hour), str(hour), "*", "*/2", "22-23,0-3")),
            rng.choice(("*", "*", str(wall.day))),
            rng.choice(("*", "*", str(wall.month))),
            rng.choice(("*", "*", str(wall.isoweekday() % 7))),
        )
    )


def around(transition: Transition, rng: Random) -> list[datetime]:
    """Return three instants near a transition."""
    hours = rng.sample((-960.0, -49.0, -25.0, -3.0, -2.0, -1.0, -0.5, -1 / 60, -1 / 3600, 0.0, 0.5, 1.0, 2.0), 3)
    return [transition.at + timedelta(seconds=round(hour * 3600)) for hour in hours]


# --- what is recorded --------------------------------------------------------

_QUIRKS = """
* * * * * | 0 2 * * * | ? ? ? ? ? | */1 */1 */1 */1 */1 | */2 */2 */2 */2 */2 | 0 0 */2 * 1 | 0 0 */1 * 1 |
5/15 * * * * | 5/0 * * * * | 5-/15 * * * * | -5/15 * * * * | 59/1 * * * * | 0-59/60 * * * * | */61 * * * * |
+5 * * * * | -0 * * * * | */-0 * * * * | */+5 * * * * | + * * * * | ++5 * * * * | 05 007 * * * |
1_0 * * * * | 5.0 * * * * | 1e1 * * * * | 0x5 * * * * | ' * * * * | 60 * * * * | * 24 * * * | * * 0 * * |
* * 32 * * | * * * 0 * | * * * 13 * | * * * * 7 | * * * * 0-7 | * * * * 6,0 | * * * JAN * |
* * * jAn-DEC * | * * * january * | * * * * SUN | * * * * mon-fri/2 | * * * * fri-mon | jan * * * * |
* * * sun * | * * * * 1-tue | * * * * sun/2 | * * * jan/x * | * * * */jan * | 0 0 L * * | 0 0 15W * * |
0 0 * * 5#2 | , * * * * | * , * * * | * * , * * | * * * , * | * * * * , | * * , * , | ,5,, * * * * |
0 0 , * 1 | 0 0 1 * , | *-5 * * * * | *-x-y-z * * * * | *-5/2 * * * * | ?-/3 * * * * | *5 * * * * |
** * * * * | *? * * * * | 5* * * * * | 5- * * * * | -5 * * * * | 1-2-3 * * * * | 1--3 * * * * |
1/2/3 * * * * | / * * * * | */ * * * * | /5 * * * * | - * * * * | 30-10 * * * * | 10-10 * * * * |
10-9/2 * * * * | 50-59/9223372036854775807 * * * * | */9223372036854775808 * * * * |
9223372036854775807 * * * * | 18446744073709551616 * * * * | */18446744073709551617 * * * * |
0/1000000000000000000 * * * * | * | * * | * * * * | * * * * * * | 0 * * * * * * | @yearly | @annually |
@monthly | @weekly | @daily | @midnight | @hourly | @Daily | @ | @reboot | @every | @every 1h | @every  1h |
@every +1h | @every -1h | @every 0 | @every +0 | @every 00 | @every 1 | @every 1d | @every 1H | @every .5h |
@every 1.h | @every .h | @every 1h30m1.5s | @every 1m1h | @every 1ns | @every 999ms | @every 1999ms |
@every 1us | @every 18446744073709551617ns | @every 9223372036854775808ns9223372036.9s | @every 3000000us |
@every 1e3s | @every 1_0s | @every 2562047h47m16.854775807s | @every 2562047h47m16.854775808s |
@every -2562047h47m16.854775808s | @every 9223372036854775807ns | @every 9223372036854775808ns |
@every 9223372036854775808ns9223372036854775808ns | @every 0.9999999999999999999999999h |
@every 1.000000000000000000000000000001h | @every 0.06666666666666666666m |
@every 0.066666666666666666666666m | @every 0.13333333333333333333m | @every 0.8500000000000000000m |
@every 0.9500000000000000000m | @every 43800h | @every 43801h | TZ=UTC 0 0 * * * |
CRON_TZ=UTC 0 0 * * * | TZ=UTC | tz=UTC 0 0 * * * | 0 0 * * * TZ | TZ=X/Y @daily | 0 0 30 2 * |
0 0 31 2,4,6,9,11 * | 0 0 29 2 * | 0 0 29 2 0 | 0 0 31 4 1 | 0 0 31 4,5 * | 0 0 1-31 * 1 | 0 0 * * 1-6
"""
QUIRKS = (
    *(text.strip() for text in _QUIRKS.split("|")),
    "\uff15 * * * *",
    "\u0665 * * * *",
    "* * * * \u0130",
    "",
    " ",
    "\t*\n*\x0b*\x0c*\r* ",
    "*\u3000*\u2028*\x85*\xa0*",
    "*\x1c* * * *",
    "*\u200b* * * *",
    "* * * * *\x1f",
    "\ufeff* * * * *",
    "*\u180e* * * *",
    "0 0 * * *\x00",
    "0 0 * * *-\x1b[31m",
    "\u2003* * * * *\u2003",
    "@daily ",
    " @daily",
    "@every ",
    "@every\t1h",
    "@every 1h ",
    "@every 1\xb5s",
    "@every 1\u03bcs",
    " TZ=UTC 0 0 * * *",
    "* * * * *".ljust(256),
    "* * * * *".ljust(257),
    "0," * 124 + "0 * * * *",
)
"""Texts that are easy to get wrong."""

_TRANSITIONS = (
    *(("America/New_York", "2024-03-10T07:00:00Z"), ("America/New_York", "2024-11-03T06:00:00Z")),
    *(("Europe/London", "2024-03-31T01:00:00Z"), ("Europe/London", "2024-10-27T01:00:00Z")),
    *(("Europe/Berlin", "2024-03-31T01:00:00Z"), ("Europe/Berlin", "2024-10-27T01:00:00Z")),
    *(("Australia/Sydney", "2024-04-06T16:00:00Z"), ("Australia/Sydney", "2024-10-05T16:00:00Z")),
    *(("Africa/Casablanca", "2024-03-10T02:00:00Z"), ("Africa/Casablanca", "2024-04-14T02:00:00Z")),
    *(
        ("Asia/Kolkata", "2024-03-10T00:00:00Z"),
        ("Asia/Kathmandu", "2024-03-10T00:00:00Z"),
        ("Asia/Tokyo", "2024-02-29T15:00:00Z"),
    ),
)
ZONE_CASES = (
    # Where robfig/cron is right (the last three zones have no transitions) …
    *(
        (zone, (datetime.fromisoformat(at.replace("Z", "+00:00")) - timedelta(hours=4)).isoformat(), text)
        for zone, at in _TRANSITIONS
        for text in (
            "30 2 * * *",
            "30 1 * * *",
            "*/30 1-3 * * *",
            "0 * * * *",
            "0 0 * * *",
            "15 3 10,31 * 0",
            "@every 90m",
        )
    ),
    # … and where it is not: see docs/schedules.md.
    ("Asia/Beirut", "2024-03-30T12:00:00+00:00", "0 12 * * 0"),
    ("Africa/Cairo", "2024-04-25T12:00:00+00:00", "30 2 * * 5"),
    ("America/Sao_Paulo", "2018-11-03T15:00:00+00:00", "0 8 * * 6"),
    ("Atlantic/Azores", "2024-03-30T15:00:00+00:00", "0 8 * * 6"),
    ("America/Santiago", "2024-09-07T15:00:00+00:00", "0 8 * * 6"),
    ("America/Asuncion", "2023-09-30T12:00:00+00:00", "0 12 * 10 *"),
    ("America/Havana", "2001-03-30T04:00:00+00:00", "0 12 * 4 *"),
    ("Asia/Amman", "2021-10-28T12:00:00+00:00", "30 0 29 * *"),
    ("Australia/Lord_Howe", "2024-10-05T12:00:00+00:00", "0 12 * * *"),
    ("Asia/Pyongyang", "2018-05-04T12:00:00+00:00", "0 0 * * *"),
    ("America/St_Johns", "2011-03-13T00:00:00+00:00", "30 0 * * *"),
    ("Pacific/Chatham", "2024-04-06T14:00:00+00:00", "46 3 * * *"),
    ("Antarctica/Troll", "2024-10-27T00:30:00+00:00", "15 1 * * *"),
    ("Pacific/Apia", "2011-12-29T12:00:00+00:00", "0 2 * * 6"),
)
"""Zone, instant and schedule: past transitions, which no later release of the tz database should change."""
