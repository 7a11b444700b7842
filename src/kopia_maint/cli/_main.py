"""
What does ``kopia-maint`` offer, and with which exit status does it end?

0: fine; 1: conflicts found, or a schedule refused; 2: bad input or usage, which wins over 1. Results go
to standard output, what there is to say about the input to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from .._errors import InvalidManifest, KopiaMaintError
from .._manifest import DEFAULT_OPERATOR_NAMESPACE, manifest_from_state
from .._model import CronJobState, check_name, parse_time
from .._policy import POLICIES
from .._schedule import DEFAULT_SCHEDULE
from ._explain import explain
from ._load import STANDARD_INPUT, Document, Place, Problem, documents
from ._plan import Inventory, cron_jobs, time_zone
from ._show import as_json, as_table, as_yaml, printable

T = TypeVar("T")

CONFLICTS = REFUSED = FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130

_NO_TEMPLATE = Document(Place("new CronJob"), "", {})


def run() -> int:
    """Run the command line, which never shows a traceback, and return the exit status."""
    try:
        return int(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
    except click.Abort:  # what click makes of Ctrl-C
        return INTERRUPTED
    except OSError as error:  # standard output is on a full disk, say
        _write(f"error: {error.strerror or error}\n", to_stderr=True)
    return BAD_INPUT


def _read_with(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Return an option's callback that turns an error of ours into one of usage."""

    def callback(_: click.Context, __: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else read(value)
        except KopiaMaintError as error:
            raise click.BadParameter(printable(str(error))) from None

    return callback


def _namespace(text: str) -> str:
    return check_name(text, "namespace", "namespace")


def _template(path: str) -> Document:
    found = list(documents([path]))
    for it in found:
        if isinstance(it, Problem):
            raise InvalidManifest(str(it))
        # What would be wrong with every new CronJob is said once, and before anything else.
        manifest_from_state(CronJobState("0" * 16, DEFAULT_SCHEDULE, None, {}), it.value)
        time_zone(it.value)
    if len(found) != 1 or isinstance(found[0], Problem):
        raise InvalidManifest(f"{path} must hold one CronJob, not {len(found)}")
    return found[0]


@click.group(
    epilog="\b\nExample:\n  kubectl get replicationsources,cronjobs -A -o json | kopia-maint plan",
)
def cli() -> None:
    """Whose maintenance schedule stands, when several tenants share one Kopia repository."""


@cli.command(
    "plan",
    epilog="\b\nExamples:\n  kopia-maint plan apps/ clusters/production/\n"
    "  kubectl get replicationsources,cronjobs -A -o json | kopia-maint plan --output json",
)
@click.argument("paths", metavar="[FILE|DIR|-]...", nargs=-1)
@click.option("--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.option(
    "--default-namespace",
    metavar="NS",
    callback=_read_with(_namespace),
    help="The namespace of sources that state none.",
)
@click.option(
    "--operator-namespace",
    metavar="NS",
    callback=_read_with(_namespace),
    default=DEFAULT_OPERATOR_NAMESPACE,
    show_default=True,
    help="Where maintenance CronJobs are trusted: a tenant could write one elsewhere.",
)
@click.option("--template", metavar="FILE", callback=_read_with(_template), help="A CronJob to make new ones from.")
@click.option("--now", metavar="RFC3339", callback=_read_with(parse_time), help="When to decide.  [default: now]")
@click.option("--policy", type=click.Choice(list(POLICIES)), default="first-wins", show_default=True)
def plan_command(
    *,
    paths: tuple[str, ...],
    output: str,
    default_namespace: str | None,
    operator_namespace: str,
    template: Document | None,
    now: datetime | None,
    policy: str,
) -> None:
    """
    Show what becomes of every repository's maintenance, and every conflict.

    Reads ReplicationSources, and CronJobs if there are any, from files, folders
    (*.yaml, *.yml and *.json, hidden folders passed over) or standard input: YAML
    or JSON, single objects, multi-document files or lists. Other kinds are passed over.

    Exit status: 0 fine, 1 conflicts found, 2 bad input or usage; everything
    readable is still shown.
    """
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("give files or folders, or manifests on standard input")
    inventory = Inventory(default_namespace, operator_namespace)
    for found in _with_progress(documents(paths or (STANDARD_INPUT,)), "Reading"):
        inventory.add(found)
    planned = inventory.plan(
        now=now or datetime.now(timezone.utc), policy=POLICIES[policy], template=template or _NO_TEMPLATE
    )
    problems = inventory.problems
    if output == "yaml":
        manifests, unwritable = cron_jobs(planned, operator_namespace)
        problems += unwritable
        text = as_yaml(manifests)
    else:
        text = as_json(planned, problems) if output == "json" else as_table(planned)
    _write(text)
    _write("".join(f"{line}\n" for line in _remarks(inventory)), to_stderr=True)
    conflicts = any(it.decision.conflicts for it in planned)
    click.get_current_context().exit(BAD_INPUT if problems else CONFLICTS if conflicts else 0)


def _zone(name: str) -> tzinfo:
    return time_zone({"spec": {"timeZone": name}})


@cli.command(
    "explain",
    epilog="\b\nExample:\n  kopia-maint explain '0 2 * * 1-5' --tz Europe/Berlin --count 3",
)
@click.argument("schedule")
@click.option("--tz", metavar="ZONE", callback=_read_with(_zone), default="UTC", show_default=True)
@click.option("--count", type=click.IntRange(0, 1000), default=5, show_default=True, help="How many next runs to show.")
@click.option("--now", metavar="RFC3339", callback=_read_with(parse_time), help="When to begin.  [default: now]")
def explain_command(*, schedule: str, tz: tzinfo, count: int, now: datetime | None) -> None:
    """
    Show what Kubernetes makes of a schedule, or why it refuses it.

    Exit status: 0 fine, 1 refused, 2 bad usage.
    """
    text, accepted = explain(schedule, now=now or datetime.now(timezone.utc), tz=tz, count=count)
    _write(text)
    click.get_current_context().exit(0 if accepted else REFUSED)


@cli.command(
    "conformance",
    epilog="\b\nExamples:\n  kopia-maint conformance -- ./my-adapter\n"
    "  kopia-maint conformance --output json -- go run ./cmd/adapter",
)
@click.option(
    "--vectors",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Other vectors than those that come with kopia-maint.",
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def conformance_command(*, vectors: Path | None, output: str, command: tuple[str, ...]) -> None:
    """
    Hold another implementation against the rules.

    COMMAND is started once, and is put lines of JSON on its standard input: see
    docs/conformance.md.

    Exit status: 0 every vector passed, 1 one failed, 2 bad vectors or usage.
    """
    from ..conformance import load, run
    from ._conformance import as_json, as_table

    try:
        todo = load(vectors)
    except KopiaMaintError as error:
        raise click.UsageError(printable(str(error))) from None
    try:
        outcomes = list(_with_progress(run(command, todo), "Asking", len(todo)))
    except OSError as error:
        raise click.UsageError(f"{printable(command[0])} cannot be started: {error.strerror}") from None
    _write(as_json(outcomes) if output == "json" else as_table(outcomes))
    click.get_current_context().exit(FAILED if any(outcome.differences for outcome in outcomes) else 0)


@cli.command("serve")
def serve_command() -> None:
    """
    Answer the conformance wire format, line by line, until the end of input.

    For an operator in another language, which can run this as its child: see
    docs/conformance.md.
    """
    from ._conformance import serve

    if sys.stdin is None:
        raise click.UsageError("there is no standard input to read lines from")
    serve(sys.stdin.buffer, _write)


def _with_progress(found: Iterable[T], doing: str, total: int | None = None) -> Iterable[T]:
    """Show on standard error, if it is a terminal, that something goes on."""
    if sys.stderr is None or not sys.stderr.isatty():
        return found
    from rich.console import Console
    from rich.progress import track

    return track(found, doing, total, console=Console(stderr=True), transient=True)


def _remarks(inventory: Inventory) -> Iterable[str]:
    if inventory.strangers:
        yield (
            f"note: {len(inventory.strangers)} maintenance CronJob(s) outside namespace {inventory.operator_namespace}"
            f" passed over, such as {printable(inventory.strangers[0])}; is --operator-namespace right?"
        )
    for problem in inventory.problems:
        yield f"error: {printable(str(problem))}"


def _write(text: str, *, to_stderr: bool = False) -> None:
    try:
        click.echo(text, nl=False, err=to_stderr)
    except BrokenPipeError:
        # Who reads has seen enough. The interpreter will flush at its end, too: into nowhere.
        stream = sys.stderr if to_stderr else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
