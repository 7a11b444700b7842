"""
What does Kubernetes make of a schedule's text, and when does it fire?

The API server and the CronJob controller parse ``spec.schedule`` with
robfig/cron v3.0.1, ``ParseStandard``. This module accepts what that parser
accepts, reads it into the same bit sets, and reduces those to one canonical
spelling per meaning. Croniter is given canonical spellings only, in UTC, for
the arithmetic of the calendar; time zones are laid over its answers here. The
intervals between runs need no croniter: they are counted on bit sets.

Theory of the canonical form. A schedule is a set of minutes, a set of hours and
a set of days, where a day is a (month, day, weekday) that can occur: every
weekday falls on every date of the Gregorian calendar, so which days match
depends on three bit sets and on one question, whether *both* day fields must
match (one of them is a star) or *either*. ``_days`` brings those to the only
combination that describes the same days.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import groupby, islice, pairwise

from attrs import field, frozen

from ._errors import InvalidSchedule, InvalidValue, shown

MAX_LENGTH = 256
STAR = 1 << 63
"""Set in a field's bits when a star stood in it, as in robfig/cron."""

_NEVER = "0 0 30 2 *"
_FIVE_YEARS = 5 * 365 * 24 * 3600
"""How far ahead the CronJob controller's parser looks for a next run, in seconds."""
_MAX_INT = 2**63 - 1
_MAX_DURATION = 2**63
# Offset changes of one zone are never closer than 95 hours in the tz database, so
# that a change between two instants this near shows in their offsets.
_PROBE = timedelta(hours=72)
_SECOND = timedelta(seconds=1)

# Go's unicode.IsSpace; Python's str.isspace also takes U+001C to U+001F.
_SPACE = "\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = re.compile(f"[{_SPACE}]+")
_UNPRINTABLE = re.compile(r"[^ -~]")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def _row(low: int, high: int) -> int:
    """Return the bits of the integers from *low* to *high*."""
    return (2 << high) - (1 << low)


class _Bounds:
    """One field of a schedule: the integers from *low* to *high*, and words for them."""

    def __init__(self, name: str, low: int, high: int, words: str = "") -> None:
        self.name, self.low, self.high = name, low, high
        self.bits = _row(low, high)
        self.words = {word: value for value, word in enumerate(words.split(), low)}


FIELDS = (
    _Bounds("minute", 0, 59),
    _Bounds("hour", 0, 23),
    _Bounds("day-of-month", 1, 31),
    _Bounds("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    _Bounds("day-of-week", 0, 6, "sun mon tue wed thu fri sat"),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Days of each length of month, longest first: (the months' bits, the bits of the days they have).
_MONTH_LENGTHS = tuple(
    (sum(1 << month for month in months), _row(1, length))
    for length, months in ((31, (1, 3, 5, 7, 8, 10, 12)), (30, (4, 6, 9, 11)), (29, (2,)))
)
_MINUTES, _HOURS, _DAYS, _ALL_MONTHS, _ALL_WEEKDAYS = (bounds.bits for bounds in FIELDS)


@frozen(init=False, weakref_slot=False)
class Schedule:
    """
    A maintenance schedule, read as Kubernetes reads it.

    Two schedules are equal when they always fire at the same instants (in every time
    zone without transitions), however they are spelt: ``@daily`` equals ``0 0 * * *``.

    Attributes:
        text: The schedule as written, white space folded. Not compared.
        canonical: The one spelling of its meaning; itself a valid schedule.
    """

    text: str = field(eq=False)
    canonical: str

    def __init__(self, text: str) -> None:
        folded, read = _read(text)
        self.__attrs_init__(folded, _canonical(read))  # pyright: ignore[reportAttributeAccessIssue]

    @staticmethod
    def parse(text: str) -> "Schedule":
        """
        Read a schedule: five cron fields, a descriptor such as ``@daily``, or ``@every`` with a Go duration.

        Raises:
            InvalidSchedule: Kubernetes refuses the text (``syntax``), or it names a
                time zone (``time-zone``), has over 256 characters (``too-long``), or
                holds anything but printable ASCII (``unprintable``).
        """
        return _parse(text) if type(text) is str else Schedule(text)

    @property
    def never_fires(self) -> bool:
        """Whether no date ever matches, as for 30 February: a request for such a schedule is refused."""
        return self.canonical == _NEVER

    @property
    def shortest_interval(self) -> timedelta | None:
        """
        The shortest time between two consecutive runs, exactly; None if it never fires.

        It is that of UTC, over the 400 years after which the calendar repeats: no transitions of a time zone.
        """
        return _intervals(self.canonical)[0]

    @property
    def longest_interval(self) -> timedelta | None:
        """The longest time between two consecutive runs, as exactly; None if it never fires."""
        return _intervals(self.canonical)[1]

    def next_runs(self, after: datetime, count: int, *, tz: tzinfo = timezone.utc) -> tuple[datetime, ...]:
        """
        Return the first *count* runs strictly later than *after*.

        A run is an instant at which the wall clock of *tz* shows a matching minute:
        one that a transition skips does not fire, one that occurs twice fires twice.
        ``@every`` counts from *after*. Any *tz* will do (zoneinfo, dateutil, pytz) whose
        transitions are more than three days apart, as all in the tz database are.

        Returns:
            Aware datetimes in *tz*, ascending; fewer than *count* where the calendar
            ends (year 9999) or the schedule never fires.

        Raises:
            InvalidValue: *after* is naive, *count* is negative or no integer, or *tz* has, at
                some instant looked at, no offset from UTC, or another than its clock shows.
        """
        if not isinstance(after, datetime) or after.utcoffset() is None:
            raise InvalidValue("after must be an aware datetime, such as datetime.now(timezone.utc)")
        if type(count) is not int or count < 0:
            raise InvalidValue("count must be an integer, 0 or more")
        if not isinstance(tz, tzinfo):
            raise InvalidValue(f"tz must be a tzinfo, such as ZoneInfo('Europe/Berlin'), not {shown(tz)}")
        if self.never_fires:
            return ()
        try:
            start = datetime(*after.astimezone(timezone.utc).timetuple()[:6], tzinfo=timezone.utc)
            _local(start, tz)
        except OverflowError:
            raise InvalidValue("after must be a datetime that UTC and tz can express") from None
        _, every, seconds = self.canonical.partition("@every ")
        runs = _every(int(seconds[:-1]), start, tz) if every else _runs(self.canonical, start, tz)
        return tuple(islice(_until_the_calendar_ends(runs), count))

    def __str__(self) -> str:
        return self.text


_parse = lru_cache(maxsize=4096)(Schedule)


def fields(text: str) -> tuple[int, ...] | int:
    """Return what robfig/cron makes of *text*: five bit sets (``STAR`` included), or the seconds of ``@every``."""
    return _read(text)[1]


def fold(text: str) -> str:
    """Return *text* with white space folded, as Go understands white space."""
    return _SPACES.sub(" ", text).strip(" ")


def _read(text: str) -> tuple[str, tuple[int, ...] | int]:
    """Return *text* with white space folded, and what it says."""
    if not isinstance(text, str):
        raise InvalidSchedule(f"a schedule must be a string, such as '0 2 * * *', not {shown(text)}")
    text = str.__str__(text)  # of a subclass, the characters only
    if len(text) > MAX_LENGTH:
        message = f"the schedule has {len(text)} characters, at most {MAX_LENGTH} are allowed"
        raise InvalidSchedule(message, code="too-long")
    folded = fold(text)
    try:
        if (at := folded.find("TZ")) >= 0:
            message = "a schedule may not name a time zone (TZ or CRON_TZ), Kubernetes refuses it"
            raise _fault(message, (at, at + 2), "leave it out: a CronJob has spec.timeZone for it", "time-zone")
        if found := _UNPRINTABLE.search(folded):
            message = f"character U+{ord(found[0]):04X} at position {found.start() + 1} is not printable ASCII"
            raise _fault(message, found.span(), code="unprintable")
        return folded, _descriptor(text, folded) if text.startswith("@") else _five_fields(folded)
    except InvalidSchedule as error:
        error.text = folded
        raise


def _fault(message: str, span: tuple[int, int] | None, hint: str = "", code: str = "syntax") -> InvalidSchedule:
    error = InvalidSchedule(f"{message} ({hint})" if hint else message, code=code)
    error.span, error.hint = span, hint
    return error


# --- the grammar of robfig/cron ----------------------------------------------


def _five_fields(text: str) -> tuple[int, ...]:
    """Return the bits of each field: of a list of items, empty ones skipped."""
    parts = text.split()
    if (found := len(parts)) != len(FIELDS):
        hint = "Kubernetes has no field for seconds or years: leave it out" if found in (6, 7) else ""
        message = f"expected 5 fields (minute hour day-of-month month day-of-week), found {found}"
        raise _fault(message, (0, len(text)), hint)
    read = []
    position = 0
    for part, bounds in zip(parts, FIELDS):
        bits = 0
        for item in part.split(","):
            if item:
                try:
                    bits |= _item(item, bounds)
                except InvalidSchedule as error:
                    error.span = position, position + len(item)
                    raise
            position += len(item) + 1
        read.append(bits)
    return tuple(read)


@lru_cache(maxsize=1024)  # schedules differ, most of their items are the same
def _item(item: str, bounds: _Bounds) -> int:
    """Return the bits of one item: ``*``, ``N``, ``N-M``, each with ``/STEP`` or without."""

    def fault(message: str, hint: str = "") -> InvalidSchedule:
        return _fault(f"{bounds.name} {shown(item)}: {message}", None, hint)

    def integer(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            names = f", or {', '.join(bounds.words)}" if bounds.words else ""
            hint = (
                "L, W and # are other cron dialects'; every month has the days 1 to 28"
                if re.fullmatch(r"(?ai)\w+#\d+|L?W|L(-\d+)?|\d+[LW]|[A-Z]{3}L", item)
                else ""
            )
            raise fault(f"{shown(text)} is not a number from {bounds.low} to {bounds.high}{names}", hint)
        number = int(text)
        if not 0 <= number <= _MAX_INT:
            raise fault(f"{text} is out of range")
        return number

    def number(text: str) -> int:
        found = bounds.words.get(text.lower())
        return integer(text) if found is None else found

    span, *steps = item.split("/")
    if len(steps) > 1:
        raise fault("too many slashes, one is allowed")
    first, *rest = span.split("-")
    star = first in ("*", "?")
    if star:  # whatever follows "*-" is ignored, as in robfig/cron
        low, high = bounds.low, bounds.high
    else:
        if len(rest) > 1:
            raise fault("too many hyphens, one is allowed")
        low = number(first)
        high = number(*rest) if rest else low
    step = integer(*steps) if steps else 1
    if steps and not rest:
        high = bounds.high
    if low < bounds.low:
        raise fault(f"{low} is below the minimum, {bounds.low}")
    if high > bounds.high:
        hint = "Sunday is 0 or sun" if (bounds.name, high) == ("day-of-week", 7) else ""
        raise fault(f"{high} is above the maximum, {bounds.high}", hint)
    if low > high:
        raise fault(f"the range begins at {low}, after its end at {high}", "write two ranges with a comma")
    if not step:
        raise fault("a step must be 1 or more")
    if step == 1:
        return _row(low, high) | (STAR if star else 0)
    return sum(1 << value for value in range(low, high + 1, step))


def _descriptor(text: str, folded: str) -> tuple[int, ...] | int:
    if text in _DESCRIPTORS:
        return fields(_DESCRIPTORS[text])
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        if (seconds := _duration(duration)) is not None:
            return seconds
        hint = "the largest unit is h" if re.search(r"[0-9][dwy]", text) else ""
        message = f"{shown(duration)} is not a Go duration, such as 90m or 1h30m, of at most 2562047h"
        raise _fault(message, (folded.find(" ") + 1, len(folded)), hint)
    hint = "a CronJob cannot run at start-up; write when it should run, such as @daily" if text == "@reboot" else ""
    if folded.lower() in _DESCRIPTORS:
        hint = f"write {folded.lower()}, in lower case and with nothing around it"
    raise _fault(f"{shown(text)} is none of {', '.join(_DESCRIPTORS)}, @every DURATION", (0, len(folded)), hint)


def _duration(text: str) -> int | None:
    """Return the seconds of a Go duration (``time.ParseDuration``), at least one; None where Go refuses it."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 1
    total = position = 0
    while position < len(rest) or not rest:
        part = _DURATION_PART.match(rest, position)
        if part is None or not part[1] and not part[2] or part[3] not in _UNITS:
            return None
        position = part.end()
        unit = _UNITS[part[3]]
        value = int(part[1] or "0") * unit + _fraction(part[2] or "", unit)
        total = (total + value) % 2**64  # Go's sum is a uint64 too
        if max(value, total) > _MAX_DURATION:
            return None
    if negative:
        return 1
    return None if total == _MAX_DURATION else max(total // 10**9, 1)


def _fraction(digits: str, unit: int) -> int:
    """Return the nanoseconds of a fraction of *unit*, in Go's floating point; digits past 64 bits are dropped."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > _MAX_INT // 10:
            break
        value, scale = value * 10 + int(digit), scale * 10
    return int(float(value) * (float(unit) / scale))


# --- one spelling per meaning ------------------------------------------------


def _canonical(read: tuple[int, ...] | int) -> str:
    if isinstance(read, int):
        return _NEVER if read > _FIVE_YEARS else f"@every {read}s"
    minutes, hours = read[0] & _MINUTES, read[1] & _HOURS
    days = _days(*read[2:])
    if not minutes or not hours or days is None:
        return _NEVER
    return " ".join(map(_spell, (minutes, hours, *days), FIELDS))


def _days(days: int, months: int, weekdays: int) -> tuple[int, int, int] | None:
    """Reduce three day fields to the one combination that matches the same days, or None for no day."""
    either = not (days | weekdays) & STAR
    days, months, weekdays = days & _DAYS, months & _ALL_MONTHS, weekdays & _ALL_WEEKDAYS
    if not months:
        return None
    longest = next(length for group, length in _MONTH_LENGTHS if months & group)
    days = _DAYS if days & longest == longest else days & longest
    if either and (days == _DAYS or weekdays == _ALL_WEEKDAYS):
        return _DAYS, months, _ALL_WEEKDAYS  # one of the two always matches
    if either and days and weekdays:
        return days, months, weekdays
    if either:  # the empty one adds nothing to the other
        days, weekdays = (days, _ALL_WEEKDAYS) if days else (_DAYS, weekdays)
    if not days or not weekdays:
        return None
    # Months too short for every one of the days match nothing.
    barren = sum(group for group, length in _MONTH_LENGTHS if not days & length)
    months = months | barren if months | barren == _ALL_MONTHS else months & ~barren
    return days, months, weekdays


@lru_cache(maxsize=1024)
def _spell(bits: int, bounds: _Bounds) -> str:
    """Spell a set of numbers: ``*`` for all, otherwise ascending, three or more in a row as a range."""
    if bits == bounds.bits:
        return "*"
    values = [value for value in range(bounds.low, bounds.high + 1) if bits >> value & 1]
    spelt = []
    for _, group in groupby(enumerate(values), lambda pair: pair[1] - pair[0]):
        row = [str(value) for _, value in group]
        spelt += row if len(row) < 3 else [f"{row[0]}-{row[-1]}"]
    return ",".join(spelt)


# --- how often ---------------------------------------------------------------

# Of the calendar's cycle of 400 years and of the year after it, 2400, which has the matching days of 2000 again.
_NEW_YEARS = [date(year, 1, 1).toordinal() for year in range(2000, 2402)]
# Every seventh day from a Sunday on: a year's, and a week's more because a year may begin on any weekday.
_SUNDAYS = sum(1 << day for day in range(0, 366 + 7, 7))


@lru_cache(maxsize=1024)
def _intervals(canonical: str) -> tuple[timedelta, timedelta] | tuple[None, None]:
    """Return the shortest and the longest time from one run to the next."""
    if canonical == _NEVER:
        return None, None
    read = fields(canonical)
    if isinstance(read, int):
        return timedelta(seconds=read), timedelta(seconds=read)
    minutes, hours, *days = read
    times = sum((minutes & _MINUTES) << 60 * hour for hour in range(24) if hours >> hour & 1)
    first, last = _ends(times)
    gaps = _gaps(times) | {24 * 60 * gap - last + first for gap in _day_gaps(*days)}
    return timedelta(minutes=min(gaps)), timedelta(minutes=max(gaps))


@lru_cache(maxsize=1024)
def _day_gaps(days: int, months: int, weekdays: int) -> tuple[int, int]:
    """Return how many days lie, at least and at most, from one matching day to the next."""
    both = (days | weekdays) & STAR
    matching = {}  # the days of each of the 14 kinds of year, by its length and its first weekday
    for length, february in ((365, 28), (366, 29)):
        by_day = by_month = start = 0
        for month, size in enumerate((31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1):
            if months >> month & 1:
                by_day |= (days & _row(1, size)) >> 1 << start
                by_month |= _row(start, start + size - 1)
            start += size
        for weekday in range(7):
            by_weekday = by_month & _SUNDAYS * (weekdays & _ALL_WEEKDAYS) >> weekday
            matching[length, weekday] = by_day & by_weekday if both else by_day | by_weekday
    gaps = set[int]().union(*map(_gaps, matching.values()))
    years = [(start, matching[end - start, start % 7]) for start, end in pairwise(_NEW_YEARS)]
    ends = [[start + day for day in _ends(bits)] for start, bits in years if bits]
    gaps.update(first - last for (_, last), (first, _) in pairwise(ends))
    return min(gaps), max(gaps)


def _ends(bits: int) -> tuple[int, int]:
    """Return the lowest and the highest number of a set."""
    return (bits & -bits).bit_length() - 1, bits.bit_length() - 1


def _gaps(bits: int) -> set[int]:
    """Return the distances from one number of a set to the next."""
    return {len(zeros) + 1 for zeros in f"{bits:b}".split("1")[1:-1]}


# --- the calendar ------------------------------------------------------------


def _every(seconds: int, start: datetime, tz: tzinfo) -> Iterator[datetime]:
    while True:
        start += timedelta(seconds=seconds)
        yield _local(start, tz)[0]


def _runs(canonical: str, start: datetime, tz: tzinfo) -> Iterator[datetime]:
    """Yield every run after *start* (UTC, whole seconds): wall-clock matches, stretch by stretch of one offset."""
    cursor = start + _SECOND
    while True:
        _, offset = _local(cursor, tz)
        for wall in _walls(canonical, cursor + offset):
            instant = wall - offset
            change = _next_change(cursor, instant, offset, tz)
            if change is not None:
                cursor = change
                break
            cursor = instant
            yield _local(instant, tz)[0]
        else:
            return


def _walls(canonical: str, start: datetime) -> Iterator[datetime]:
    """Yield every matching wall-clock time from *start* on, *start* included, labelled UTC."""
    from heapq import merge  # late, as croniter, which takes longer to import than all the rest

    from croniter import croniter

    minutes, hours, days, months, weekdays = canonical.split()
    if "*" not in (days, weekdays):  # either matches: apart, for croniter gives up on both where one has no more dates
        by_day = _walls(f"{minutes} {hours} {days} {months} *", start)
        by_weekday = _walls(f"{minutes} {hours} * {months} {weekdays}", start)
        yield from (wall for wall, _ in groupby(merge(by_day, by_weekday)))
        return
    runs = croniter(canonical, start - _SECOND, ret_type=datetime)  # which counts strictly after its start
    while True:
        try:
            wall = runs.get_next()
        except (ValueError, OverflowError):  # the year 10000
            return
        yield wall


def _next_change(after: datetime, until: datetime, offset: timedelta, tz: tzinfo) -> datetime | None:
    """Return the first instant in (*after*, *until*] at which *tz* leaves *offset*, to the second."""
    if isinstance(tz, timezone):
        return None
    low, high = after, after + min(_PROBE, until - after)
    while _local(high, tz)[1] == offset:
        if high == until:
            return None
        low, high = high, high + min(_PROBE, until - high)
    seconds = range((high - low) // _SECOND)
    return low + _SECOND * bisect(seconds, False, key=lambda second: _local(low + _SECOND * second, tz)[1] != offset)


def _local(instant: datetime, tz: tzinfo) -> tuple[datetime, timedelta]:
    """Return what a clock in *tz* shows at *instant*, and its offset from UTC; refuse a zone where the two disagree."""
    try:
        local = instant.astimezone(tz)
        offset = local.utcoffset()
        if offset is None or offset % _SECOND or local.replace(tzinfo=None) - offset != instant.replace(tzinfo=None):
            raise ValueError("no offset in whole seconds, or another than the clock shows")
    except OverflowError:  # the calendar ends
        raise
    except Exception as error:
        raise InvalidValue(
            f"tz must know its offset from UTC, in whole seconds, at every instant: {shown(tz)} does not at {instant}"
        ) from error
    return local, offset


def _until_the_calendar_ends(runs: Iterator[datetime]) -> Iterator[datetime]:
    try:
        yield from runs
    except OverflowError:
        return


DEFAULT_SCHEDULE = Schedule.parse("0 2 * * *")
"""What applies where nobody states a preference: 02:00 every day."""
