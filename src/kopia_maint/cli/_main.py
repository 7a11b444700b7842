"""
What does ``kopia-maint`` offer, and with which exit status does it end?

0: fine; 1: conflicts found, or a schedule refused; 2: bad input or usage, or nothing to plan, which wins over 1.
Results go to standard output, what there is to say about the input to standard error.
"""

import gc
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone, tzinfo
from io import StringIO
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from .. import __version__
from .._errors import InvalidManifest, InvalidValue, KopiaMaintError, shown
from .._manifest import DEFAULT_OPERATOR_NAMESPACE, manifest_from_state
from .._model import CronJobState, check_name, parse_time
from .._policy import POLICIES, Policy, expect_policy
from .._schedule import DEFAULT_SCHEDULE
from ._advice import advise
from ._explain import explain
from ._lint import zone, zone_of
from ._load import STANDARD_INPUT, Document, Problem, documents
from ._report import NEW, report_on
from ._show import SHOW, summary
from ._text import printable

CONFLICTS = REFUSED = FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


def run() -> int:
    """Run the command line, which never shows a traceback, and return the exit status."""
    gc.disable()  # what a plan reads lives to its end: looking for garbage in it would take a third of the time
    try:
        return int(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show(usage := StringIO())
        _write(usage.getvalue(), to_stderr=True)
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


def _template(path: str) -> Document:
    if not path:
        return NEW
    found = list(documents([path]))
    if len(found) != 1:
        raise InvalidManifest(f"{path} must hold one CronJob, not {len(found)}")
    template = found[0]
    if isinstance(template, Problem):
        raise InvalidManifest(str(template))
    # What would be wrong with every new CronJob is said once, and before anything else.
    manifest_from_state(CronJobState("0" * 16, DEFAULT_SCHEDULE, None, {}), template.value)
    zone_of(template.value)
    return template


def _policy(name: str) -> Policy:
    """Return a policy by its name, or by where it is: MODULE:ATTRIBUTE, the working folder's modules last."""
    if ":" not in name:
        if name not in POLICIES:
            raise InvalidValue(f"{shown(name)} is none of {', '.join(POLICIES)}, MODULE:ATTRIBUTE")
        return POLICIES[name]
    sys.path.append(os.getcwd())
    try:
        policy: Policy = resolve_name(name)
    except Exception as error:  # whatever a module raises that is run here
        raise InvalidValue(f"{shown(name)} cannot be had: {type(error).__name__}: {error}") from None
    expect_policy(policy)
    return policy


def _choice(*names: str) -> dict[str, Any]:
    return {"type": click.Choice(names), "default": names[0]}


_CHECK_NAMESPACE = _read_with(lambda text: check_name(text, "namespace"))
_NAMESPACE: dict[str, Any] = {"metavar": "NS", "callback": _CHECK_NAMESPACE}
_TEMPLATE: dict[str, Any] = {"metavar": "FILE", "callback": _read_with(_template), "default": "", "show_default": False}
_TIME: dict[str, Any] = {"metavar": "RFC3339", "callback": _read_with(parse_time)}


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="\b\nExamples:\n  kopia-maint plan apps/\n"
    "  kubectl get replicationsources,cronjobs -A -o json | kopia-maint plan",
)
@click.version_option(__version__, prog_name="kopia-maint", message="%(prog)s %(version)s")
def cli() -> None:
    """Which maintenance schedule wins, when several tenants share one Kopia repository."""


@cli.command(
    "plan",
    epilog="\b\nExamples:\n  kopia-maint plan apps/ clusters/production/\n"
    "  kubectl kustomize apps/ | kopia-maint plan --output github\n"
    "  kubectl get replicationsources,cronjobs -A -o json | kopia-maint plan --output json",
)
@click.argument("paths", metavar="[FILE|DIR|-]...", nargs=-1)
@click.option("-o", "--output", **_choice(*SHOW), help="For people, for programs, as CronJobs, or for pull requests.")
@click.option("-q", "--quiet", is_flag=True, help="Conflicts, errors and the summary only.")
@click.option("--allow-empty", is_flag=True, help="Nothing to plan is fine.")
@click.option("--default-namespace", **_NAMESPACE, help="The namespace of sources that state none.")
@click.option(
    "--operator-namespace", **_NAMESPACE, default=DEFAULT_OPERATOR_NAMESPACE, help="Where CronJobs are trusted."
)
@click.option("--template", **_TEMPLATE, help="A CronJob to make new ones from.")
@click.option("--now", **_TIME, help="When to decide.  [default: now]")
@click.option(
    "--policy",
    metavar="NAME|MODULE:ATTRIBUTE",
    default="first-wins",
    callback=_read_with(_policy),
    help=f"Who may replace the established schedule: {', '.join(POLICIES)}, or an object of yours.",
)
def plan_command(
    *, paths: tuple[str, ...], output: str, quiet: bool, allow_empty: bool, now: datetime | None, **options: Any
) -> None:
    """
    Show what becomes of every repository, and every conflict.

    Reads ReplicationSources, and CronJobs if there are any, from files, folders
    (*.yaml, *.yml and *.json, hidden folders passed over) or standard input: YAML
    or JSON, single objects, multi-document files or lists. Other kinds are passed over.

    Exit status: 0 fine, 1 conflicts found, 2 bad input or usage, or nothing to
    plan; everything readable is still shown.
    """
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("give files or folders, or manifests on standard input")
    policy, operator_namespace = options["policy"], options["operator_namespace"]
    try:
        report = report_on(documents(paths or (STANDARD_INPUT,)), now=now or datetime.now(timezone.utc), **options)
        advice = advise(report, policy, operator_namespace, as_manifests=output == "yaml")
    except Exception as error:  # whatever a policy raises
        ours = policy in POLICIES.values()
        blamed = "kopia-maint failed, please report it" if ours else f"the policy {policy.name} failed"
        raise click.UsageError(printable(f"{blamed}: {type(error).__name__}: {error}")) from None
    for note in advice.notes if output == "yaml" and not quiet else ():
        _tell("note", "yellow", note.whole)
    _write(SHOW[output](report, advice, quiet))
    for problem in report.problems if output != "github" else ():  # there they are among the annotations
        _tell("error", "red", str(problem))
    nothing = not report.plan.decisions and not report.problems
    if nothing:
        _tell("nothing to plan", None, "no ReplicationSource with Kopia, and no maintenance CronJob")
    _write(summary(report, advice), to_stderr=output != "table")
    status = CONFLICTS if any(it.conflicts for it in report.repositories) else 0
    click.get_current_context().exit(BAD_INPUT if report.problems or (nothing and not allow_empty) else status)


@cli.command("explain", epilog="\b\nExample:\n  kopia-maint explain '0 2 * * 1-5' --tz Europe/Berlin --count 3")
@click.argument("schedule", metavar="SCHEDULE", nargs=-1, required=True)
@click.option("--tz", metavar="ZONE", callback=_read_with(zone), default="UTC", help="Where the wall clock is.")
@click.option("--count", type=click.IntRange(0, 1000), default=5, help="How many next runs to show.")
@click.option("--now", **_TIME, help="When to begin.  [default: now]")
def explain_command(*, schedule: tuple[str, ...], tz: tzinfo, count: int, now: datetime | None) -> None:
    """
    Show what Kubernetes makes of a schedule, or why not.

    Exit status: 0 fine, 1 refused, 2 bad usage.
    """
    if len(schedule) != 1:
        example = "kopia-maint explain '0 2 * * *'"
        raise click.UsageError(f"the schedule is one argument: quote it, as in {example}, or the shell takes it apart")
    text, accepted = explain(schedule[0], now=now or datetime.now(timezone.utc), tz=tz, runs=count)
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
@click.option("--op", "ops", multiple=True, metavar="OP", help="Leave out the vectors that need another op.")
@click.option("-o", "--output", **_choice("table", "json"), help="For people, or programs.")
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def conformance_command(*, vectors: Path | None, ops: tuple[str, ...], output: str, command: tuple[str, ...]) -> None:
    """
    Hold another implementation against the rules.

    COMMAND is started once, and is put lines of JSON on its standard input: see
    docs/forks.md.

    Exit status: 0 every vector passed, 1 one failed, 2 bad vectors or usage.
    """
    from ..conformance import load, run
    from ._conformance import as_json, as_table, ended_by_signals

    try:
        with ended_by_signals():
            outcomes = list(run(command, load(vectors), ops=ops))
    except KopiaMaintError as error:
        raise click.UsageError(printable(str(error))) from None
    except OSError as error:
        raise click.UsageError(f"{printable(command[0])} cannot be started: {error.strerror}") from None
    _write(as_json(outcomes) if output == "json" else as_table(outcomes))
    click.get_current_context().exit(FAILED if any(outcome.differences for outcome in outcomes) else 0)


@cli.command("serve", epilog="\b\nExample:\n  kopia-maint conformance -- kopia-maint serve")
def serve_command() -> None:
    """
    Answer the conformance wire format, line by line.

    For an operator in another language, which can run this as its child: see
    docs/forks.md.
    """
    from ._conformance import serve

    if sys.stdin is None:
        raise click.UsageError("there is no standard input to read lines from")
    serve(sys.stdin.buffer, sys.stdout.buffer)


def _tell(word: str, colour: str | None, text: str) -> None:
    _write(f"{click.style(word, fg=colour)}: {printable(text)}\n", to_stderr=True)


def _write(text: str, *, to_stderr: bool = False) -> None:
    try:
        click.echo(text, nl=False, err=to_stderr, color=False if os.environ.get("NO_COLOR") else None)
    except UnicodeEncodeError:  # a file's name, say
        _write(text.encode("ascii", "backslashreplace").decode(), to_stderr=to_stderr)
    except BrokenPipeError:
        # Who reads has seen enough. The interpreter will flush at its end, too: into nowhere.
        stream = sys.stderr if to_stderr else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
