"""With which exit status does the command end, and what does it say, whatever it is started with and where?"""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kopia_maint.cli._main import cli

from .command_line import EXAMPLE, plan, run, tree, wants

# --- exit status -------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json", "yaml", "github"])
def test_the_summary_is_last(output: str) -> None:
    """Among the lines for people; elsewhere on standard error, where a program does not read it."""
    result = plan("-o", output, "-", "missing", given=[wants("@daily"), wants("0 0 * * *", "team-b/b")])
    assert result.exit_code == 2
    stream = result.stdout if output == "table" else result.stderr
    notes = "2 notes" if output == "yaml" else "1 note"
    assert stream.splitlines()[-1] == f"1 repository, 0 conflicts, 1 error, {notes}"
    assert (os.strerror(errno.ENOENT) in result.stderr) == (output != "github")


@pytest.mark.parametrize("given", ["", "&-", "kind: ConfigMap", "{kind: ReplicationSource, metadata: {name: a}}"])
def test_nothing_to_plan_is_bad_input(given: str) -> None:
    """A command in front of a pipe may have failed: nothing found is green only where that was asked for."""
    result = plan(given=[given])
    assert (result.exit_code, result.stdout) == (2, "0 repositories, 0 conflicts, 0 errors, 0 notes\n")
    assert result.stderr.startswith("nothing to plan: ")
    assert plan("--allow-empty", given=[given]).exit_code == 0
    assert plan("--allow-empty", given=["a: ["]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["plan", "--now=2024-01-15T10:30:00"], "is not an RFC 3339 time"),
        (["plan", "--policy=last-wins"], "'last-wins' is none of first-wins, consensus, MODULE:ATTRIBUTE"),
        (["plan", "--policy=nowhere:policy"], "cannot be had: ModuleNotFoundError: "),
        (["plan", "--policy=a b:c"], "cannot be had: ValueError: "),
        (["plan", "--policy=kopia_maint:Bounded"], "such as FirstWins() or Bounded(shortest="),
        (["plan", "--default-namespace=Team A"], "is not valid: 1 to 63 characters"),
        (["plan", "--operator-namespace="], "is not valid: 1 to 63 characters"),
        # The shell has taken the schedule apart.
        (["explain", "0", "2", "README.md", "src", "*"], "quote it, as in kopia-maint explain '0 2 * * *'"),
        (["explain", "x", "--tz=x"], "'--tz': 'x' is not a known time zone\n"),
        (["explain", "x", "--tz=utc"], "'--tz': 'utc' is not a known time zone; UTC is\n"),
        (["explain", "x", "--tz=Europe/Berln"], "'Europe/Berln' is not a known time zone; Europe/Berlin is\n"),
        (["explain", "x", "--count=-1"], "--count"),
        (["conformance", "--vectors=/nowhere", "--", "true"], "/nowhere"),
        (["conformance", "--vectors", EXAMPLE, "--", "true"], f"there are no vectors in {EXAMPLE}"),
        (["conformance", "--op=destroy", "--", "true"], "there is no vector for destroy"),
        (["conformance", "--", "/no/program"], f"/no/program cannot be started: {os.strerror(errno.ENOENT)}"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], reason: str) -> None:
    """What is wrong is said before anything is read, and what was meant where that can be told."""
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: Job", "kind: 'Job' is not known, only CronJob is"),
        ("spec: {timeZone: Mars/Olympus}", "spec.timeZone: 'Mars/Olympus' is not a known time zone"),
        ("metadata: 1", "metadata: must be a mapping"),
        ("a: [", "is not YAML"),
        ("", "must hold one CronJob, not 0"),
        ("kind: CronJob\n---\nkind: CronJob", "must hold one CronJob, not 2"),
    ],
)
def test_a_bad_template_is_wrong_usage(tmp_path: Path, text: str, reason: str) -> None:
    """What no CronJob can be made from is refused once, whatever the output."""
    result = plan("--template", tree(tmp_path, {"template.yaml": text}))
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


# --- the process and what is around it ---------------------------------------

MAIN = "from kopia_maint.cli import main; main()"
WITHOUT = "import sys; sys.modules[{!r}] = None; " + MAIN
# As a shell's <&- makes it.
CLOSED = "import sys; sys.stdin = None; " + MAIN
ON_A_TERMINAL = "import pty, sys; sys.stdin = open(pty.openpty()[1]); " + MAIN
# JSON to JSON, which has to be fast, does not load YAML's library.
JSON_ONLY = "import sys; from kopia_maint.cli._main import run; sys.modules['yaml'] = None; sys.exit(run())"
NOBODY_READS = "import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r); " + MAIN
DISK_IS_FULL = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); " + MAIN
INTERRUPTED_WHILE_LOADING = f"""
import click, signal
click.group = lambda **_: signal.default_int_handler(signal.SIGINT, None)
{MAIN}
"""
INTERRUPTED_WHILE_READING = f"""
import signal
from kopia_maint.cli import _load
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
_load.Path.read_bytes = lambda path: signal.raise_signal(signal.SIGINT)
{MAIN}
"""
ONE = f"{EXAMPLE}/team-a.yaml"


@pytest.mark.parametrize(
    ("code", "arguments", "status", "told"),
    [
        (WITHOUT.format("click"), ["plan", ONE], 2, "pip install 'kopia-maint[cli]'"),
        (WITHOUT.format("cron_descriptor"), ["plan", ONE], 2, "pip install 'kopia-maint[cli]'"),
        (WITHOUT.format("yaml"), ["plan", ONE], 2, "pip install 'kopia-maint[cli]'"),
        (JSON_ONLY, ["plan", "-o", "json"], 0, "1 repository, 0 conflicts, 0 errors, 0 notes"),
        (ON_A_TERMINAL, ["plan"], 2, "give files or folders, or manifests on standard input"),
        (CLOSED, ["plan"], 2, "give files or folders, or manifests on standard input"),
        (CLOSED, ["plan", "-"], 2, "standard input: is closed"),
        (CLOSED, ["serve"], 2, "there is no standard input"),
        (NOBODY_READS, ["plan", ONE], 0, ""),
        (DISK_IS_FULL, ["plan", ONE], 2, os.strerror(errno.ENOSPC)),
        (INTERRUPTED_WHILE_LOADING, ["plan", ONE], 130, ""),
        (INTERRUPTED_WHILE_READING, ["plan", ONE], 130, ""),
    ],
)
def test_the_process_ends_without_a_traceback(code: str, arguments: list[str], status: int, told: str) -> None:
    """Whatever is missing, closed, full or interrupted; what is wrong is said."""
    result = run(*arguments, code=code, input=json.dumps(wants("@daily")))
    assert result.returncode == status
    assert told in result.stderr
    assert bool(result.stderr.strip()) == bool(told)


def test_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conflict, error and note are coloured, unless NO_COLOR is set or nobody looks."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = plan(EXAMPLE, "missing", color=True).output
    assert all(f"\x1b[3{word}\x1b[0m" in told for word in ("1m  conflict", "1merror", "3mnote"))
    assert "\x1b" not in run("plan", EXAMPLE).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in plan(EXAMPLE, "missing", color=True).output


def test_a_terminal_that_does_not_know_a_character_gets_an_escape(tmp_path: Path) -> None:
    """A file's name, and an ellipsis in a message of usage, are no reason for a traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    shutil.copytree(EXAMPLE, tmp_path / "\u2500")
    assert "\\u2500/team-b.yaml" in run("plan", str(tmp_path), env=environment).stdout
    assert "\\u2026" in run("plan", "--now", "x" * 100, env=environment).stderr
