"""`kopia-maint explain`: the meaning of a schedule, or why it is refused, with where and what instead."""

import re

import pytest
from click.testing import CliRunner

from kopia_maint.cli._main import cli

NOW = "--now=2024-01-15T10:30:00Z"


def explain(*arguments: str) -> tuple[int, list[str]]:
    """Return exit status and lines."""
    result = CliRunner().invoke(cli, ["explain", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output.splitlines()


def test_a_schedule_is_explained() -> None:
    """Canonical form, plain words, next runs in a zone."""
    status, lines = explain("0 14 * * MON-fri", "--tz=America/New_York", "--count=2", NOW)
    meaning = lines.pop(2)
    assert (status, lines) == (
        0,
        [
            "schedule   0 14 * * MON-fri",
            "canonical  0 14 * * 1-5",
            "how often  every 1 day at most, every 3 days at least",
            "next runs  Mon 2024-01-15 14:00:00 EST",
            "           Tue 2024-01-16 14:00:00 EST",
        ],
    )
    assert re.fullmatch("meaning    .*14:00.*Monday.*Friday.*", meaning)


@pytest.mark.parametrize(
    ("schedule", "often"),
    [
        ("@daily", "every 1 day"),
        ("@every 1s", "every 1 second"),
        ("@every 90m", "every 90 minutes"),
        ("@every 2h", "every 120 minutes"),
        ("@every 26h3m4s", "every 1 day 2 hours 3 minutes 4 seconds"),
        ("*/7 * * * 6", "every 4 minutes at most, every 6 days 4 minutes at least"),
        ("0 0 29 2 *", "every 1461 days at most, every 2921 days at least"),
    ],
)
def test_how_often_is_said_as_people_say_it(schedule: str, often: str) -> None:
    """At most and at least, exactly."""
    assert f"how often  {often}" in explain(schedule, "--count=0", NOW)[1]


def test_meanings_that_surprise_are_said() -> None:
    """Either day field is enough, and a duration counts from the run before: it has no place in the calendar."""
    assert re.search(r"\b1\b.*\b15\b.*\bor\b.*Monday", explain("0 0 1,15 * 1", NOW)[1][2])
    lines = explain("@every 90m", "--count=1", NOW)[1]
    assert lines[2] == "meaning    Every 90 minutes, counted from the run before"
    assert lines[4] == "next runs  Mon 2024-01-15 12:00:00 UTC"


def test_a_refusal_points_at_the_fault() -> None:
    """And says what to write instead."""
    assert explain("0  2 * * 7") == (
        1,
        [
            "refused    day-of-week '7': 7 is above the maximum, 6 (Sunday is 0 or sun)",
            "reason     syntax",
            "schedule   0 2 * * 7",
            "                   ^",
        ],
    )


def test_what_never_fires_is_said_to_be_refused_on_request() -> None:
    """Kubernetes takes it, and a source may not ask for it."""
    status, lines = explain("0 0 30 2 *")
    assert status == 1
    assert lines == [
        "refused    no date ever matches; a source may not ask for it: that would switch off everybody's maintenance",
        "reason     never-fires",
        "schedule   0 0 30 2 *",
    ]


@pytest.mark.parametrize("schedule", ["*-\x1b[2J * * * *", "0 2 * * x##[stop-commands]x"])
def test_what_a_terminal_or_a_log_obeys_does_not_reach_it(schedule: str) -> None:
    """Not even in a refusal, which then has no caret."""
    status, lines = explain(schedule)
    assert (status, len(lines)) == (1, 2)
    assert "\x1b" not in "".join(lines)
    assert "##" not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["x", "--tz=x"], "'--tz': 'x' is not a known time zone"),
        (["x", "--tz=utc"], "'--tz': 'utc' is not a known time zone; UTC is"),
        (["x", "--tz=europe/berlin"], "'--tz': 'europe/berlin' is not a known time zone; Europe/Berlin is"),
        (["x", "--tz=Europe/Berln"], "'--tz': 'Europe/Berln' is not a known time zone; Europe/Berlin is"),
        (["x", "--count=-1"], "--count"),
        (["x", "--now=noon"], "--now"),
        ([], "SCHEDULE"),
        (["0", "2", "README.md", "src", "*"], "quote it, as in kopia-maint explain '0 2 * * *'"),
    ],
)
def test_bad_usage(arguments: list[str], reason: str) -> None:
    """Exit status 2, what is wrong and whose fault it is, also where the shell has taken the schedule apart."""
    status, lines = explain(*arguments)
    assert status == 2
    assert reason in " ".join(lines)
    assert ("; " in lines[-1]) == ("; " in reason)
