"""What does Kubernetes make of a schedule's text, said in plain words?"""

from datetime import datetime, timedelta, tzinfo

from .._errors import InvalidSchedule
from .._schedule import Schedule
from ._text import count, printable, spelt

_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def explain(text: str, *, now: datetime, tz: tzinfo, runs: int) -> tuple[str, bool]:
    """Return what there is to say about a schedule, and whether a source may ask for it."""
    try:
        schedule = Schedule.parse(text)
    except InvalidSchedule as error:
        return _refusal(error), False
    if schedule.never_fires:
        never = "no date ever matches; a source may not ask for it: that would switch off everybody's maintenance"
        return f"refused    {never}\nreason     never-fires\nschedule   {spelt(schedule)}\n", False
    lines = [("schedule", spelt(schedule)), ("canonical", schedule.canonical), ("meaning", _meaning(schedule))]
    intervals = schedule.shortest_interval, schedule.longest_interval
    shortest, longest = (_spelt(interval) for interval in intervals if interval)  # it fires, so it has both
    often = f"every {shortest}" if shortest == longest else f"every {shortest} at most, every {longest} at least"
    lines.append(("how often", often))
    for label, run in zip(["next runs", *[""] * runs], schedule.next_runs(now, runs, tz=tz)):
        lines.append((label, f"{run:%a %Y-%m-%d %H:%M:%S %Z}"))
    return "".join(f"{label:<11}{value}\n" for label, value in lines), True


def _meaning(schedule: Schedule) -> str:
    if schedule.canonical.startswith("@every ") and schedule.shortest_interval is not None:
        return f"Every {_spelt(schedule.shortest_interval)}, counted from the run before"
    from cron_descriptor import Options, get_description  # type: ignore[import-untyped]

    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"
    return str(get_description(schedule.canonical, options))


def _spelt(interval: timedelta) -> str:
    """Return an interval as people say it: up to two hours in minutes."""
    left, parts = interval // timedelta(seconds=1), []
    for name, unit in _UNITS.items():
        number = left // unit if unit < 3_600 or interval > timedelta(hours=2) else 0
        parts += [count(number, name)] * bool(number)
        left -= number * unit
    return " ".join(parts)


def _refusal(error: InvalidSchedule) -> str:
    """Say why, and point at the place, where that can be shown as it is."""
    lines = [f"refused    {printable(error.message)}", f"reason     {error.code}"]
    text, _, caret = error.drawn.partition("\n")
    if text and printable(text) == text:
        lines += [f"schedule   {text}", f"           {caret}"]
    return "\n".join(lines) + "\n"
