"""How is a plan shown? As a table for people, as JSON for programs, as annotations for the checks of a pull request."""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from .._model import Conflict, format_time
from ._advice import Note, some, ways_out
from ._load import STANDARD_INPUT, Place, Problem
from ._plan import PlannedRepository

_NBSP = "\u00a0"
_COMMANDS = 3


def printable(text: str) -> str:
    """Escape what a terminal would not print: control characters, and those that change the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# --- for programs ------------------------------------------------------------


def as_json(planned: Iterable[PlannedRepository], problems: Iterable[Problem], notes: Iterable[Note]) -> str:
    """Return the plan as one JSON object, its shape documented in the command's reference; each member on a line."""
    plan = {
        "repositories": map(_repository, planned),
        "errors": (
            {"source": str(it.place), "path": it.place.path, "message": it.message, **_file(it.place)}
            for it in problems
        ),
        "notes": (
            {"code": it.code, "repositoryHash": it.repository_hash, "message": it.message, **_file(it.place)}
            for it in notes
        ),
    }
    # With an indent, json does without its encoder in C, and takes ten times as long.
    parts = (f'"{key}": [' + ",".join("\n" + json.dumps(it) for it in members) + "]" for key, members in plan.items())
    return "{" + ",\n".join(parts) + "}\n"


def _repository(it: PlannedRepository) -> dict[str, Any]:
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
                "message": record.message,
                "nextSteps": it.next_steps[record.namespace],
                **_file(place),
            }
            for record, place in it.conflicts
        ],
    }


def _timestamp(run: datetime) -> str:
    return format_time(run) if run.tzinfo is timezone.utc else run.isoformat()


def _file(place: Place | None) -> dict[str, Any]:
    """Return file and line, where they can be looked up."""
    known = place is not None and place.line > 0 and place.file != STANDARD_INPUT
    return {"file": place.file if known and place else None, "line": place.line if known and place else None}


def as_yaml(manifests: Iterable[dict[str, Any]]) -> str:
    """Return CronJobs as one text with many documents, their fields in the usual order, the alphabet's."""
    from . import _yaml  # late: JSON does without

    return "".join(_yaml.write(dict(sorted(it.items()))) for it in manifests)


# --- for a pull request ------------------------------------------------------


def as_github(planned: Sequence[PlannedRepository], problems: Sequence[Problem], notes: Iterable[Note]) -> str:
    """Return workflow commands that annotate files and lines, and a summary at the end."""
    commands = []
    for problem in problems:
        told = ": ".join(part for part in (problem.place.path, problem.message) if part)
        commands.append(_command("error", "Not readable", told, problem.place))
    conflicts = [(it, record, place) for it in planned for record, place in it.conflicts]
    for it, record, place in conflicts:
        asks = f"{_who(record)} asks for '{record.schedule}' since {format_time(record.since)}"
        steps = "".join(f"\n- {what}: {how}" for what, how in it.next_steps[record.namespace].items())
        told = f"{it.label}: {asks}; {_standing(it)} stands. One of these ends it:{steps}"
        commands.append(_command("error", "Maintenance schedule conflict", told, place))
    for note in notes:
        commands.append(_command("warning" if note.urgent else "notice", note.code, note.message, note.place))
    summary = f"repositories: {len(planned)}, conflicts: {len(conflicts)}, errors: {len(problems)}"
    return "".join([*commands, _command("notice", "kopia-maint plan", summary, None)])


def _command(level: str, title: str, message: str, place: Place | None) -> str:
    properties = f"title={_escaped(title)}"
    where = _file(place)
    if where["file"] is not None:
        file = _escaped(os.path.normpath(where["file"])).replace(":", "%3A").replace(",", "%2C")
        properties = f"file={file},line={where['line']},{properties}"
    elif place is not None:
        message = f"{place}: {message}"
    return f"::{level} {properties}::{_escaped(message)}\n"


def _escaped(text: str) -> str:
    """Escape what ends a command, as GitHub reads it, and what a terminal would not print."""
    text = text.replace(_NBSP, " ").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(text)


# --- for people --------------------------------------------------------------


def as_table(planned: Sequence[PlannedRepository], notes: Iterable[Note], width: int) -> str:
    """Return every repository, every conflict, what ends them, and what else deserves a look, *width* columns wide."""
    blocks = []
    if not planned:
        nothing = "Nothing to plan: no ReplicationSource with Kopia and no maintenance CronJob that could be read."
        blocks.append(_wrapped(nothing, width))
    else:
        headings = "Repository,Schedule,Owner,Namespaces,Next run,Action"
        blocks.append(["Repositories", "", *_columns(headings, [(it.label, *_row(it)) for it in planned], width)])
    rows = [(it.label, *_conflict_row(it, record)) for it in planned for record, _ in it.conflicts]
    if rows:
        blocks.append(["Conflicts", "", *_columns("Repository,Source,Asks for,Since,What stands", rows, width)])
        blocks.append(["What ends a conflict, for each source one of these", "", *_ways_out(planned, width)])
    told = [line for note in notes for line in _wrapped(printable(str(note)), width, " - ", "   ")]
    if told:
        blocks.append(["Notes", "", *told])
    return "\n\n".join("\n".join(map(str.rstrip, lines)) for lines in blocks).replace(_NBSP, " ") + "\n"


def _row(it: PlannedRepository) -> tuple[str, str, str, str, str]:
    state, action = it.state, it.decision.action.value
    if it.changes:
        action = f"update ({', '.join(it.changes)})"
    if state is None:  # every source is disabled, and there is no CronJob
        return "none", "", "", "", action
    owner = f"{state.owner} (orphaned)" if state.orphaned else state.owner or "unknown"
    return state.schedule.text, owner, some(it.namespaces), _next_run(it), action


def _next_run(it: PlannedRepository) -> str:
    return it.next_run if isinstance(it.next_run, str) else f"{it.next_run:%Y-%m-%d %H:%M}{_NBSP}{it.next_run.tzinfo}"


def _conflict_row(it: PlannedRepository, record: Conflict) -> tuple[str, ...]:
    return _who(record), record.schedule.text, f"{record.since:%Y-%m-%d %H:%M}{_NBSP}UTC", _standing(it)


def _who(record: Conflict) -> str:
    return record.namespace if record.name is None else f"{record.namespace}/{record.name}"


def _standing(it: PlannedRepository) -> str:
    state = it.state
    assert state is not None  # without one there is nothing to be in conflict with
    return f"{state.schedule} ({f'owner{_NBSP}{state.owner}' if state.owner else 'no owner'})"


def _ways_out(planned: Sequence[PlannedRepository], width: int) -> Iterator[str]:
    """Yield what ends conflicts: commands for the first few, each broken where the shell allows it."""
    schedules = {it.state.schedule.text for it in planned if it.conflicts and it.state}
    for how in ways_out(json.dumps(schedules.pop()) if len(schedules) == 1 else "what stands").values():
        yield from _wrapped(how, width, " - ", "   ")
    commands = [(it.label, *each) for it in planned for each in it.next_steps.items()]
    for label, namespace, steps in commands[:_COMMANDS]:
        yield from _wrapped(f"make {namespace} the owner of {label}, as an administrator:", width, " - ", "   ")
        yield "   {} \\\n     -p {}".format(*steps["handOver"].split(" -p ", 1))
    if len(commands) > _COMMANDS:
        more = f"for {len(commands) - _COMMANDS} more such commands see --output json, handOver"
        yield from _wrapped(more, width, " - ", "   ")


def _columns(titles: str, rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return rows in columns as wide as they may be; where not even the words fit, each row as a list of its cells."""
    headings = titles.split(",")
    table = [headings, *rows]
    columns = list(zip(*table))
    words = [max(len(word) for cell in column for word in cell.split(" ")) for column in columns]
    room = width - 2 * len(columns) + 1
    lines: list[str] = []
    if sum(words) > room:
        indent = max(map(len, headings)) + 3
        for row in table[1:]:
            for heading, cell in zip(headings, row):
                lines += _wrapped(cell, width, f" {heading}".ljust(indent), " " * indent)
            lines.append("")
        return lines[:-1]
    widths = [min(max(map(len, column)), room) for column in columns]
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > words[i]), key=widths.__getitem__)
        widths[widest] -= 1
    for row in table:
        for parts in zip_longest(*map(_wrapped, row, widths), fillvalue=""):
            lines.append(" " + "  ".join(map(str.ljust, parts, widths)))
        if row is headings:
            lines.append(" " + "─" * (sum(widths) + 2 * len(widths) - 2))
    return lines


def _wrapped(text: str, width: int, first: str = "", others: str = "") -> list[str]:
    """Break *text* into lines, at blanks where that is possible."""
    room = max(width, len(others) + 1)
    return wrap(text, room, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
