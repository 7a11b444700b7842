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
            "how often  at most every 1 day, at least every 3 days",
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
        ("@every 2h", "every 120 minutes"),
        ("@every 26h3m4s", "every 1 day 2 hours 3 minutes 4 seconds"),
        ("*/7 * * * 6", "at most every 4 minutes, at least every 6 days 4 minutes"),
        ("0 0 29 2 *", "at most every 1461 days, at least every 2921 days"),
    ],
)
def test_how_often_is_said_as_people_say_it(schedule: str, often: str) -> None:
    """At most and at least, exactly."""
    assert f"how often  {often}" in explain(schedule, "--count=0", NOW)[1]


def test_either_day_field_matches() -> None:
    """The rule that surprises people is said: or."""
    assert re.search(r"\b1\b.*\b15\b.*\bor\b.*Monday", explain("0 0 1,15 * 1", NOW)[1][2])


def test_every_counts_from_the_run_before() -> None:
    """A duration has no place in the calendar."""
    status, lines = explain("@every 90m", "--count=1", NOW)
    assert status == 0
    assert lines[1:] == [
        "canonical  @every 5400s",
        "meaning    Every 90 minutes, counted from the run before",
        "how often  every 90 minutes",
        "next runs  Mon 2024-01-15 12:00:00 UTC",
    ]


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


@pytest.mark.parametrize(
    ("schedule", "instead"),
    [
        ("@reboot", "such as @daily"),
        ("0 0 2 * * *", "leave it out"),
        ("0 2 L * *", "the days 1 to 28"),
        ("CRON_TZ=UTC 0 2 * * *", "spec.timeZone"),
        ("0 2 * * 0-7", "Sunday is 0 or sun"),
        ("0 22-2 * * *", "two ranges"),
    ],
)
def test_refusals_that_surprise_say_what_to_write_instead(schedule: str, instead: str) -> None:
    """Each of them."""
    status, lines = explain(schedule)
    assert status == 1
    assert instead in lines[0]


def test_what_never_fires_is_said_to_be_refused_on_request() -> None:
    """Kubernetes takes it, and a source may not ask for it."""
    status, lines = explain("0 0 30 2 *")
    assert status == 1
    assert lines[2:] == [
        "meaning    Never: no date matches",
        "refused    a source may not ask for it: that would switch off everybody's maintenance",
    ]


@pytest.mark.parametrize("schedule", ["*-\x1b[2J * * * *", "0 2 * * x##[stop-commands]x"])
def test_what_a_terminal_or_a_log_obeys_does_not_reach_it(schedule: str) -> None:
    """Not even in a refusal, which then has no caret."""
    status, lines = explain(schedule)
    assert (status, len(lines)) == (1, 2)
    assert "\x1b" not in "".join(lines)
    assert "##" not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["x", "--tz=Nowhere/Land"], "--tz"),
        (["x", "--count=-1"], "--count"),
        (["x", "--now=noon"], "--now"),
        ([], "SCHEDULE"),
    ],
)
def test_bad_usage(arguments: list[str], named: str) -> None:
    """Exit status 2, what is wrong, and no traceback."""
    status, lines = explain(*arguments)
    assert status == 2
    assert named in lines[-1]


def test_an_unquoted_schedule_is_recognized() -> None:
    """The shell has taken it apart, and put file names in: to say that an argument is unexpected would not help."""
    status, lines = explain("0", "2", "README.md", "src", "*")
    assert status == 2
    assert "quote it, as in kopia-maint explain '0 2 * * *'" in " ".join(lines)


@pytest.mark.parametrize(
    ("zone", "hint"),
    [("utc", "; UTC is"), ("europe/berlin", "; Europe/Berlin is"), ("Europe/Berln", "; Europe/Berlin is"), ("x", "")],
)
def test_a_zone_that_is_nearly_known_is_named(zone: str, hint: str) -> None:
    """Files of zones have capitals, people often have not. It is the option's fault, not a CronJob's."""
    status, lines = explain("@daily", f"--tz={zone}")
    assert status == 2
    assert lines[-1].endswith(f"'--tz': '{zone}' is not a known time zone{hint}")
