"""
When does a schedule fire, and how often?

Both are asked about canonical spellings. Croniter does the arithmetic of the
calendar, in UTC; time zones are laid over its answers here. The intervals between
runs are counted on bit sets: to go through the calendar day by day would take
thirty times as long, for every schedule that a tenant can think of.
"""

from bisect import bisect
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import groupby, pairwise

from ._cron import ALL_MINUTES, ALL_WEEKDAYS, NEVER, STAR, between, bit_sets
from ._errors import InvalidValue, shown

_SECOND = timedelta(seconds=1)
# Offset changes of one zone are never closer than 95 hours in the tz database, so
# that a change between two instants this near shows in their offsets.
_PROBE = timedelta(hours=72)

# --- how often ---------------------------------------------------------------

# Of the calendar's cycle of 400 years and of the year after it, 2400, which has the matching days of 2000 again.
_NEW_YEARS = [date(year, 1, 1).toordinal() for year in range(2000, 2402)]
# Every seventh day from a Sunday on: a year's, and a week's more because a year may begin on any weekday.
_SUNDAYS = sum(1 << day for day in range(0, 366 + 7, 7))


@lru_cache(maxsize=1024)
def intervals(canonical: str) -> tuple[timedelta, timedelta] | tuple[None, None]:
    """Return the shortest and the longest time from one run to the next."""
    if canonical == NEVER:
        return None, None
    sets = bit_sets(canonical)
    if isinstance(sets, int):
        return timedelta(seconds=sets), timedelta(seconds=sets)
    minutes, hours, *days = sets
    times = sum((minutes & ALL_MINUTES) << 60 * hour for hour in range(24) if hours >> hour & 1)
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
                by_day |= (days & between(1, size)) >> 1 << start
                by_month |= between(start, start + size - 1)
            start += size
        for weekday in range(7):
            by_weekday = by_month & _SUNDAYS * (weekdays & ALL_WEEKDAYS) >> weekday
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


def runs(canonical: str, after: datetime, tz: tzinfo) -> Iterator[datetime]:
    """
    Return every run strictly later than *after*, an aware datetime, in *tz*, until the calendar ends.

    Raises:
        InvalidValue: UTC or *tz* cannot express *after*.
    """
    try:
        start = datetime(*after.astimezone(timezone.utc).timetuple()[:6], tzinfo=timezone.utc)
        _local(start, tz)
    except OverflowError:
        raise InvalidValue("after must be a datetime that UTC and tz can express") from None
    _, every, seconds = canonical.partition("@every ")
    return _to_the_end(_every(int(seconds[:-1]), start, tz) if every else _matches(canonical, start, tz))


def _to_the_end(endless: Iterator[datetime]) -> Iterator[datetime]:
    try:
        yield from endless
    except OverflowError:  # the year 10000
        return


def _every(seconds: int, start: datetime, tz: tzinfo) -> Iterator[datetime]:
    while True:
        start += timedelta(seconds=seconds)
        yield _local(start, tz)[0]


def _matches(canonical: str, start: datetime, tz: tzinfo) -> Iterator[datetime]:
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
    matches = croniter(canonical, start - _SECOND, ret_type=datetime)  # which counts strictly after its start
    while True:
        try:
            wall = matches.get_next()
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
