"""Which schedule is this? The value: equal to another where the two always fire at the same instants."""

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice

from attrs import field, frozen

from ._cron import NEVER, canonical, read
from ._errors import InvalidValue, shown
from ._runs import intervals, runs


@frozen(init=False, weakref_slot=False)
class Schedule:
    """
    A maintenance schedule, read as Kubernetes reads it.

    Two schedules are equal when they always fire at the same instants (in every time
    zone without transitions), however they are spelt: ``@daily`` equals ``0 0 * * *``.

    Build it with :meth:`parse`, which keeps what it has read.

    Attributes:
        text: The schedule as written, white space folded. Not compared.
        canonical: The one spelling of its meaning; itself a valid schedule.
    """

    text: str = field(eq=False)
    canonical: str

    def __init__(self, text: str) -> None:
        folded, sets = read(text)
        self.__attrs_init__(folded, canonical(sets))  # pyright: ignore[reportAttributeAccessIssue]

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
        return self.canonical == NEVER

    @property
    def shortest_interval(self) -> timedelta | None:
        """
        The shortest time between two consecutive runs, exactly; None if it never fires.

        It is that of UTC, over the 400 years after which the calendar repeats: no transitions of a time zone.
        """
        return intervals(self.canonical)[0]

    @property
    def longest_interval(self) -> timedelta | None:
        """The longest time between two consecutive runs, as exactly; None if it never fires."""
        return intervals(self.canonical)[1]

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
        return tuple(islice(runs(self.canonical, after, tz), count))

    def __str__(self) -> str:
        return self.text


_parse = lru_cache(maxsize=4096)(Schedule)

DEFAULT_SCHEDULE = Schedule.parse("0 2 * * *")
"""What applies where nobody states a preference: 02:00 every day."""
