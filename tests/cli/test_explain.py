"""What does `kopia-maint explain` say of a schedule? Whole answers are in docs/command-line.md, which is run, too."""

import re

import pytest
from click.testing import CliRunner

from kopia_maint.cli._main import cli


def explain(*arguments: str) -> tuple[int, str]:
    """Return exit status and output."""
    result = CliRunner().invoke(cli, ["explain", "--now=2024-01-15T10:30:00Z", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("schedule", "status", "line"),
    [
        ("@every 1s", 0, "how often  every 1 second"),
        ("@every 2h", 0, "how often  every 120 minutes"),
        ("@every 26h3m4s", 0, "how often  every 1 day 2 hours 3 minutes 4 seconds"),
        ("*/7 * * * 6", 0, "how often  every 4 minutes at most, every 6 days 4 minutes at least"),
        ("0 0 29 2 *", 0, "how often  every 1461 days at most, every 2921 days at least"),
        # Either day field is enough.
        ("0 0 1,15 * 1", 0, r"meaning    .*\b1\b.*\b15\b.*\bor\b.*Monday.*"),
        # A duration has no place in the calendar.
        ("@every 90m", 0, "meaning    Every 90 minutes, counted from the run before"),
        ("@every 90m", 0, "next runs  Mon 2024-01-15 12:00:00 UTC"),
        # What a CI log would obey is shown by its meaning.
        ("0 2 * * *-##[stop-commands]x", 0, r"schedule   0 2 \* \* \*"),
        ("0  2 * * 7", 1, "schedule   0 2 \\* \\* 7\n                   \\^"),
        # Kubernetes takes it, and a source may not ask for it.
        ("0 0 30 2 *", 1, "reason     never-fires"),
    ],
)
def test_a_schedule_is_explained_or_refused(schedule: str, status: int, line: str) -> None:
    """How often it runs is said exactly, as people say it; a refusal points at the fault."""
    found, told = explain(schedule)
    assert found == status
    assert re.search(f"^{line}$", told, re.MULTILINE)


@pytest.mark.parametrize("schedule", ["*-\x1b[2J * * * *", "0 2 * * x##[stop-commands]x"])
def test_what_a_terminal_or_a_log_obeys_does_not_reach_it(schedule: str) -> None:
    """Not even in a refusal, which then has no caret."""
    status, told = explain(schedule)
    assert (status, told.count("\n")) == (1, 2)
    assert not re.search("\x1b|##", told)
