"""Does a newcomer get on with the command: its help, its examples, its hints?"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import kopia_maint
from kopia_maint.cli._main import cli

from .command_line import EXAMPLE, run

COMMANDS = ["", *cli.commands]


def examples(command: str) -> list[str]:
    """Return the examples in the help of a command."""
    shown = CliRunner().invoke(cli, [*command.split(), "--help"]).stdout
    return [line.strip() for line in re.split(r"Examples?:\n", shown)[1].splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there_by_both_names(command: str) -> None:
    """-h is what people try first."""
    results = [CliRunner().invoke(cli, [*command.split(), option]) for option in ("-h", "--help")]
    assert results[0].stdout == results[1].stdout
    assert [result.exit_code for result in results] == [0, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for a POSIX shell")
@pytest.mark.parametrize("example", [it for command in COMMANDS for it in examples(command)])
def test_the_examples_in_the_help_work(example: str, tmp_path: Path) -> None:
    """Each runs as it stands, where there is what it names; kubectl and an adapter are played."""
    for folder in ("apps", "clusters/production"):
        shutil.copytree(EXAMPLE, tmp_path / folder)
    programs = {
        "kopia-maint": f'exec {sys.executable} -m kopia_maint.cli "$@"',
        "kubectl": f"cat {EXAMPLE}/team-a.yaml",
        "my-adapter": f"exec {sys.executable} -m kopia_maint.cli serve",
        "go": f"exec {sys.executable} -m kopia_maint.cli serve",
    }
    for name, script in programs.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["sh", "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == (1 if "apps/" in example and "kubectl" not in example else 0), result.stderr
    assert result.stdout or result.stderr


def test_the_version_is_told() -> None:
    """As the package has it."""
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"kopia-maint {kopia_maint.__version__}\n")


def test_commands_and_options_say_what_they_are_for() -> None:
    """Each command's sentence is short enough for its line in the list."""
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    for name, command in cli.commands.items():
        assert re.search(rf"^ +{name} +{re.escape(command.get_short_help_str(1000))}$", shown, re.MULTILINE)
        assert all(it.help for it in command.params if isinstance(it, click.Option))


def test_a_terminal_that_does_not_know_a_character_gets_an_escape(tmp_path: Path) -> None:
    """A file's name, and an ellipsis in a message of usage, are no reason for a traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    shutil.copytree(EXAMPLE, tmp_path / "\u2500")
    result = run("plan", str(tmp_path), env=environment)
    assert (result.returncode, result.stderr) == (1, "")
    assert "\\u2500" in result.stdout
    result = run("plan", "--now", "x" * 100, env=environment)
    assert result.returncode == 2
    assert "\\u2026" in result.stderr
