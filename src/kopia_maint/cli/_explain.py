"""What does Kubernetes make of a schedule's text, said in plain words?"""

from __future__ import annotations

from datetime import datetime, tzinfo

from .._errors import InvalidSchedule
from .._schedule import Schedule, fold


def explain(text: str, *, now: datetime, tz: tzinfo, count: int) -> tuple[str, bool]:
    """Return what there is to say about a schedule, and whether a source may ask for it."""
    try:
        schedule = Schedule.parse(text)
    except InvalidSchedule as error:
        return _refusal(text, error), False
    lines = [("schedule", schedule.text), ("canonical", schedule.canonical), ("meaning", _meaning(schedule))]
    for label, run in zip(["next runs", *[""] * count], schedule.next_runs(now, count, tz=tz)):
        lines.append((label, f"{run:%a %Y-%m-%d %H:%M:%S %Z}"))
    if schedule.never_fires:
        lines.append(("refused", "a source may not ask for it: that would switch off everybody's maintenance"))
    return "".join(f"{label:<11}{value}\n" for label, value in lines), not schedule.never_fires


def _meaning(schedule: Schedule) -> str:
    if schedule.never_fires:
        return "Never: no date matches"
    if schedule.canonical.startswith("@every "):
        return f"Every {schedule.canonical[len('@every ') : -1]} seconds, counted from the run before"
    from cron_descriptor import Options, get_description  # type: ignore[import-untyped]

    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"
    return str(get_description(schedule.canonical, options))


def _refusal(text: str, error: InvalidSchedule) -> str:
    """Say why, and point at the place."""
    lines = [f"refused    {error.message}\n", f"reason     {error.reason}\n"]
    folded = fold(text)
    if error.span is not None and folded.isprintable():
        start, end = error.span
        lines += [f"schedule   {folded}\n", " " * (11 + start) + "^" * max(end - start, 1) + "\n"]
    return "".join(lines)
