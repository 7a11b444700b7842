"""How is a plan shown? As lines for people, as JSON for programs, as annotations for the checks of a pull request."""

import json
import os.path
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

from click import style

from .._decision import Action
from .._model import Conflict, format_time
from ._advice import Advice, ways_out
from ._load import Place
from ._report import PlannedRepository, Report
from ._text import count, printable, some, spelt

_NBSP = "\u00a0"
_QUOTED = re.compile(r"""(?<!\w)(?:'[^']*'|"[^"]*")""")


def summary(report: Report, advice: Advice) -> str:
    """Return the last line: how much there is of everything."""
    numbers = [len(it.conflicts) for it in report.repositories if it.conflicts]
    counts = [
        count(len(report.repositories), "repository"),
        count(sum(numbers), "conflict") + (f" in {len(numbers)}" if numbers else ""),
        count(len(report.problems), "error"),
        count(len(advice.notes), "note"),
    ]
    return ", ".join(counts) + "\n"


# --- for programs ------------------------------------------------------------


def as_json(report: Report, advice: Advice, _: bool) -> str:
    """Return the plan as one JSON object, its shape documented in the command's reference; each member on a line."""
    plan = {
        "repositories": (_repository(it, advice) for it in report.repositories),
        "errors": (
            {"source": str(it.place), "path": it.place.path, "message": it.message, **_file(it.place)}
            for it in report.problems
        ),
        "notes": (
            {"code": it.code, "repositoryHash": it.repository_hash, "message": it.whole, **_file(it.place)}
            for it in advice.notes
        ),
    }
    # With an indent, json does without its encoder in C, and takes ten times as long.
    parts = (f'"{key}": [' + ",".join("\n" + json.dumps(it) for it in members) + "]" for key, members in plan.items())
    return ("{" + ",\n".join(parts) + "}\n").replace("##", "#\\u0023")  # the same to every reader but a CI log's


def _repository(it: PlannedRepository, advice: Advice) -> dict[str, Any]:
    state, run = it.state, it.next_run
    return {
        "name": it.cron_job_name,
        "repository": it.name,
        "repositoryHash": it.repository_hash,
        "schedule": state.schedule.text if state else None,
        "owner": state.owner if state else None,
        "namespaces": it.namespaces,
        "action": it.decision.action.value,
        "changes": it.changes,
        "nextRun": None if isinstance(run, str) else _timestamp(run),
        "conflicts": [
            {
                "namespace": record.namespace,
                "name": record.name,
                "schedule": record.schedule.text,
                "since": format_time(record.since),
                "new": new,
                "message": record.message,
                "nextSteps": advice.steps[it.cron_job_name][record.namespace],
                **_file(place),
            }
            for record, place, new in it.conflicts
        ],
    }


def _timestamp(run: datetime) -> str:
    return format_time(run) if run.tzinfo is timezone.utc else run.isoformat()


def _file(place: Place | None) -> dict[str, Any]:
    file, line = (place.in_file if place else None) or (None, None)
    return {"file": file, "line": line}


def as_yaml(report: Report, _: Advice, __: bool) -> str:
    """Return CronJobs as one text with many documents, their fields in the usual order, the alphabet's."""
    from . import _yaml  # late: JSON does without

    return "".join(_yaml.write(dict(sorted(it.manifest.items()))) for it in report.repositories if it.manifest)


# --- for a pull request ------------------------------------------------------


def as_github(report: Report, advice: Advice, quiet: bool) -> str:
    """Return workflow commands that annotate files and lines."""
    commands = []
    for problem in report.problems:
        told = ": ".join(part for part in (problem.place.path, problem.message) if part)
        commands.append(_command("error", "Not readable", told, problem.place))
    for it in report.repositories:
        for record, place, _ in it.conflicts:
            steps = advice.steps[it.cron_job_name][record.namespace].items()
            ends = "".join(f"\n- {what}: {how}" for what, how in steps if how)
            told = (
                f"{it.label}: {_asks(record)} since {format_time(record.since)}; '{_schedule(it)}'"
                f" is established (owner {it.state.owner if it.state else None}). One of these ends the conflict:{ends}"
            )
            commands.append(_command("error", "Maintenance schedule conflict", told, place))
    for note in () if quiet else advice.notes:
        commands.append(_command("warning" if note.urgent else "notice", note.code, note.whole, note.place))
    return "".join(commands)


def _command(level: str, title: str, message: str, place: Place | None) -> str:
    properties = f"title={_escaped(title)}"
    if place is not None and place.in_file:
        file, line = place.in_file
        file = _escaped(os.path.normpath(file)).replace(":", "%3A").replace(",", "%2C")
        properties = f"file={file},line={line},{properties}"
    elif place is not None:
        message = f"{place}: {message}"
    return f"::{level} {properties}::{_escaped(message)}\n"


def _escaped(text: str) -> str:
    """Escape what ends a command, as GitHub reads it, and what a terminal would not print."""
    return printable(text.replace(_NBSP, " ").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


# --- for people --------------------------------------------------------------


def as_table(report: Report, advice: Advice, quiet: bool) -> str:
    """Return every repository with its conflicts, what ends them, and what else deserves a look."""
    width, lines = get_terminal_size().columns, list[str]()
    for it in report.repositories:
        if it.conflicts or not quiet:
            lines += _paragraph(it.label, f": {', '.join(_facts(it))}", width, bold=True)
        for record, place, new in it.conflicts:
            facts = [_asks(record), *["new"] * new]
            if place is not None and place.in_file:
                facts.append(printable("{}:{}".format(*place.in_file)).replace(" ", _NBSP))
            lines += _paragraph("  conflict", f": {', '.join(facts)}", width, fg="red")
    if not quiet:
        lines += [*_ways_out(report, advice, width), *[""] * bool(advice.notes)]
        for note in advice.notes:
            told = f": {note.place}: {note.message}" if note.place else f": {note.message}"
            lines += _paragraph("note", printable(told), width, fg="yellow")
            lines += [f"    {note.command}"] * bool(note.command)
    return "".join(f"{line}\n" for line in lines).replace(_NBSP, " ")


def _facts(it: PlannedRepository) -> Iterator[str]:
    """Yield what there is to say of a repository, each in words that stay on one line."""
    state, run, action = it.state, it.next_run, it.decision.action
    if state is None:
        yield "no CronJob"
        return
    zone = f" {run.tzinfo}" if isinstance(run, datetime) and run.tzinfo is not timezone.utc else ""
    yield f"{_schedule(it)}{zone}".replace(" ", _NBSP)
    if isinstance(run, str) and run:
        yield run.replace(" ", _NBSP)
    yield f"owner {state.owner or 'unknown'}{' (orphaned)' * state.orphaned}".replace(" ", _NBSP)
    yield f"update ({', '.join(it.changes)})" if it.changes else "unchanged" if action is Action.NONE else action.value
    yield f"used{_NBSP}by{_NBSP}{some(it.namespaces) or 'nobody'}"


def _asks(record: Conflict) -> str:
    return f"{record.source} wants {spelt(record.schedule).replace(' ', _NBSP)}"


def _schedule(it: PlannedRepository) -> str:
    return spelt(it.state.schedule) if it.state else "none"


def _ways_out(report: Report, advice: Advice, width: int) -> Iterator[str]:
    """Yield what ends conflicts, with an administrator's command for one of them."""
    schedules = {_schedule(it) for it in report.repositories if it.conflicts}
    if not schedules:
        return
    yield from ("", "Each conflict ends with one of these:")
    known = f"'{schedules.pop()}'" if len(schedules) == 1 else "the established schedule"
    for how in ways_out(known).values():
        yield from _paragraph("  -", f" {how}", width)
    commands = [how["handOver"] for steps in advice.steps.values() for how in steps.values() if how["handOver"]]
    if commands:
        more = f" ({len(commands) - 1} more with -o json)" * (len(commands) > 1)
        yield from _paragraph("  -", f" an administrator makes another namespace the owner, as in{more}:", width)
        yield f"    {commands[0]}"


def _paragraph(begin: str, text: str, width: int, **colours: Any) -> Iterator[str]:
    """Break a text into lines, at blanks, but not inside of quotes; *begin* is styled."""
    whole = _QUOTED.sub(lambda found: found[0].replace(" ", _NBSP), text)
    first, *others = wrap(
        begin + whole, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    yield (style(first[: len(begin)], **colours) if colours else begin) + first[len(begin) :]
    yield from others


SHOW: dict[str, Callable[[Report, Advice, bool], str]] = {
    "table": as_table,
    "json": as_json,
    "yaml": as_yaml,
    "github": as_github,
}
"""The outputs by name: each of a report, advice, and whether to be quiet."""
