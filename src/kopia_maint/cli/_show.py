"""How is a plan shown? As a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timezone
from typing import TYPE_CHECKING, Any

from .._model import Conflict, format_time
from ._load import Problem
from ._plan import PlannedRepository

if TYPE_CHECKING:
    from rich.table import Table


def printable(text: str) -> str:
    """Escape what a terminal would not print: control characters, and those that change the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_json(planned: Iterable[PlannedRepository], problems: Iterable[Problem]) -> str:
    """Return the plan as one JSON object, its shape documented in the command's reference."""
    errors = [{"source": str(it.place), "path": it.path, "message": it.message} for it in problems]
    return json.dumps({"repositories": [_repository(it) for it in planned], "errors": errors}, indent=2) + "\n"


def _repository(it: PlannedRepository) -> dict[str, Any]:
    state, run = it.state, it.next_run
    return {
        "name": it.cron_job_name,
        "repository": it.name,
        "repositoryHash": it.repository_hash,
        "schedule": state.schedule.text if state else None,
        "owner": state.owner if state else None,
        "namespaces": sorted(state.namespaces) if state else [],
        "action": it.decision.action.value,
        "nextRun": None if run is None else format_time(run) if run.tzinfo is timezone.utc else run.isoformat(),
        "conflicts": [_conflict(conflict) for conflict in it.decision.conflicts],
    }


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {
        "namespace": conflict.namespace,
        "name": conflict.name,
        "schedule": conflict.schedule.text,
        "since": format_time(conflict.since),
        "message": conflict.message,
    }


def as_yaml(manifests: Iterable[dict[str, Any]]) -> str:
    """Return CronJobs as one text with many documents."""
    from . import _yaml  # late, as rich below: JSON does without

    return "".join(map(_yaml.write, manifests))


def as_table(planned: Sequence[PlannedRepository]) -> str:
    """Return a table of every repository, and one of every conflict, as wide and as colourful as standard output."""
    from rich.console import Console

    if not planned:
        return "Nothing to plan: no ReplicationSource with Kopia and no maintenance CronJob that could be read.\n"
    console = Console()
    tables = [
        _table(
            "Repositories",
            ("Repository", "Schedule", "Owner", "Namespaces", "Next run", "Action"),
            map(_row, planned),
        )
    ]
    conflicts = [_conflict_row(it, conflict) for it in planned for conflict in it.decision.conflicts]
    if conflicts:
        tables.append(_table("Conflicts", ("Repository", "Source", "Asks for", "Since", "What stands"), conflicts))
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


def _row(it: PlannedRepository) -> tuple[str, ...]:
    name, action, state = it.name or it.cron_job_name, it.decision.action.value, it.state
    if state is None:  # every source is disabled, and there is no CronJob
        return name, "none", "", "", "", action
    owner = f"{state.owner} (orphaned)" if state.orphaned else state.owner or "unknown"
    return name, state.schedule.text, owner, ", ".join(sorted(state.namespaces)), _next_run(it), action


def _next_run(it: PlannedRepository) -> str:
    if it.decision.desired is None:
        return ""
    if it.suspended:
        return "suspended"
    if it.zone is None:
        return "unknown time zone"
    if it.next_run is None:
        return "never fires"
    return f"{it.next_run:%Y-%m-%d\n%H:%M} {it.zone}"


def _conflict_row(it: PlannedRepository, conflict: Conflict) -> tuple[str, ...]:
    source = conflict.namespace if conflict.name is None else f"{conflict.namespace}/{conflict.name}"
    state = it.state
    assert state is not None  # without one there is nothing to be in conflict with
    stands = f"{state.schedule}\n({f'owner {state.owner}' if state.owner else 'no owner'})"
    return it.name or it.cron_job_name, source, conflict.schedule.text, f"{conflict.since:%Y-%m-%d\n%H:%M} UTC", stands


def _table(title: str, headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text: no mark-up is read in it
    return table
