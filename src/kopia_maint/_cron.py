"""
What does Kubernetes make of a schedule's text?

The API server and the CronJob controller parse ``spec.schedule`` with
robfig/cron v3.0.1, ``ParseStandard``. This module accepts what that parser
accepts, reads it into the same bit sets, and reduces those to one canonical
spelling per meaning.

Theory of the canonical form. A schedule is a set of minutes, a set of hours and
a set of days, where a day is a (month, day, weekday) that can occur: every
weekday falls on every date of the Gregorian calendar, so which days match
depends on three bit sets and on one question, whether *both* day fields must
match (one of them is a star) or *either*. ``_days`` brings those to the only
combination that describes the same days.
"""

import re
from functools import lru_cache
from itertools import groupby

from ._errors import InvalidSchedule, characters, shown

MAX_LENGTH = 256
STAR = 1 << 63
"""Set in a field's bits when a star stood in it, as in robfig/cron."""

NEVER = "0 0 30 2 *"
"""The canonical spelling of every schedule that never fires."""
_FIVE_YEARS = 5 * 365 * 24 * 3600
"""How far ahead the CronJob controller's parser looks for a next run, in seconds."""
_MAX_INT = 2**63 - 1
_MAX_DURATION = 2**63  # in nanoseconds; one more than fits, for Go looks at the sign last: -2**63 is a duration

# Go's unicode.IsSpace; Python's str.isspace also takes U+001C to U+001F.
_SPACE = "\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = re.compile(f"[{_SPACE}]+")
_UNPRINTABLE = re.compile(r"[^ -~]")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def between(low: int, high: int) -> int:
    """Return the bits of the integers from *low* to *high*."""
    return (2 << high) - (1 << low)


class _Field:
    """One field of a schedule: the integers from *low* to *high*, and words for them."""

    def __init__(self, name: str, low: int, high: int, words: str = "") -> None:
        self.name, self.low, self.high = name, low, high
        self.bits = between(low, high)
        self.words = {word: value for value, word in enumerate(words.split(), low)}


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    _Field("day-of-week", 0, 6, "sun mon tue wed thu fri sat"),
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
    (sum(1 << month for month in months), between(1, length))
    for length, months in ((31, (1, 3, 5, 7, 8, 10, 12)), (30, (4, 6, 9, 11)), (29, (2,)))
)
ALL_MINUTES, ALL_HOURS, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = (field.bits for field in FIELDS)


def bit_sets(text: str) -> tuple[int, ...] | int:
    """Return what robfig/cron makes of *text*: five bit sets (``STAR`` included), or the seconds of ``@every``."""
    return read(text)[1]


def fold(text: str) -> str:
    """Return *text* with white space folded, as Go understands white space."""
    return _SPACES.sub(" ", text).strip(" ")


def read(text: str) -> tuple[str, tuple[int, ...] | int]:
    """Return *text* with white space folded, and what it says."""
    if not isinstance(text, str):
        raise InvalidSchedule(f"a schedule must be a string, such as '0 2 * * *', not {shown(text)}")
    text = characters(text)
    if len(text) > MAX_LENGTH:
        message = f"the schedule has {len(text)} characters, at most {MAX_LENGTH} are allowed"
        raise InvalidSchedule(message, code="too-long")
    folded = fold(text)
    try:
        if zone := re.search("TZ", folded):  # anywhere, as the API server looks for it
            hint = "leave it out: a CronJob has spec.timeZone for it"
            message = "a schedule may not name a time zone (TZ or CRON_TZ), Kubernetes refuses it"
            raise InvalidSchedule(message, code="time-zone", span=zone.span(), hint=hint)
        if found := _UNPRINTABLE.search(folded):
            message = f"character U+{ord(found[0]):04X} at position {found.start() + 1} is not printable ASCII"
            raise InvalidSchedule(message, code="unprintable", span=found.span())
        if text.startswith("@"):  # robfig/cron does not trim what could be a descriptor
            return folded, _descriptor(text, folded)
        return folded, _five_fields(folded)
    except InvalidSchedule as error:
        error.text = folded
        raise


# --- the grammar of robfig/cron ----------------------------------------------


def _five_fields(text: str) -> tuple[int, ...]:
    """Return the bits of each field: of a list of items, empty ones skipped."""
    parts = text.split()
    if (found := len(parts)) != len(FIELDS):
        hint = "Kubernetes has no field for seconds or years: leave it out" if found in (6, 7) else ""
        message = f"expected 5 fields (minute hour day-of-month month day-of-week), found {found}"
        raise InvalidSchedule(message, span=(0, len(text)), hint=hint)
    sets = []
    position = 0
    for part, field in zip(parts, FIELDS):
        bits = 0
        for item in part.split(","):
            if item:
                try:
                    bits |= _item(item, field)
                except InvalidSchedule as error:
                    error.span = position, position + len(item)
                    raise
            position += len(item) + 1
        sets.append(bits)
    return tuple(sets)


@lru_cache(maxsize=1024)  # schedules differ, most of their items are the same
def _item(item: str, field: _Field) -> int:
    """Return the bits of one item: ``*``, ``N``, ``N-M``, each with ``/STEP`` or without."""

    def fault(message: str, hint: str = "") -> InvalidSchedule:
        return InvalidSchedule(f"{field.name} {shown(item)}: {message}", hint=hint)

    def integer(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            names = f", or {', '.join(field.words)}" if field.words else ""
            hint = (
                "L, W and # are other cron dialects'; every month has the days 1 to 28"
                if re.fullmatch(r"(?ai)\w+#\d+|L?W|L(-\d+)?|\d+[LW]|[A-Z]{3}L", item)
                else ""
            )
            raise fault(f"{shown(text)} is not a number from {field.low} to {field.high}{names}", hint)
        number = int(text)
        if not 0 <= number <= _MAX_INT:
            raise fault(f"{text} is out of range")
        return number

    def number_or_word(text: str) -> int:
        found = field.words.get(text.lower())
        return integer(text) if found is None else found

    span, *steps = item.split("/")
    if len(steps) > 1:
        raise fault("too many slashes, one is allowed")
    first, *rest = span.split("-")
    star = first in ("*", "?")
    if star:  # whatever follows "*-" is ignored, as in robfig/cron
        low, high = field.low, field.high
    else:
        if len(rest) > 1:
            raise fault("too many hyphens, one is allowed")
        low = number_or_word(first)
        high = number_or_word(rest[0]) if rest else low
    step = integer(steps[0]) if steps else 1
    if steps and not rest:
        high = field.high
    if low < field.low:
        raise fault(f"{low} is below the minimum, {field.low}")
    if high > field.high:
        hint = "Sunday is 0 or sun" if (field.name, high) == ("day-of-week", 7) else ""
        raise fault(f"{high} is above the maximum, {field.high}", hint)
    if low > high:
        raise fault(f"the range begins at {low}, after its end at {high}", "write two ranges with a comma")
    if not step:
        raise fault("a step must be 1 or more")
    if step == 1:
        return between(low, high) | (STAR if star else 0)
    return sum(1 << value for value in range(low, high + 1, step))


def _descriptor(text: str, folded: str) -> tuple[int, ...] | int:
    if text in _DESCRIPTORS:
        return _five_fields(_DESCRIPTORS[text])
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        if (seconds := _duration(duration)) is not None:
            return seconds
        hint = "the largest unit is h" if re.search(r"[0-9][dwy]", text) else ""
        message = f"{shown(duration)} is not a Go duration, such as 90m or 1h30m, of at most 2562047h"
        raise InvalidSchedule(message, span=(folded.find(" ") + 1, len(folded)), hint=hint)
    hint = "a CronJob cannot run at start-up; write when it should run, such as @daily" if text == "@reboot" else ""
    if folded.lower() in _DESCRIPTORS:
        hint = f"write {folded.lower()}, in lower case and with nothing around it"
    message = f"{shown(text)} is none of {', '.join(_DESCRIPTORS)}, @every DURATION"
    raise InvalidSchedule(message, span=(0, len(folded)), hint=hint)


def _duration(text: str) -> int | None:
    """Return the seconds of a Go duration (``time.ParseDuration``), at least one; None where Go refuses it."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 1
    if not rest:
        return None
    total = position = 0
    while position < len(rest):
        part = _DURATION_PART.match(rest, position)
        assert part is not None  # each part of the pattern may be empty
        if not (part[1] or part[2]) or part[3] not in _UNITS:
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


def canonical(sets: tuple[int, ...] | int) -> str:
    """Return the one spelling of what :func:`read` has found; itself a valid schedule."""
    if isinstance(sets, int):
        return NEVER if sets > _FIVE_YEARS else f"@every {sets}s"
    minutes, hours = sets[0] & ALL_MINUTES, sets[1] & ALL_HOURS
    days = _days(*sets[2:])
    if not minutes or not hours or days is None:
        return NEVER
    return " ".join(map(_spell, (minutes, hours, *days), FIELDS))


def _days(days: int, months: int, weekdays: int) -> tuple[int, int, int] | None:
    """Reduce three day fields to the one combination that matches the same days, or None for no day."""
    either = not (days | weekdays) & STAR
    days, months, weekdays = days & ALL_DAYS, months & ALL_MONTHS, weekdays & ALL_WEEKDAYS
    if not months:
        return None
    longest = next(length for group, length in _MONTH_LENGTHS if months & group)
    days = ALL_DAYS if days & longest == longest else days & longest
    if either and (days == ALL_DAYS or weekdays == ALL_WEEKDAYS):
        return ALL_DAYS, months, ALL_WEEKDAYS  # one of the two always matches
    if either and days and weekdays:
        return days, months, weekdays
    if either:  # the empty one adds nothing to the other
        days, weekdays = (days, ALL_WEEKDAYS) if days else (ALL_DAYS, weekdays)
    if not days or not weekdays:
        return None
    # Months too short for every one of the days match nothing.
    barren = sum(group for group, length in _MONTH_LENGTHS if not days & length)
    months = months | barren if months | barren == ALL_MONTHS else months & ~barren
    return days, months, weekdays


@lru_cache(maxsize=1024)
def _spell(bits: int, field: _Field) -> str:
    """Spell a set of numbers: ``*`` for all, otherwise ascending, three or more in a row as a range."""
    if bits == field.bits:
        return "*"
    values = [value for value in range(field.low, field.high + 1) if bits >> value & 1]
    spelt = []
    for _, group in groupby(enumerate(values), lambda pair: pair[1] - pair[0]):
        row = [str(value) for _, value in group]
        spelt += row if len(row) < 3 else [f"{row[0]}-{row[-1]}"]
    return ",".join(spelt)
